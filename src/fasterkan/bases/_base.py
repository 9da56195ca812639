"""The interface of a basis: a frozen description of K functions of one variable; the layer owns the tensors."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from .._check import did_you_mean
from ._refit import refit

Params = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Basis(ABC):
    """The description of K functions phi_k of one variable, without tensors; it can be compared, hashed and saved.

    A subclass is a frozen dataclass. Its fields are numbers, strings, booleans, or tuples of them. It implements
    `num_basis`, `init` and `evaluate`. The other methods have correct defaults, which a subclass may replace by faster
    closed forms. Subclasses are registered under their class name, which `config.json` contains.

    Dimensions: N rows, I in_features, O out_features, K basis functions.
    """

    registry: ClassVar[dict[str, type[Basis]]] = {}

    support: ClassVar[Literal["global", "compact"]] = "global"
    """"compact" if the functions are 0 outside `range_of`; it decides how `norm="feature"` maps the data to this
    range."""

    per_edge: ClassVar[bool] = False
    """True: each edge has its own tensors. All tensors then begin with [O, I], so a slice of the tensors belongs to a
    slice of the outputs. phi, its derivative and `dphi` are then [..., O, I, K] instead of [..., I, K]. z and dz stay
    [..., I]: z is the same for all outputs, and dz is the sum over them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(Basis.registry, cls)

    @property
    @abstractmethod
    def num_basis(self) -> int:
        """K, the number of functions of an edge."""

    @property
    def grid_range(self) -> tuple[float, float]:
        """The interval of z, after the norm, for which the functions are made at first; (-1, 1) by default.

        `range_of` returns the present interval.
        """
        return (-1.0, 1.0)

    @property
    def trainable(self) -> frozenset[str]:
        """The names of the tensors in `init` that are learned; the others are buffers of the layer."""
        return frozenset()

    @abstractmethod
    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """Return new tensors for one layer, by name; two calls never share memory."""

    @abstractmethod
    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        """Return phi_k(z_i), [..., I] -> [..., I, K], in plain torch without side effects, differentiable to any order.

        With `per_edge` it is phi_oik(z_i), [..., I] -> [..., O, I, K].
        """

    def range_of(self, params: Params) -> tuple[Tensor, Tensor]:
        """Return the ends (low, high) of the present interval of z of the functions, each [] or [I].

        It is read from the tensors: the ends of the grid, wherever `fold`, `grid_to` or training have moved them. For a
        family without a grid it is `grid_range`.
        """
        grid = self.grid_of(params)
        if grid is None:
            low, high = torch.tensor(self.grid_range, dtype=torch.float64, device="cpu")
            return low, high
        return grid.amin(-1), grid.amax(-1)

    def local(self, z: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor] | None:
        """Return the few functions that may differ from 0 at z, for families of compact support; None for others.

        All other functions are 0 at z, or NaN where z is NaN.

        Args:
            z: [..., I].
            params: the basis' tensors.

        Returns:
            (index, value, slope), each [..., I, P+1]: the numbers of these functions (int64, distinct, below K), phi,
            and d phi / dz. `value` and `slope` are differentiable, `index` is not.
        """
        return None

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        """Return d phi_k / dz at z_i, [..., I] -> [..., I, K]."""
        return torch.func.jvp(lambda v: self.evaluate(v, params), (z,), (torch.ones_like(z),))[1]

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return phi and tensors that `vjp` can use again, without a graph; called under `torch.no_grad`."""
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
        """Return (dz or None, {key: gradient}) for the names in `wrt` ("z" and keys of `params`).

        Called under `torch.no_grad`; the results are not differentiated again.

        Args:
            z: [..., I].
            params: the basis' tensors.
            phi: the first result of `evaluate_for_vjp` at z; it must not be changed.
            saved: the second result of `evaluate_for_vjp`; it must not be changed.
            dphi: gradient of phi [..., I, K]; it may be overwritten.
            wrt: which gradients are needed.
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
            ValueError: the tensors of the family cannot include a centre and a scale [I].
        """
        raise ValueError(
            f"{type(self).__name__} cannot take a feature norm into its parameters: keep the norm, or use a basis "
            "with a movable grid such as RSWAF"
        )

    def moved(self, params: Params, center: Tensor, scale: Tensor) -> dict[str, Tensor] | None:
        """Return tensors for this description with phi'(x) = phi((x - center) * scale), exactly; None if impossible.

        In this way families with tensors for each edge follow a moving norm exactly on every edge.
        """
        return None

    def sites(self, params: Params) -> Tensor | None:
        """Return the positions of the functions, [K] or [I, K], increasing with k; None if they have no order.

        Families of local functions return them, for example their centres. Neighbours in k are then neighbours in z.
        Smooth initial weights, smooth least squares and the smoothness penalty need this.
        """
        return None

    def grid_of(self, params: Params) -> Tensor | None:
        """Return the points of the grid that `grid_to` moves, [n] or [I, n], with both ends; None without a grid."""
        return None

    def grid_to(self, params: Params, grid: Tensor) -> tuple[Basis, dict[str, Tensor]]:
        """Return a description and tensors with this grid [I, n] for each feature; n and other settings do not change.

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
            num: the new value of the family's count (num_grids, grid_size, degree, ...), not below the present value.

        Raises:
            ValueError: there would be fewer functions, or the family cannot be refined.
        """
        raise ValueError(f"{type(self).__name__} cannot be refined: use a basis with a grid or a degree, such as RSWAF")

    def refined(self, params: Params, num: int, in_features: int, out_features: int) -> tuple[Basis, dict[str, Tensor]]:
        """Return `refine(num)` and its tensors (float64, CPU), made from the given ones; a grid keeps its position."""
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
        """Return weights with which `new` has the same functions, by smooth least squares in float64 on the CPU.

        If the new functions contain the old ones, the result is exact up to rounding. Weights that the points do not
        determine become as smooth as possible (or, for families without `sites`, as small as possible). A few, equal or
        constant points therefore cause no problem.

        Args:
            params: this basis' tensors.
            weight: the layer's weight [O, I, K].
            z: points where the functions are compared, [S, I], in units of this basis; rows with NaN or infinity are
                left out.
            new: the new description.
            new_params: its tensors.
            new_z: the same points in units of the new basis, [S, I].
            importance: weight of each point's squared error, [S] or [S, I], not negative; default 1.

        Returns:
            The new weight [O, I, K'], in weight's dtype and device, and the relative RMS error over all edges.

        Raises:
            ValueError: there is no finite row, or weights or functions are not finite.
        """
        return refit(self, params, weight, z, new, new_params, new_z, importance)

    def to_config(self) -> dict[str, Any]:
        """Return a dictionary for JSON from which `basis_from_config` makes an equal basis."""
        return {"name": type(self).__name__, **dataclasses.asdict(self)}


def register(registry: dict[str, type[Any]], cls: type[Any]) -> None:
    """Register a class under its name, which saved files contain; the same class may be defined again.

    A class whose name begins with "_" is the common part of others and is not registered.

    Raises:
        ValueError: another class has this name.
    """
    if cls.__name__.startswith("_"):
        return
    other = registry.setdefault(cls.__name__, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"{cls.__module__}.{cls.__qualname__}: {other.__module__}.{other.__qualname__} has this name already, and "
            "saved files name classes by it; choose another name"
        )
    registry[cls.__name__] = cls


def basis_from_config(config: Mapping[str, Any]) -> Basis:
    """Return the basis from the dictionary of `Basis.to_config`.

    Raises:
        ValueError: the name is not a known basis, or a field is unknown, or the family does not accept its value.
    """
    fields = dict(config)
    name = fields.pop("name", None)
    cls = Basis.registry.get(str(name))
    if cls is None:
        hint = did_you_mean(str(name), Basis.registry)
        raise ValueError(
            f"basis {name!r} is not known; {hint}known: {', '.join(sorted(Basis.registry))}. "
            "A basis of your own must be imported before it is loaded"
        )
    known = {f.name for f in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise ValueError(f"{name}: unknown fields {unknown}; it has {sorted(known)}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})
