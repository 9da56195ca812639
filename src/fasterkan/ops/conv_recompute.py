"""The lean convolution: it keeps only its input, and computes the basis again in the backward, in chunks of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ..bases import Basis, Params
from .conv_reference import ConvGeometry, as_panel, kan_conv_reference
from .lean import Needs, lean

KEEP_BYTES = 4 << 20
"""A basis [B, *S, C, K] up to this size is kept for the backward, with the tensors that its derivative needs."""

CHUNK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}
"""Bytes of the basis of one chunk of images, by device type (others as "cuda"); a chunk has at least one image."""

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def kan_conv_recompute(
    z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params, geometry: ConvGeometry
) -> Tensor:
    """Return `kan_conv_reference` without keeping the basis [B, *S, C, K]; arguments as in `kan_conv`."""
    return lean(_ImageChunks(basis, geometry), z, weight, bias, params)


@dataclasses.dataclass(frozen=True)
class _ImageChunks:
    """A `LeanOperation` on images z [B, *S, C]; the basis exists for one chunk of images at a time."""

    basis: Basis
    geometry: ConvGeometry

    def formula(self, z: Tensor, weight: Tensor, params: Params) -> Tensor:
        return kan_conv_reference(z, weight, None, self.basis, params, self.geometry)

    def forward(
        self, z: Tensor, weight: Tensor, bias: Tensor | None, params: Params, dtype: torch.dtype, needs: Needs
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        w, b = _kernel(weight, dtype), None if bias is None else bias.to(dtype)
        sizes = self.geometry.output_sizes(z.shape[1:-1], weight.shape[3:])
        y = torch.empty(z.shape[0], *sizes, weight.shape[0], dtype=dtype, device=z.device).movedim(-1, 1)
        kept: tuple[Tensor, ...] = ()
        differentiated = bool(needs) and (needs["z"] or any(needs[k] for k in params))
        for images in _chunks(z, self.basis):
            phi, saved = self.basis.evaluate_for_vjp(z[images], params)
            y[images] = self.geometry.convolve(as_panel(phi.to(dtype)), w, b)
            if phi.shape[0] == z.shape[0] and phi.numel() * phi.element_size() <= KEEP_BYTES:
                kept = (phi, *saved) if differentiated else (phi,) if needs.get("weight") else ()
        return y, kept

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
        """Sums over chunks of images are computed in float32 or more."""
        wrt = frozenset(k for k in ("z", *params) if needs[k])
        w = _kernel(weight, dtype)  # [O, C / groups * K, *kernel]
        dz = torch.empty_like(z) if needs["z"] else None
        dw = torch.zeros_like(w, dtype=z.dtype) if needs["weight"] else None
        dparams = {k: torch.zeros_like(params[k], dtype=z.dtype) for k in params if needs[k]}
        for images in _chunks(z, self.basis):
            phi, saved = (kept[0], kept[1:]) if kept else self.basis.evaluate_for_vjp(z[images], params)
            wanted = (bool(wrt), dw is not None)
            dpanel, dw_images = self.geometry.gradients(dy[images], as_panel(phi.to(dtype)), w, wanted)
            if dw is not None and dw_images is not None:
                dw += dw_images
            if dpanel is not None:
                dphi = dpanel.movedim(1, -1).to(z.dtype).reshape(phi.shape)  # [b, *S, C, K]
                dz_images, found = self.basis.vjp(z[images], params, phi, saved, dphi, wrt)
                if dz is not None and dz_images is not None:
                    dz[images] = dz_images
                for name, value in found.items():
                    dparams[name] += value
        grads = {k: g.to(params[k].dtype) for k, g in dparams.items()}
        if dz is not None:
            grads["z"] = dz
        if dw is not None:
            grads["weight"] = dw.contiguous().view(weight.shape).to(weight.dtype)
        return grads


def _kernel(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight [O, C / groups, K, *kernel] as a plain kernel, with the memory layout of the panel."""
    w = weight.flatten(1, 2).to(dtype)
    return w.contiguous(memory_format=_FORMATS.get(w.dim(), torch.contiguous_format))


def _chunks(z: Tensor, basis: Basis) -> Iterator[slice]:
    """The images of z in slices whose basis has at most `CHUNK_BYTES`."""
    budget = CHUNK_BYTES.get(z.device.type, CHUNK_BYTES["cuda"])
    step = max(1, budget // max(1, z[:1].numel() * basis.num_basis * z.element_size()))
    return (slice(start, start + step) for start in range(0, z.shape[0], step))
