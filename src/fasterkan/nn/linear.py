"""KANLinear: a layer with a learnable function on every edge, where `nn.Linear` has a number."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._check import whole_number
from ..bases import RSWAF, Basis
from ..ops import Path, kan_linear
from .after import build_after
from .base_branch import Base, resolve_base
from .grid_care import GridCare
from .init import STANDARD_NORMAL, base_weight_std, draw_weights
from .layer import KANLayer
from .norm import Norm, build_norm


class KANLinear(KANLayer, GridCare):
    """y_o = sum_i f_oi(x_i) + b_o with f_oi(x) = sum_k W[o, i, k] phi_k(norm(x)_i) + V[o, i] base(x).

    The phi_k are the same for all edges, or for all of a feature, or each edge has its own (`Basis.per_edge`).

    Args:
        in_features: I, at least 1.
        out_features: O, at least 1.
        basis: the functions phi_k; default RSWAF().
        norm: "layer", "rms" (wide networks), "feature" (networks to read), None (x already lies in the basis'
            grid_range), a description such as `LayerNorm(affine=False)`, or a module from [..., I] to [..., I].
            "batch_range" is KAL-Net's, with a warning (`BatchRange`).
        base: None, "silu" (or "gelu", "relu", "tanh", "identity"), or a callable; the base branch acts on x, not on z.
        bias: add b [O].
        after: what follows the layer: None, "layernorm_silu", "batchnorm" or another name of `nn.After`.
        device, dtype: of all tensors, as in `nn.Linear`.
        generator: draws the weights; default torch's global one.

    Shapes: x [..., I] -> y [..., O], any leading shape, empty ones too. Under autocast y has its dtype.

    Attributes:
        weight: W [O, I, K]; base_weight: V [O, I] or None; bias: b [O] or None; the basis' tensors by their names
            (`grid`, `inv_denominator`, ...), parameters where the basis learns them, else buffers.
        mask: None, or which edges are left [O, I], booleans (`set_mask`).
        path: "auto", or a path of `fasterkan.ops` by name.
        xavier_gain: if set, `reset_parameters` draws W Xavier-uniform with this gain instead, as FasterKAN does.

    Initialisation: outputs have variance 1 and, with the norms' gain "auto", gradients keep their size (`nn.init`).

    Raises:
        TypeError, ValueError: widths, norm or base that cannot be used; on call, x of another width or dtype.

    Source: Liu et al., KAN (arXiv 2404.19756); the layout is that of A. Delis, FasterKAN (2024).

    Example:
        >>> layer = KANLinear(64, 128)
        >>> layer(torch.randn(32, 64)).shape
        torch.Size([32, 128])
    """

    bias: Tensor | None
    base_weight: Tensor | None
    mask: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        basis: Basis | None = None,
        *,
        norm: Norm = "layer",
        base: Base = None,
        bias: bool = True,
        after: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = whole_number("KANLinear", "in_features", in_features, 1)
        self.out_features = whole_number("KANLinear", "out_features", out_features, 1)
        self.basis = RSWAF() if basis is None else basis
        if not isinstance(self.basis, Basis):
            raise TypeError(f"KANLinear: basis must be a Basis such as fk.RSWAF(num_grids=8), got {basis!r}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"KANLinear: dtype must be a floating-point dtype, got {dtype}")
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        shape = (self.out_features, self.in_features)
        self.weight = nn.Parameter(torch.empty(*shape, self.basis.num_basis, **factory))
        self.base = resolve_base(base)
        has_base = self.base is not None
        self.register_parameter("base_weight", nn.Parameter(torch.empty(*shape, **factory)) if has_base else None)
        self.register_parameter("bias", nn.Parameter(torch.empty(self.out_features, **factory)) if bias else None)
        self.set_basis(self.basis, self.basis.init(self.in_features, self.out_features, **factory))
        self.norm = build_norm(norm, self.in_features, self.basis, **factory)
        self.after = build_after(after, self.out_features, **factory)
        self.register_buffer("mask", None)
        self.path: Path = "auto"
        self.xavier_gain: float | None = None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw W and V from normal distributions for which y has variance 1, set b to 0 and the basis to its start."""
        start = self.basis.init(self.in_features, self.out_features, self.weight.device, self.weight.dtype)
        with torch.no_grad():
            for name, tensor in start.items():
                getattr(self, name).copy_(tensor)
        initial = getattr(self.norm, "initial", STANDARD_NORMAL)
        share = 1.0 if self.base is None else 0.5**0.5
        if self.xavier_gain is None:
            draw_weights(self.weight, self.basis, self.in_features, initial, share=share, generator=generator)
        else:
            nn.init.xavier_uniform_(self.weight.flatten(1), self.xavier_gain, generator)
        if self.base is not None and self.base_weight is not None:
            std = share * base_weight_std(self.base, self.in_features)
            nn.init.normal_(self.base_weight, std=std, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.set_mask(self.mask)

    def set_mask(self, mask: Tensor | None) -> None:
        """Switch edges off: their weights become 0 and stay 0 in training; None lets all of them learn again.

        The mask is saved with the layer. It costs one product of the size of the weights in each forward, nothing
        where it is None.

        Args:
            mask: True for the edges that are left, [O, I].

        Raises:
            TypeError, ValueError: no boolean tensor, or of another shape.
        """
        if mask is None:
            self.mask = None
            return
        shape = (self.out_features, self.in_features)
        if not isinstance(mask, Tensor):
            raise TypeError(f"KANLinear.set_mask: mask must be a tensor of booleans, got {type(mask).__name__}")
        if mask.dtype != torch.bool:
            raise TypeError(f"KANLinear.set_mask: mask must be a tensor of booleans, got {mask.dtype}")
        if mask.shape != shape:
            raise ValueError(f"KANLinear.set_mask: mask is {tuple(mask.shape)}, expected [O, I] = {shape}")
        self.mask = mask.to(self.weight.device, copy=True)
        with torch.no_grad():
            self.weight.mul_(self.mask.unsqueeze(-1))
            if self.base_weight is not None:
                self.base_weight.mul_(self.mask)

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        z = x if self.norm is None else self.norm(x)
        if z.shape != x.shape:
            raise ValueError(f"KANLinear: the norm made {tuple(z.shape)} of {tuple(x.shape)}; it must keep the shape")
        z = z.to(torch.promote_types(z.dtype, torch.float32))  # the basis is evaluated in float32 or more
        weight, base_weight = self.weight, self.base_weight
        if self.mask is not None:  # no gradient reaches the edges that are off
            weight = weight * self.mask.unsqueeze(-1)
            base_weight = None if base_weight is None else base_weight * self.mask
        y = kan_linear(z, weight, self.bias, self.basis, self.basis_tensors(z.dtype), path=self.path)
        if self.base is not None and base_weight is not None:
            y = y + F.linear(self.base(x), base_weight)
        return y if self.after is None else self.after(y)

    def check_input(self, x: Tensor) -> None:
        """Raise TypeError or ValueError unless the layer can take x."""
        self._check_tensor(x)
        if x.dim() == 0 or x.shape[-1] != self.in_features:
            got = f"{x.shape[-1]} features" if x.dim() else "no dimension"
            raise ValueError(f"KANLinear: x has {got}, in_features is {self.in_features} (x is {tuple(x.shape)})")
        self._check_dtype(x)

    def extra_repr(self) -> str:
        base = "" if self.base is None else f", base={getattr(self.base, '__name__', self.base)}"
        return f"{self.in_features}, {self.out_features}, basis={self.basis}{base}, bias={self.bias is not None}"
