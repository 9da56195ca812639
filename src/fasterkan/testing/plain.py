"""The oracle: a KANLinear written out in a few lines of plain torch, in whatever dtype its tensors have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..nn import FeatureScaling, KANLinear, RMSNorm, RowNorm

Formula = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""phi = formula(z, params), [..., I] -> [..., I, K], or [..., O, I, K] if the basis is `per_edge`: the family's
definition, written independently of the basis."""


def plain_layer(layer: KANLinear, formula: Formula, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return what `layer` should return for x [..., I]: float64 by the definitions, other dtypes with torch's norms.

    Args:
        layer: says which norm and base there are; its own tensors are not read.
        formula: the definition of the basis.
        x: [..., I].
        tensors: the layer's parameters and buffers by their names in its state dict, in x's dtype.
    """
    z = _plain_norm(layer, x, tensors)
    params = {name: tensors[name] for name in layer.basis_tensors()}
    phi = formula(z, params).to(tensors["weight"].dtype)
    y = torch.einsum("...oik,oik->...o" if layer.basis.per_edge else "...ik,oik->...o", phi, tensors["weight"])
    if "bias" in tensors:
        y = y + tensors["bias"]
    if layer.base is not None:
        y = y + F.linear(layer.base(x), tensors["base_weight"])
    return y


def _plain_norm(layer: KANLinear, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    norm = layer.norm
    if norm is None:
        return x
    if isinstance(norm, FeatureScaling):
        return (x - tensors["norm.center"]) * tensors["norm.scale"]
    if not isinstance(norm, RowNorm):
        raise TypeError(f"plain_layer: no definition of {type(norm).__name__} is known here")
    shape, eps, weight, bias = (x.shape[-1],), norm.description.eps, tensors["norm.weight"], tensors.get("norm.bias")
    rms = isinstance(norm.description, RMSNorm)
    if x.dtype != torch.float64:
        return F.rms_norm(x, shape, weight, eps) if rms else F.layer_norm(x, shape, weight, bias, eps)
    if rms:
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight
    centred = x - x.mean(-1, keepdim=True)
    z = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * weight
    return z if bias is None else z + bias


def tensors_of(layer: KANLinear, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return fresh leaves with the layer's values in `dtype`, those of its parameters requiring gradients."""
    learned = {name for name, p in layer.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().to(dtype).clone().requires_grad_(name in learned)
        for name, tensor in layer.state_dict().items()
        if tensor.is_floating_point()
    }


def errors(got: Tensor, plain: Tensor, exact: Tensor) -> tuple[float, float]:
    """Return the largest error of `got` and that of the plain formula in the same dtype, both against float64."""
    assert got.shape == exact.shape, f"shape {tuple(got.shape)}, expected {tuple(exact.shape)}"
    if not exact.numel():
        return 0.0, 0.0
    return (got.double() - exact).abs().max().item(), (plain.double() - exact).abs().max().item()


def assert_no_worse(error: float, yardstick: float, what: str) -> None:
    """Assert that an error is at most twice the plain formula's, plus 1e-6; `what` names the value in the message."""
    assert error <= 2 * yardstick + 1e-6, f"{what}: error {error:.3e}, the plain formula's is {yardstick:.3e}"
