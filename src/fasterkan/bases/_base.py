"""The contract of a basis: a frozen description of K functions of one variable; the layer owns the tensors."""

from __future__ import annotations

import dataclasses
import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ._refit import refit

Params = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Basis(ABC):
    """K functions phi_k of one variable, described and not stored: comparable, hashable, printable, saved as it is.

    A subclass is a frozen dataclass whose fields are numbers, strings, booleans or tuples of them. It implements
    `num_basis`, `init` and `evaluate`; everything else has a default that is right, and may be overridden where a
    closed form pays. Subclasses register themselves under their class name, which is what `config.json` holds.

    Dimensions: N rows, I in_features, O out_features, K basis functions.
    """

    registry: ClassVar[dict[str, type[Basis]]] = {}

    support: ClassVar[Literal["global", "compact"]] = "global"
    """"compact" if the functions vanish outside `range_of`; decides how `norm="feature"` maps the data to it."""

    per_edge: ClassVar[bool] = False
    """True: each edge has tensors of its own. All tensors then begin with [O, I], so that a slice of them serves a
    slice of the outputs, and phi, its derivative and `dphi` are [..., O, I, K] where they else are [..., I, K]; z and
    dz stay [..., I] (z is the same for all outputs, dz the sum over them)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):  # what several families share is not a family
            register(Basis.registry, cls)

    @property
    @abstractmethod
    def num_basis(self) -> int:
        """K, the number of functions an edge is made of."""

    @property
    def grid_range(self) -> tuple[float, float]:
        """The interval of z, after the norm, where the functions start; (-1, 1) unless the family says otherwise.

        Where they live now is what `range_of` returns.
        """
        return (-1.0, 1.0)

    @property
    def trainable(self) -> frozenset[str]:
        """The keys of `init` that are learned; the others are buffers of the layer."""
        return frozenset()

    @abstractmethod
    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """Return fresh tensors for one layer, by name; two calls never share memory."""

    @abstractmethod
    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        """Return phi_k(z_i), [..., I] -> [..., I, K]: pure, plain torch, differentiable to any order.

        With `per_edge` phi_oik(z_i), [..., I] -> [..., O, I, K].
        """

    def range_of(self, params: Params) -> tuple[Tensor, Tensor]:
        """Return the ends (low, high) of the interval of z where the functions live now, each [] or [I].

        The tensors say where that is: the ends of the grid, wherever `fold`, `grid_to` or training moved them. A
        family without a grid lives in its `grid_range`.
        """
        grid = self.grid_of(params)
        if grid is None:
            low, high = torch.tensor(self.grid_range, dtype=torch.float64, device="cpu")
            return low, high
        return grid.amin(-1), grid.amax(-1)

    def local(self, z: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor] | None:
        """Return the few functions that may differ from 0 at z, for families of compact support; else None.

        All other functions are 0 at z, or NaN where z is NaN.

        Args:
            z: [..., I].
            params: the basis' tensors.

        Returns:
            (index, value, slope), each [..., I, P+1]: the numbers of these functions, int64, distinct and below K;
            phi; and d phi / dz. `value` and `slope` are differentiable, `index` is not.
        """
        return None

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        """Return d phi_k / dz at z_i, [..., I] -> [..., I, K]."""
        return torch.func.jvp(lambda v: self.evaluate(v, params), (z,), (torch.ones_like(z),))[1]

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return phi and what `vjp` can use again, without a graph; called under `torch.no_grad`."""
        return self.evaluate(z, params), ()

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return (dz or None, {key: gradient}) for what `wrt` names ("z" and keys of `params`).

        Called under `torch.no_grad`; nothing that it returns is differentiated again.

        Args:
            z: [..., I].
            params: the basis' tensors.
            phi: the first result of `evaluate_for_vjp` at z; not to be changed.
            saved: its second result; not to be changed.
            dphi: gradient of phi [..., I, K]; may be overwritten.
            wrt: which gradients are wanted.
        """
        with torch.enable_grad():
            leaves = {k: t.detach().requires_grad_(k in wrt) for k, t in {**params, "z": z}.items()}
            value = self.evaluate(leaves["z"], {k: leaves[k] for k in params})
        wanted = [k for k in leaves if k in wrt]
        grads = torch.autograd.grad(value, [leaves[k] for k in wanted], dphi, materialize_grads=True)
        found = dict(zip(wanted, grads, strict=True))
        return found.pop("z", None), found

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[Basis, dict[str, Tensor]]:
        """Return a description and tensors with phi'(x) = phi((x - center) * scale), exactly.

        Raises:
            ValueError: the family cannot take a centre and a scale [I] into its tensors.
        """
        raise ValueError(
            f"{type(self).__name__} cannot take a feature norm into its parameters: keep the norm, or use a basis "
            "with a movable grid such as RSWAF"
        )

    def moved(self, params: Params, center: Tensor, scale: Tensor) -> dict[str, Tensor] | None:
        """Return tensors of this same description with phi'(x) = phi((x - center) * scale), exactly; None if it cannot.

        Families with tensors for each edge follow a moving norm in this way, one edge as exactly as another.
        """
        return None

    def sites(self, params: Params) -> Tensor | None:
        """Return where the functions lie, [K] or [I, K], increasing with k (centres, say); None if they have no order.

        Families of local functions say so here: neighbours in k are then neighbours in z, which smooth starting
        weights, smooth least squares and the smoothness penalty need.
        """
        return None

    def grid_of(self, params: Params) -> Tensor | None:
        """Return the points of the grid that `grid_to` moves, [n] or [I, n], ends included; None without a grid."""
        return None

    def grid_to(self, params: Params, grid: Tensor) -> tuple[Basis, dict[str, Tensor]]:
        """Return a description and tensors with this grid [I, n] for each feature, n and all other settings kept.

        Raises:
            ValueError: the family has no grid.
        """
        raise ValueError(
            f"{type(self).__name__} has no grid that could follow the data: use a basis with one, such as RSWAF, or "
            'let norm="feature" follow the data (calibrate)'
        )

    def refine(self, num: int) -> Basis:
        """Return a finer description of the same family, whose functions contain or approximate those of this one.

        Args:
            num: the new count, in the family's own word (num_grids, grid_size, degree, ...), not below the present.

        Raises:
            ValueError: fewer functions, or a family that cannot be refined.
        """
        raise ValueError(f"{type(self).__name__} cannot be refined: use a basis with a grid or a degree, such as RSWAF")

    def refined(self, params: Params, num: int, in_features: int, out_features: int) -> tuple[Basis, dict[str, Tensor]]:
        """Return `refine(num)` and its tensors (float64, CPU), made from these; families with a grid keep its place."""
        new = self.refine(num)
        return new, new.init(in_features, out_features, "cpu", torch.float64)

    def refit(
        self,
        params: Params,
        weight: Tensor,
        z: Tensor,
        new: Basis,
        new_params: Params,
        new_z: Tensor,
        importance: Tensor | None = None,
    ) -> tuple[Tensor, float]:
        """Return weights with which `new` makes the same functions, by smooth least squares in float64 on the CPU.

        Nested functions are kept to rounding. Where the points leave weights open, they become as smooth as the
        points allow (as small, for families without `sites`), so that few, equal or constant points do no harm.

        Args:
            params: this basis' tensors.
            weight: the layer's weight [O, I, K].
            z: where to compare, [S, I], in units of this basis; rows with NaN or infinity are left out.
            new: the other description.
            new_params: its tensors.
            new_z: the same points in units of the other basis, [S, I].
            importance: of each point's squared error, [S] or [S, I], not negative; default 1.

        Returns:
            The new weight [O, I, K'], in weight's dtype and device, and the relative RMS error over all edges.

        Raises:
            ValueError: no finite row, or weights or functions that are not finite.
        """
        return refit(self, params, weight, z, new, new_params, new_z, importance)

    def to_config(self) -> dict[str, Any]:
        """Return a JSON-able dictionary from which `basis_from_config` makes an equal basis."""
        return {"name": type(self).__name__, **dataclasses.asdict(self)}


def register(registry: dict[str, type[Any]], cls: type[Any]) -> None:
    """Enter a class under its name, by which saved files find it; the same class may be defined again.

    Raises:
        ValueError: another class has this name.
    """
    other = registry.setdefault(cls.__name__, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"{cls.__module__}.{cls.__qualname__}: {other.__module__}.{other.__qualname__} has this name already, and "
            "saved files name classes by it; choose another name"
        )
    registry[cls.__name__] = cls


def basis_from_config(config: Mapping[str, Any]) -> Basis:
    """Return the basis that `Basis.to_config` described.

    Raises:
        ValueError: the name is not that of a known basis, or a field is unknown or refused by the family.
    """
    fields = dict(config)
    name = fields.pop("name", None)
    cls = Basis.registry.get(str(name))
    if cls is None:
        near = difflib.get_close_matches(str(name), Basis.registry, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"basis {name!r} is not known; {hint}known: {', '.join(sorted(Basis.registry))}. "
            "A basis of your own must be imported before it is loaded"
        )
    known = {f.name for f in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise ValueError(f"{name}: unknown fields {unknown}; it has {sorted(known)}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
