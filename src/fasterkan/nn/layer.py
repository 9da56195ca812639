"""The common part of linear layers and convolutions: the tensors of the basis, and the checks of an input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from ..bases import Basis
from ..ops import autocast_dtype
from .base_branch import BaseInput
from .feature_norm import FeatureScaling


class KANLayer(nn.Module):
    """A layer with a learnable function on every edge: `weight` [O, I, K, ...] and the tensors of a basis.

    Attributes:
        weight: the weights of the basis' functions.
        basis: the description of these functions.
        norm: the module that computes z from x, or None.
        base: the activation of the base branch, or None.
        base_input: input of the base branch: "x", the layer's input, or "z" = norm(x).
    """

    weight: Tensor
    basis: Basis
    norm: nn.Module | None
    base: Callable[[Tensor], Tensor] | None
    base_input: BaseInput = "x"
    _basis_keys: tuple[str, ...] = ()

    @abstractmethod
    def widths(self) -> tuple[int, int]:
        """Return the numbers (inputs, outputs) with which the basis makes its tensors."""

    @abstractmethod
    def weight_shape(self, num_basis: int) -> tuple[int, ...]:
        """Return the shape of the weight for K functions."""

    @torch.no_grad()
    def set_functions(self, basis: Basis, tensors: Mapping[str, Tensor], weight: Tensor) -> None:
        """Replace the basis, its tensors and the weight together; all changes of a layer's functions use this method.

        The layer stores copies, on its device and in its dtype. A parameter that keeps its shape is overwritten in
        place, so optimisers can continue with it. Otherwise the parameter is new, and frozen if the old one was frozen;
        then make a new optimiser.

        Args:
            basis: the new description.
            tensors: its tensors by name, with the shapes from `basis.init`.
            weight: the weights of its functions, [O, I, K, ...].

        Raises:
            ValueError: the tensors or the weight do not fit the basis or the layer. The layer is then unchanged.
        """
        self._check_functions(basis, tensors, weight)
        device, dtype = self.weight.device, self.weight.dtype
        frozen = {name for name in self._basis_keys if not getattr(self, name).requires_grad}
        frozen &= set(self.basis.trainable)
        old = {name: getattr(self, name) for name in self._basis_keys}
        for name in self._basis_keys:
            delattr(self, name)
        for name, tensor in tensors.items():
            before, value = old.get(name), tensor.detach().to(device, dtype)
            learned = name in basis.trainable
            if before is not None and before.shape == value.shape and isinstance(before, nn.Parameter) == learned:
                made = before.copy_(value)
            else:
                made = value.clone()
            self._register(name, made, learned=learned, frozen=name in frozen)
        self.basis, self._basis_keys = basis, tuple(tensors)
        if weight.shape == self.weight.shape:
            self.weight.copy_(weight)
        else:
            made = weight.detach().to(device, dtype, copy=True)
            self.weight = nn.Parameter(made, requires_grad=self.weight.requires_grad)

    def _check_functions(self, basis: Basis, tensors: Mapping[str, Tensor], weight: Tensor) -> None:
        """Raise ValueError if the layer cannot use these functions."""
        name = type(self).__name__
        expected = {key: t.shape for key, t in basis.init(*self.widths(), device="meta").items()}
        got = {key: t.shape for key, t in tensors.items()}
        if expected != got:
            mine, theirs = ({key: tuple(shape) for key, shape in found.items()} for found in (got, expected))
            raise ValueError(f"{name}: the tensors are {mine}, {basis} needs {theirs}")
        if tuple(weight.shape) != (shape := self.weight_shape(basis.num_basis)):
            raise ValueError(f"{name}: the weight is {tuple(weight.shape)}, {basis} needs {shape}")
        self._check_names(basis, set(tensors) - set(self._basis_keys))

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

    def edge_weights(self) -> Tensor:
        """Return the weight with the inputs I and the functions K as its last two dimensions, [..., I, K]."""
        return self.weight

    def with_edge_weights(self, weights: Tensor) -> Tensor:
        """Return weights with the shape of `edge_weights` in the shape of this layer's weight."""
        return weights

    def _follow_data(self, x: Tensor) -> None:
        """Update a feature norm with training data, unless it is frozen."""
        if isinstance(self.norm, FeatureScaling):
            self.norm.follow(x, lambda: self.basis.range_of(self.basis_tensors()))

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
