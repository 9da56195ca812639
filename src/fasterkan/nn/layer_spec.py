"""What a layer is, as a value: from it the layer can be made again, and it is what saved files hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from ..bases import Basis, basis_from_config
from .base_branch import Base, base_name
from .norm import NormDescription, norm_from_config, norm_to_config

BaseInput = Literal["x", "z"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """The description of a `KANLinear`: all that it is but its numbers.

    Attributes:
        in_features: I, how many inputs have edges.
        out_features: O.
        basis: the functions on the edges.
        norm: description of the norm, None, or the module itself where it has no description.
        base: the activation of the base branch, or None.
        base_input: what the base branch sees: "x", the layer's input, or "z", what the norm makes of it.
        bias: whether there is a bias.
        after: what follows the layer, a name of `After`, or None.
        mask: whether some edges are switched off (`KANLinear.set_mask`).
        kept_inputs: the columns of x that have edges, I increasing numbers; None: all of them.
        input_width: how many columns x has; None: I.
        input_names: of the columns of x; None: they have none.
        output_names: of the outputs; None: they have none.
        xavier_gain: of Xavier-uniform starting weights, as FasterKAN has them; None: those of `fasterkan.nn.init`.
    """

    in_features: int
    out_features: int
    basis: Basis
    norm: NormDescription | nn.Module | None = None
    base: Base = None
    base_input: BaseInput = "x"
    bias: bool = True
    after: str | None = None
    mask: bool = False
    kept_inputs: tuple[int, ...] | None = None
    input_width: int | None = None
    input_names: tuple[str, ...] | None = None
    output_names: tuple[str, ...] | None = None
    xavier_gain: float | None = None

    def __post_init__(self) -> None:
        for name in ("bias", "mask"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"LayerSpec: {name} must be True or False, got {getattr(self, name)!r}")
        for name, kind in (("kept_inputs", int), ("input_names", str), ("output_names", str)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, tuple) and all(isinstance(v, kind) for v in value)):
                raise TypeError(f"LayerSpec: {name} must be None or a tuple of {kind.__name__}, got {value!r}")

    def to_config(self) -> dict[str, Any]:
        """Return a JSON-able dictionary from which `from_config` makes an equal description.

        What has its default is left out.

        Raises:
            ValueError: the norm is a module, or the base branch a callable without a name.
        """
        said = {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "basis": self.basis.to_config(),
            "norm": norm_to_config(self.norm),
            "base": base_name(self.base),
        }
        for field in dataclasses.fields(self)[len(said) :]:
            value = getattr(self, field.name)
            if value != field.default:
                said[field.name] = list(value) if isinstance(value, tuple) else value
        return said

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LayerSpec:
        """Return the description that `to_config` wrote.

        Raises:
            ValueError: a key is unknown, a needed one is missing, or basis or norm cannot be used.
        """
        fields: dict[str, Any] = dict(config)
        known = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - set(known)):
            raise ValueError(f"layer: unknown keys {unknown}; known: {', '.join(known)}")
        needed = [name for name, field in known.items() if field.default is dataclasses.MISSING]
        if missing := sorted(set(needed) - set(fields)):
            raise ValueError(f"layer: {missing} missing; it has {sorted(fields)}")
        fields["basis"] = basis_from_config(fields["basis"])
        fields["norm"] = norm_from_config(fields.get("norm"))
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)
