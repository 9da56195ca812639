"""What a linear layer and a convolution share: a basis whose tensors are the layer's, and the checks of an input."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..bases import Basis
from ..ops import autocast_dtype
from .calibration import Calibratable


class KANLayer(Calibratable):
    """A layer with a learnable function on every edge: `weight` [O, I, K, ...] and the tensors of a basis.

    Attributes:
        weight: the weights of the basis' functions.
        basis: their description.
    """

    weight: Tensor
    basis: Basis
    norm: nn.Module | None
    _basis_keys: tuple[str, ...] = ()

    def set_basis(self, basis: Basis, tensors: Mapping[str, Tensor]) -> None:
        """Replace the basis and its tensors; the weight must fit it, or be replaced by the caller."""
        for name in self._basis_keys:
            delattr(self, name)
        for name, tensor in tensors.items():
            if hasattr(self, name):
                raise ValueError(
                    f"{type(basis).__name__}: a layer has an attribute {name!r} already; rename this tensor"
                )
            if name in basis.trainable:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self.basis, self._basis_keys = basis, tuple(tensors)

    def basis_tensors(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Return the basis' tensors by name, in `dtype` (default their own)."""
        return {name: getattr(self, name).to(dtype or self.weight.dtype) for name in self._basis_keys}

    def edge_weights(self) -> Tensor:
        """Return the weight with the inputs I and the functions K as its last two dimensions, [..., I, K]."""
        return self.weight

    def set_edge_weights(self, weights: Tensor) -> None:
        """Write what `edge_weights` returned, changed by the caller, into the weight."""
        with torch.no_grad():
            self.weight.copy_(weights)

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
