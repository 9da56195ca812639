"""The reference for the tests: a KANLinear in a few lines of plain torch, in any dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..nn import FeatureScaling, KANLinear, RMSNorm, RowNorm

Formula = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""phi = formula(z, params), [..., I] -> [..., I, K], or [..., O, I, K] if the basis is `per_edge`. This is the
definition of the functions, written independently of the basis."""

DRAWS = 8
"""How many inputs are drawn where rounding errors are compared: that of a single one is a matter of luck."""


def plain_layer(layer: KANLinear, formula: Formula, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the correct output of `layer` for x [..., I].

    For float64 the norms are computed by their definitions. For other dtypes they are torch's norms.

    Args:
        layer: gives the norm and the base branch. Its own tensors are not used.
        formula: the definition of the basis.
        x: [..., I].
        tensors: the layer's parameters and buffers in x's dtype, by their names in the state dict.
    """
    z = _plain_norm(layer, x, tensors)
    params = {name: tensors[name] for name in layer.basis_tensors()}
    phi = formula(z, params).to(tensors["weight"].dtype)
    y = torch.einsum("...oik,oik->...o" if layer.basis.per_edge else "...ik,oik->...o", phi, tensors["weight"])
    if "bias" in tensors:
        y = y + tensors["bias"]
    if layer.base is not None:
        seen = {"x": x, "z": z.to(x.dtype)}.get(layer.base_input)
        if seen is None:
            seen = (x - tensors["base_norm.center"]) * tensors["base_norm.scale"]
        y = y + F.linear(layer.base(seen), tensors["base_weight"])
    return y


def _plain_norm(layer: KANLinear, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    norm = layer.norm
    if norm is None:
        return x
    if isinstance(norm, FeatureScaling):
        return (x - tensors["norm.center"]) * tensors["norm.scale"]
    if not isinstance(norm, RowNorm):
        raise TypeError(f"plain_layer: {type(norm).__name__} has no definition here")
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
    """Return new leaf tensors with the layer's values in `dtype`; those of its parameters require gradients."""
    learned = {name for name, p in layer.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().to(dtype).clone().requires_grad_(name in learned)
        for name, tensor in layer.state_dict().items()
        if tensor.is_floating_point()
    }


def errors(got: Tensor, plain: Tensor, exact: Tensor) -> tuple[float, float]:
    """Return the largest errors of `got` and of the plain formula in the same dtype, both against float64."""
    assert got.shape == exact.shape, f"shape {tuple(got.shape)}, expected {tuple(exact.shape)}"
    if not exact.numel():
        return 0.0, 0.0
    return (got.double() - exact).abs().max().item(), (plain.double() - exact).abs().max().item()


def assert_no_worse(error: float, yardstick: float, what: str) -> None:
    """Assert that an error is at most twice that of the plain formula, plus 1e-6; `what` names the value."""
    assert error <= 2 * yardstick + 1e-6, f"{what}: error {error:.3e}, the plain formula's is {yardstick:.3e}"
