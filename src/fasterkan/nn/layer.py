"""The common part of linear layers and convolutions: the tensors of the basis, and the checks of an input."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..bases import Basis
from ..ops import autocast_dtype, normalised
from .base_branch import Base, BaseInput, BaseScaling, check_base_input, resolve_base
from .computed import computed_tensors
from .feature_norm import FeatureScaling
from .writing import Commit, planned, type_name


class KANLayer(nn.Module):
    """A layer with a learnable function on every edge: `weight` [O, I, K, ...] and the tensors of a basis.

    Attributes:
        weight: the weights of the basis' functions.
        basis: the description of these functions.
        norm: the module that computes z from x, or None.
        base: the activation of the base branch, or None.
        base_input: input of the base branch: "x", the layer's input; "scaled", this input minus its mean and divided by
            its deviation; or "z" = norm(x).
        base_norm: the module that scales x for the base branch, if base_input is "scaled"; else None.
    """

    weight: Tensor
    basis: Basis
    norm: nn.Module | None
    base: Callable[[Tensor], Tensor] | None
    base_weight: Tensor | None
    base_input: BaseInput = "x"
    base_norm: BaseScaling | None
    _basis_keys: tuple[str, ...] = ()

    @abstractmethod
    def widths(self) -> tuple[int, int]:
        """Return the numbers (inputs, outputs) with which the basis makes its tensors."""

    @abstractmethod
    def weight_shape(self, num_basis: int) -> tuple[int, ...]:
        """Return the shape of the weight for K functions."""

    def tensor_names(self) -> tuple[str, ...]:
        """Return the names of the layer's own tensors that a change of its functions may write."""
        own = ("weight", "base_weight", "bias", *self._basis_keys)
        return tuple(name for name in own if getattr(self, name, None) is not None)

    @torch.inference_mode(False)
    @torch.no_grad()
    def set_functions(self, basis: Basis, tensors: Mapping[str, Tensor], weight: Tensor) -> None:
        """Replace the basis, its tensors and the weight together; all changes of a layer's functions use this method.

        The layer stores copies, on its device and in its dtype. A parameter that keeps its shape is overwritten in
        place, so optimisers can continue with it. Otherwise the parameter is new, and frozen if the old one was frozen;
        then make a new optimiser. A parametrised tensor (`torch.nn.utils.parametrize`) is written through its
        parametrisation, if what is read back is what was written.

        Args:
            basis: the new description.
            tensors: its tensors by name, with the shapes from `basis.init`.
            weight: the weights of its functions, [O, I, K, ...].

        Raises:
            ValueError: the tensors or the weight do not fit the basis or the layer. The layer is then unchanged.
            RuntimeError: a tensor is computed, sharded or plain, and does not take the new values. The layer is then
                unchanged.
        """
        writes = self.check_functions(basis, tensors, weight)
        device, dtype = self.weight.device, self.weight.dtype
        frozen = {name for name in self._basis_keys if not getattr(self, name).requires_grad}
        frozen &= set(self.basis.trainable)
        old = {name: getattr(self, name) for name in self._basis_keys if name not in writes}
        for name in old:
            delattr(self, name)
        for name, tensor in tensors.items():
            if name in writes:
                continue
            before, value = old.get(name), tensor.detach().to(device, dtype)
            learned = name in basis.trainable
            kept = before is not None and before.shape == value.shape and not before.is_inference()
            if before is not None and kept and isinstance(before, nn.Parameter) == learned:
                made = before.copy_(value)
            else:
                made = value.clone()
            self._register(name, made, learned=learned, frozen=name in frozen)
        self.basis, self._basis_keys = basis, tuple(tensors)
        for commit in writes.values():
            commit()

    @torch.inference_mode(False)
    @torch.no_grad()
    def check_functions(self, basis: Basis, tensors: Mapping[str, Tensor], weight: Tensor) -> dict[str, Commit]:
        """Raise an error if `set_functions` would; return the functions that write the weight and computed tensors."""
        self._check_shapes(basis, tensors, weight)
        computed = computed_tensors(self, self.tensor_names())
        writes = {}
        for name in self._basis_keys:
            if (found := computed.get(name)) is None:
                continue
            if found.kind != "parametrisation":
                raise found.refusal(type_name(self))
            if name not in tensors or (name in basis.trainable) != (name in self.basis.trainable):
                raise found.refusal(type_name(self), why=f", and {basis} does not have it in this form")
            writes[name] = planned(self, name, tensors[name])
        writes["weight"] = planned(self, "weight", weight)
        return writes

    def _check_shapes(self, basis: Basis, tensors: Mapping[str, Tensor], weight: Tensor) -> None:
        """Raise ValueError if the layer cannot use these functions."""
        name = type_name(self)
        expected = {key: t.shape for key, t in basis.init(*self.widths(), device="meta").items()}
        got = {key: t.shape for key, t in tensors.items()}
        if expected != got:
            mine, theirs = ({key: tuple(shape) for key, shape in found.items()} for found in (got, expected))
            raise ValueError(f"{name}: the tensors are {mine}, {basis} needs {theirs}")
        if tuple(weight.shape) != (shape := self.weight_shape(basis.num_basis)):
            raise ValueError(f"{name}: the weight is {tuple(weight.shape)}, {basis} needs {shape}")
        self._check_names(basis, set(tensors) - set(self._basis_keys))
        if tuple(self.weight.shape) != (own := self.weight_shape(self.basis.num_basis)):
            raise RuntimeError(
                f"{name}: its own weight is {tuple(self.weight.shape)} not {own}, as in a sharded model; do this "
                "with the whole model"
            )

    def _check_names(self, basis: Basis, names: Iterable[str]) -> None:
        """Raise ValueError if the layer already has an attribute with the name of a tensor."""
        if taken := sorted(name for name in names if hasattr(self, name)):
            raise ValueError(
                f"{type(basis).__name__}: a layer has an attribute {taken[0]!r} already; rename this tensor"
            )

    def _start_basis(self, basis: Basis, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        """Give a new layer its basis, with the initial tensors."""
        tensors = basis.init(*self.widths(), device=device, dtype=dtype)
        self._check_names(basis, tensors)
        for name, tensor in tensors.items():
            self._register(name, tensor, learned=name in basis.trainable, frozen=False)
        self.basis, self._basis_keys = basis, tuple(tensors)

    def _start_base(
        self,
        base: Base,
        base_input: BaseInput | None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Give a new layer with a norm its base branch, without the weight."""
        name, feature_norm = type_name(self), isinstance(self.norm, FeatureScaling)
        self.base = resolve_base(base)
        self.base_input = check_base_input(name, base_input, self.base, feature_norm=feature_norm)
        scaled = self.base is not None and self.base_input == "scaled"
        if scaled and not (feature_norm or self.norm is None):
            raise ValueError(
                f'{name}: base_input="scaled" takes mean and deviation from the data that sets norm="feature", got the '
                f'norm {self.norm}; use base_input="z" or "x" with this norm'
            )
        self.base_norm = BaseScaling(self.widths()[0], device, dtype) if scaled else None
        if self.base_norm is not None and isinstance(self.norm, FeatureScaling) and self.norm.calibrated:
            self.base_norm.set_to(self.norm.center, self.norm.scale)  # the norm was set before the layer was made

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickled layer, also of one that was pickled before there was a `base_norm`."""
        super().__setstate__(state)
        if "base_norm" not in self._modules and "base_norm" not in self.__dict__:
            self.base_norm = None

    def check_foldable(self) -> None:
        """Raise ValueError if the layer computes something else once its norm is a part of the basis."""

    def split_input(self, x: Tensor) -> tuple[Tensor, nn.Module | None, Tensor]:
        """Return the input of the functions, the norm that it still needs, and the input of the base branch.

        Args:
            x: the columns or channels that have edges, [..., I].
        """
        if self.base is not None and self.base_input == "z":
            z = normalised(x, self.norm)
            return z, None, z.to(x.dtype)
        return x, self.norm, x if self.base_norm is None else self.base_norm(x)

    def branch_without_norm(self) -> tuple[BaseInput, BaseScaling | None]:
        """Return `base_input` and `base_norm` with which the base branch stays the same without the feature norm."""
        if self.base is None or self.base_input != "z" or not isinstance(self.norm, FeatureScaling):
            return self.base_input, copy.deepcopy(self.base_norm)
        made = BaseScaling(self.widths()[0], self.norm.center.device, self.norm.center.dtype)
        made.set_to(self.norm.center, self.norm.scale)
        return "scaled", made

    def _register(self, name: str, tensor: Tensor, *, learned: bool, frozen: bool) -> None:
        if not learned:
            self.register_buffer(name, tensor)
            return
        parameter = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, requires_grad=not frozen)
        self.register_parameter(name, parameter)

    def basis_tensors(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Return the basis' tensors by name, in `dtype` (default: unchanged)."""
        found = {name: getattr(self, name) for name in self._basis_keys}
        return found if dtype is None else {name: tensor.to(dtype) for name, tensor in found.items()}

    def edge_weights(self, weight: Tensor | None = None) -> Tensor:
        """Return a weight (default: the layer's) with the inputs I and the functions K at its end, [..., I, K]."""
        return self.weight if weight is None else weight

    def with_edge_weights(self, weights: Tensor) -> Tensor:
        """Return weights with the shape of `edge_weights` in the shape of this layer's weight."""
        return weights

    def _follow_data(self, x: Tensor) -> None:
        """Update a feature norm with training data, unless it is frozen; the first batch also sets `base_norm`."""
        if not isinstance(self.norm, FeatureScaling):
            return
        standard = self.norm.follow(x, lambda: self.basis.range_of(self.basis_tensors()))
        if standard is not None and self.base_norm is not None:
            self.base_norm.set_to(*standard)

    def _check_tensor(self, x: Tensor) -> None:
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: x must be a tensor, got {type(x).__name__}; convert it with torch.as_tensor(x)")
        if not x.is_floating_point():
            raise TypeError(f"{name}: x is {x.dtype}, a floating-point tensor is needed; convert it with x.float()")

    def _check_dtype(self, x: Tensor) -> None:
        if x.dtype != self.weight.dtype and autocast_dtype(x) is None:
            name, dtype = type(self).__name__, str(self.weight.dtype)
            raise TypeError(f"{name}: x is {x.dtype}, the weights are {dtype}; use x.to({dtype})")
