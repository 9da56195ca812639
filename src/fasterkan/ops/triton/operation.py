"""The operation behind the path: panel by kernel, product by torch, and the gradients in the same way."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from ...bases import Basis, Params
from ..call import LinearCall, in_dtype
from ..lean import Needs, lean
from ..norm_form import NormForm
from ..precision import at_least_float32
from ..reference import kan_linear_reference
from ..row_norms import row_norm_gradients
from .launch import Moments, Wanted, fits, gradients_of, panel_of
from .table import Family

KEEP_BYTES = 128 << 20
"""A panel [N, I * K] up to this size is kept for the backward, which is a little faster; a larger one is made again."""

_GAIN, _SHIFT = "norm.gain", "norm.shift"


def kan_linear_fused(call: LinearCall, norm: NormForm | None, family: Family) -> Tensor:
    """Return the result of `kan_linear_reference` on norm(x), differentiable to any order.

    Args:
        call: the call; its norm is `norm`.
        norm: the norm as numbers, or None.
        family: how the kernels compute the basis.
    """
    x, params = call.x, dict(call.params)
    if norm is not None:
        params[_GAIN] = norm.gain
        if norm.shift is not None:
            params[_SHIFT] = norm.shift
    operation = _Fused(call.basis, family, None if norm is None else norm.kind, 0.0 if norm is None else norm.eps)
    if x.dim() == 2:
        return lean(operation, x, call.weight, call.bias, params)
    rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])  # [N, I]
    return lean(operation, rows, call.weight, call.bias, params).view(*x.shape[:-1], call.weight.shape[0])


@dataclasses.dataclass(frozen=True)
class _Fused:
    """A `LeanOperation` on rows x [N, I]; the norm belongs to it, and its tensors are among `params`."""

    basis: Basis
    family: Family
    kind: Literal["layer", "rms", "feature"] | None
    eps: float

    def formula(self, z: Tensor, weight: Tensor, params: Params) -> Tensor:
        norm = self._norm(params)
        z = at_least_float32(z) if norm is None else norm.apply(z)
        own = {name: t for name, t in params.items() if name not in (_GAIN, _SHIFT)}
        return kan_linear_reference(z, weight, None, self.basis, in_dtype(own, z.dtype))

    def forward(
        self, z: Tensor, weight: Tensor, bias: Tensor | None, params: Params, dtype: torch.dtype, needs: Needs
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        norm, w = self._norm(params), weight.flatten(1).to(dtype)  # [O, I*K]
        panel, moments = self._panel(z.contiguous(), norm, params, dtype, keep_moments=bool(needs))
        y = torch.nn.functional.linear(panel, w, None if bias is None else bias.to(dtype))
        if not needs:
            return y, ()
        kept = [t for t in moments if t is not None]
        if dtype != weight.dtype:
            kept.append(w)
        if needs["weight"] and panel.numel() * panel.element_size() <= KEEP_BYTES:
            kept.append(panel)
        return y, tuple(kept)

    def gradients(
        self,
        z: Tensor,
        weight: Tensor,
        params: Params,
        kept: tuple[Tensor, ...],
        dy: Tensor,
        dtype: torch.dtype,
        needs: Needs,
    ) -> dict[str, Tensor]:
        """Sums over rows are computed in float32 or more."""
        norm, rows, rest = self._norm(params), z.contiguous(), list(kept)
        moments = Moments(rest.pop(0), rest.pop(0)) if self.kind in ("layer", "rms") else Moments(None, None)
        w = weight.flatten(1) if dtype == weight.dtype else rest.pop(0)  # [O, I*K]
        grads: dict[str, Tensor] = {}
        if needs["weight"]:
            panel = rest.pop() if rest else self._panel(rows, norm, params, dtype, keep_moments=False)[0]
            grads["weight"] = _rows_summed(dy, panel, weight.dtype).view_as(weight)
            del panel
        if any(need for name, need in needs.items() if name not in ("weight", "bias")):
            grads |= self._through(rows, norm, moments, params, dy @ w, needs)
        return grads

    def _through(
        self, x: Tensor, norm: NormForm | None, moments: Moments, params: Params, dpanel: Tensor, needs: Needs
    ) -> dict[str, Tensor]:
        """The gradients of x, of the norm and of the basis."""
        gain, shift = needs.get(_GAIN, False), needs.get(_SHIFT, False)
        learned = self.family.learned or ("", "")
        wanted = Wanted(needs["z"], gain, shift, *(needs.get(name, False) for name in learned))
        tensors, functions = self.family.tensors(self.basis, params), self.basis.num_basis
        found = gradients_of(x, norm, moments, self.family, tensors, functions, dpanel, wanted)
        if norm is not None and not fits(norm, x.shape[1], functions):
            assert found.x is not None
            bias = None if norm.shift is None else norm.shift.float()
            pair = [t for t in moments if t is not None] if norm.kind == "layer" else None
            needed = (needs["z"], gain, shift)
            dx, dgain, dshift = row_norm_gradients(x.float(), norm.gain.float(), bias, norm.eps, pair, found.x, needed)
            found = found._replace(x=dx, gain=dgain, shift=dshift)
        like = {"z": x, **params}
        names = ("z", _GAIN, _SHIFT, *learned)
        grads = {name: g for name, g in zip(names, found, strict=True) if g is not None}
        return {name: g.to(like[name].dtype).view_as(like[name]) for name, g in grads.items()}

    def _panel(
        self, x: Tensor, norm: NormForm | None, params: Params, dtype: torch.dtype, *, keep_moments: bool
    ) -> tuple[Tensor, Moments]:
        tensors = self.family.tensors(self.basis, params)
        return panel_of(x, norm, self.family, tensors, self.basis.num_basis, dtype, keep_moments=keep_moments)

    def _norm(self, params: Params) -> NormForm | None:
        """The norm, with its tensors among `params`."""
        return None if self.kind is None else NormForm(self.kind, params[_GAIN], params.get(_SHIFT), self.eps)


def _rows_summed(dy: Tensor, panel: Tensor, dtype: torch.dtype) -> Tensor:
    """dy^T @ panel, [N, O] and [N, I*K] -> [O, I*K]; on CUDA, half precision is not rounded before it is float32."""
    if dtype == torch.float32 != dy.dtype and dy.is_cuda and len(dy):
        return torch.mm(dy.t(), panel, out_dtype=dtype)
    return (dy.t() @ panel).to(dtype)
