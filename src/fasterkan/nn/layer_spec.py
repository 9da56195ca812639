"""The description of a layer as a value: the layer can be made from it, and saved files contain it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import nn

from ..bases import Basis, basis_from_config
from .base_branch import Base, BaseInput, base_name
from .norm import NormDescription, norm_from_config, norm_to_config


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """The complete description of a `KANLinear`, without the values of its tensors.

    Attributes:
        in_features: I, the number of inputs that have edges.
        out_features: O.
        basis: the functions on the edges.
        norm: description of the norm, or None; a module without a description is stored itself.
        base: the activation of the base branch, or None.
        base_input: input of the base branch: "x", the layer's input; "scaled", with mean and deviation of the data; or
            "z" = norm(x). Files that say nothing have "x".
        bias: whether the layer has a bias.
        after: name of the `After` module that follows the layer, or None.
        mask: whether some edges are switched off (`KANLinear.set_mask`).
        kept_inputs: the columns of x that have edges, I increasing numbers; None means all columns.
        input_width: number of columns of x; None means I.
        input_names: names of the columns of x, or None.
        output_names: names of the outputs, or None.
        xavier_gain: gain of Xavier-uniform initial weights, as in FasterKAN; None means the weights of
            `fasterkan.nn.init`.
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
        """Return a dictionary for JSON from which `from_config` makes an equal description.

        Fields with their default value are left out.

        Raises:
            ValueError: the norm is a module, or the base branch is a callable without a name.
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
            ValueError: a key is unknown, a required key is missing, or the basis or norm cannot be used.
        """
        fields: dict[str, Any] = dict(config)
        known = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - set(known)):
            raise ValueError(f"layer: unknown keys {unknown}; known: {', '.join(known)}")
        needed = [name for name, field in known.items() if field.default is dataclasses.MISSING]
        if missing := sorted(set(needed) - set(fields)):
            raise ValueError(f"layer: the keys {missing} are missing; it has {sorted(fields)}")
        fields["basis"] = basis_from_config(fields["basis"])
        fields["norm"] = norm_from_config(fields.get("norm"))
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)
