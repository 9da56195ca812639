"""The contract of a basis: a frozen description of K functions of one variable; the layer owns the tensors."""

from __future__ import annotations

import dataclasses
import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

Params = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Basis(ABC):
    """K functions phi_k of one variable, described and not stored: comparable, hashable, printable, saved as it is.

    A subclass is a frozen dataclass whose fields are numbers, strings, booleans or tuples of them. It implements
    `num_basis`, `init` and `evaluate`; everything else has a default that is right, and may be overridden where a
    closed form pays. Subclasses register themselves under their class name, which is what `config.json` holds.

    Dimensions: N rows, I in_features, K basis functions.
    """

    registry: ClassVar[dict[str, type[Basis]]] = {}

    support: ClassVar[Literal["global", "compact"]] = "global"
    """"compact" if the functions vanish outside `grid_range`; decides how `norm="feature"` maps the data to it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(Basis.registry, cls)

    @property
    @abstractmethod
    def num_basis(self) -> int:
        """K, the number of functions an edge is made of."""

    @property
    def grid_range(self) -> tuple[float, float]:
        """The interval of z, after the norm, for which the basis is made; (-1, 1) unless the family says otherwise."""
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
        """Return phi_k(z_i), [..., I] -> [..., I, K]: pure, plain torch, differentiable to any order."""

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

    def refit(
        self, params: Params, weight: Tensor, z: Tensor, new: Basis, new_params: Params, new_z: Tensor
    ) -> tuple[Tensor, float]:
        """Return weights with which `new` makes the same functions, by least squares in float64 on the CPU.

        Args:
            params: this basis' tensors.
            weight: the layer's weight [O, I, K].
            z: where to compare, [S, I], in units of this basis.
            new: the other description.
            new_params: its tensors.
            new_z: the same points in units of the other basis, [S, I].

        Returns:
            The new weight [O, I, K'], in weight's dtype and device, and the relative RMS error over all edges.
        """

        def table(basis: Basis, at: Tensor, tensors: Params) -> Tensor:
            exact = {k: t.detach().to("cpu", torch.float64) for k, t in tensors.items()}
            return basis.evaluate(at.to("cpu", torch.float64), exact).movedim(-2, 0)  # [I, S, K]

        with torch.no_grad():
            old_table, new_table = table(self, z, params), table(new, new_z, new_params)
            edges = torch.einsum("isk,oik->ios", old_table, weight.detach().to("cpu", torch.float64))
            # Directions that weight's dtype cannot resolve are damped, else they would grow past what it can hold.
            u, s, vh = torch.linalg.svd(new_table, full_matrices=False)  # [I, S, K], [I, K], [I, K, K]
            floor = s[:, :1] * max(torch.finfo(weight.dtype).eps, 1e-10)
            inverse = torch.einsum("ijk,ij,isj->iks", vh, s / (s.square() + floor.square()), u)
            found = torch.einsum("iks,ios->oik", inverse, edges).to(weight.dtype)
            residual = torch.einsum("isk,oik->ios", new_table, found.double()) - edges
            error = float(residual.norm() / edges.norm().clamp_min(torch.finfo(torch.float64).tiny))
        return found.to(weight.device), error

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
