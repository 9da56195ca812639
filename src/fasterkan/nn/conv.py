"""KANConv1d, KANConv2d, KANConv3d: convolutions with a learnable function where `nn.Conv2d` has a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..bases import RSWAF, Basis
from ..ops import CONV_PATHS, ConvCall, ConvGeometry, choose, conv_call
from .base_branch import Base, BaseInput
from .calibration import Calibratable
from .draw import normal_
from .init import base_weight_std, draw_weights
from .layer import KANLayer
from .norm import Norm, start_of
from .padding import PaddingMode, per_dimension, resolve_padding
from .pixel_norm import build_pixel_norm
from .writing import check_writable, draw, write


class _KANConv(KANLayer, Calibratable):
    """A convolution in any number of spatial dimensions; see `KANConv2d`."""

    ndim: ClassVar[int]
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | Literal["same", "valid"] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        basis: Basis | None = None,
        *,
        norm: Norm = "layer",
        base: Base = None,
        base_input: BaseInput | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels = whole_number(name, "in_channels", in_channels, 1)
        self.out_channels = whole_number(name, "out_channels", out_channels, 1)
        self.groups = whole_number(name, "groups", groups, 1)
        for what, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{name}: {what} {channels} is not a multiple of groups {self.groups}")
        self.kernel_size = per_dimension(name, "kernel_size", kernel_size, self.ndim, 1)
        self.stride = per_dimension(name, "stride", stride, self.ndim, 1)
        self.dilation = per_dimension(name, "dilation", dilation, self.ndim, 1)
        self.geometry = ConvGeometry(self.stride, self.dilation, self.groups)
        self.pad = resolve_padding(name, padding, padding_mode, self.kernel_size, self.stride, self.dilation)
        self.padding, self.padding_mode = padding, padding_mode
        basis = RSWAF() if basis is None else basis
        if not isinstance(basis, Basis):
            raise TypeError(f"{name}: basis must be a Basis such as fk.RSWAF(num_grids=8), got {basis!r}")
        if basis.per_edge:
            raise ValueError(
                f"{name}: {type(basis).__name__} has tensors for each edge, but a convolution evaluates the basis once "
                "per pixel for all outputs; use a basis that outputs share, such as fk.RSWAF()"
            )
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"{name}: dtype must be a floating-point dtype, got {dtype}")
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        shape = (self.out_channels, self.in_channels // self.groups)
        with torch.inference_mode(False):  # else the tensors could never be trained
            self.weight = nn.Parameter(torch.empty(*self.weight_shape(basis.num_basis), **factory))
            base_weight = None if base is None else nn.Parameter(torch.empty(*shape, *self.kernel_size, **factory))
            self.register_parameter("base_weight", base_weight)
            self.register_parameter("bias", nn.Parameter(torch.empty(self.out_channels, **factory)) if bias else None)
            self._start_basis(basis, **factory)
            self.norm = build_pixel_norm(name, norm, self.in_channels, self.groups, basis, **factory)
            self._start_base(base, base_input, **factory)
        self.path: str = "auto"
        self.reset_parameters(generator)

    def widths(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels

    def weight_shape(self, num_basis: int) -> tuple[int, ...]:
        return self.out_channels, self.in_channels // self.groups, num_basis, *self.kernel_size

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw W and V so that y has variance 1, set b to 0, and reset the basis' tensors to their initial values.

        Raises:
            RuntimeError: a tensor is computed and does not take new values; nothing is then changed.
        """
        check_writable("reset_parameters", "", self, self.tensor_names(), shards=True)
        write(self, self.basis.init(self.in_channels, self.out_channels, self.weight.device, self.weight.dtype))
        taps = math.prod(self.kernel_size)
        fan = self.in_channels // self.groups * taps
        share = 1.0 if self.base is None else 0.5**0.5
        z = start_of(self.norm, self.basis)
        options: dict[str, Any] = {"share": share, "dim": 2, "generator": generator}
        draw(self, "weight", lambda w: draw_weights(w, self.basis, fan, z, **options))
        if self.base is not None and self.base_weight is not None:
            std = share * base_weight_std(self.base, self.in_channels) * (self.in_channels / fan) ** 0.5
            draw(self, "base_weight", lambda w: normal_(w, std, generator))
        if self.bias is not None:
            draw(self, "bias", nn.init.zeros_)

    def check_foldable(self) -> None:
        if self.padding_mode == "zeros" and any(width for pair in self.pad.widths for width in pair):
            raise ValueError(
                f'fold: {type(self).__name__} pads z = norm(x) with zeros (padding_mode="zeros"), and without the norm '
                'it would pad x with zeros; keep the norm, or use padding_mode="reflect", "replicate" or "circular"'
            )

    def edge_weights(self, weight: Tensor | None = None) -> Tensor:
        """Return a weight (default: the layer's) as [O / groups, *kernel, C, K]."""
        weight = self.weight if weight is None else weight
        parts = weight.unflatten(0, (self.groups, -1))  # [groups, O / groups, C / groups, K, *kernel]
        return parts.movedim((0, 2, 3), (-3, -2, -1)).flatten(-3, -2)

    def with_edge_weights(self, weights: Tensor) -> Tensor:
        """Return weights [O / groups, *kernel, C, K] as the weight of this layer."""
        parts = weights.unflatten(-2, (self.groups, -1))  # [O / groups, *kernel, groups, C / groups, K]
        return parts.movedim((-3, -2, -1), (0, 2, 3)).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self._check_input(x)
        pixels = (x.unsqueeze(0) if single else x).movedim(1, -1)  # [B, *S, C]
        if self.training:
            self._follow_data(pixels)
        call, seen = self._call(pixels)
        y = choose(CONV_PATHS, self.path, call)[0].run(call)
        if self.base is not None and self.base_weight is not None:
            images = self.pad(seen).movedim(-1, 1)  # [B, C, *S]
            y = y + self.geometry.convolve(self.base(images), self.base_weight, None)
        return y.squeeze(0) if single else y

    def which_path(self, x: Tensor) -> tuple[str, str]:
        """Return the name of the path that would compute this layer for x, and the reason; nothing is computed.

        Raises:
            RuntimeError: the path in `path` cannot compute this call.
        """
        single = self._check_input(x)
        call, _ = self._call((x.unsqueeze(0) if single else x).movedim(1, -1))
        path, reason = choose(CONV_PATHS, self.path, call)
        return path.name, reason

    def _call(self, pixels: Tensor) -> tuple[ConvCall, Tensor]:
        """The operation on the pixels, and the input of the base branch."""
        x, norm, seen = self.split_input(pixels)
        tensors = self.basis_tensors()
        return conv_call(x, self.weight, self.bias, self.basis, tensors, self.geometry, norm, self.pad), seen

    def _check_input(self, x: Tensor) -> bool:
        """Raise if x cannot be used; return whether it is one image without a batch dimension."""
        self._check_tensor(x)
        name, dims = type(self).__name__, " ".join(("D", "H", "W")[-self.ndim :])
        if x.dim() not in (self.ndim + 1, self.ndim + 2) or x.shape[-self.ndim - 1] != self.in_channels:
            raise ValueError(
                f"{name}: x is {tuple(x.shape)}, expected [B, C, {dims.replace(' ', ', ')}] or without B, "
                f"in_channels C is {self.in_channels}"
            )
        self._check_dtype(x)
        sizes = x.shape[-self.ndim :]
        if complaint := self.pad.complaint(sizes):
            raise ValueError(f"{name}: x is {tuple(x.shape)}: {complaint}")
        if min(self.geometry.output_sizes(self.pad.sizes(sizes), self.kernel_size)) < 1:
            raise ValueError(
                f"{name}: x is {tuple(x.shape)}, with padding {tuple(self.pad.sizes(sizes))}: too small for "
                f"kernel_size {self.kernel_size}, dilation {self.dilation}"
            )
        return x.dim() == self.ndim + 1

    def extra_repr(self) -> str:
        said = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"]
        plain = {"stride": (1,) * self.ndim, "padding": 0, "dilation": (1,) * self.ndim, "groups": 1}
        plain |= {"padding_mode": "zeros"}
        said += [f"{k}={getattr(self, k)!r}" for k, v in plain.items() if getattr(self, k) != v]
        base = [] if self.base is None else [f"base={getattr(self.base, '__name__', self.base)}"]
        base += ['base_input="z"'] if self.base is not None and self.base_input == "z" else []
        return ", ".join([*said, f"basis={self.basis}", *base, f"bias={self.bias is not None}"])


class KANConv2d(_KANConv):
    """y[o, p] = b_o + sum_cj f_ocj(x[c, s p + d j]): a convolution with a learnable function for each weight.

    f_ocj(x) = sum_k W[o, c, k, j] phi_k(z) + V[o, c, j] base(x), where j runs over the kernel. z = norm(x) is computed
    at each pixel over the channels of its group, and then padded. The basis is evaluated once per pixel.
    `padding_mode="zeros"` pads with z = 0, and with 0 the input of the base branch: the functions there have the value
    phi_k(0), not 0.

    Args:
        in_channels: C, a multiple of groups.
        out_channels: O, a multiple of groups.
        kernel_size: one number for each spatial dimension, or one number for all. The same holds for stride, padding
            and dilation.
        stride: s, at least 1.
        padding: positions added on each side, "same" (the output has the input's size; stride 1) or "valid" (none).
        dilation: d, at least 1.
        groups: number of parts into which the channels are divided; an output depends on the inputs of its part only.
        bias: add b [O].
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        basis: the functions phi_k; default RSWAF(). A basis with tensors per feature has them per channel.
        norm: "layer", "rms" (over the channels of a group), "feature" (each channel alone), None (x already lies in the
            basis' grid_range), a description such as `LayerNorm(affine=False)`, or a module from [B, H, W, C] to
            [B, H, W, C].
        base: None, "silu" (or "gelu", "relu", "tanh", "identity"), or a callable on [B, C, H, W].
        base_input: input of the base branch, as in `KANLinear`.
        device, dtype: of all tensors, as in `nn.Conv2d`.
        generator: draws the weights; default torch's global one.

    Shapes: x [B, C, H, W] -> y [B, O, H', W'] with H' = (H + 2 padding - d (kernel - 1) - 1) // s + 1;
        [C, H, W] -> [O, H', W']. B may be 0. In memory the channels of y come last. Under autocast y has the dtype of
        autocast.

    Attributes:
        weight: W [O, C / groups, K, *kernel]; base_weight: V [O, C / groups, *kernel] or None; bias: b [O] or None; the
            basis' tensors by their names.
        path: "auto", or the name of a path of `fasterkan.ops`.

    Initialisation: as in a `KANLinear` with C / groups * (positions of the kernel) inputs, so that y has variance 1.

    Raises:
        TypeError, ValueError: an argument cannot be used; LayerNorm or RMSNorm of groups of one channel (with two
            channels LayerNorm gives a warning); a basis with tensors for each edge; on call, x has another shape or
            dtype, or is too small.

    Source: Bodner et al., Convolutional KANs (arXiv 2406.13155).

    Example:
        >>> layer = KANConv2d(16, 32, 3, stride=2, padding=1)
        >>> layer(torch.randn(8, 16, 28, 28)).shape
        torch.Size([8, 32, 14, 14])
    """

    ndim = 2


class KANConv1d(_KANConv):
    """The one-dimensional `KANConv2d`, for sequences: x [B, C, L] -> y [B, O, L'], or without B.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, basis, norm,
            base, base_input: as in `KANConv2d`, with one spatial dimension.
        device, dtype, generator: as in `KANConv2d`.

    Raises:
        TypeError, ValueError: as `KANConv2d`.

    Example:
        >>> KANConv1d(4, 8, 5, padding="same")(torch.randn(3, 4, 100)).shape
        torch.Size([3, 8, 100])
    """

    ndim = 1


class KANConv3d(_KANConv):
    """The three-dimensional `KANConv2d`, for volumes: x [B, C, D, H, W] -> y [B, O, D', H', W'], or without B.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, basis, norm,
            base, base_input: as in `KANConv2d`, with three spatial dimensions.
        device, dtype, generator: as in `KANConv2d`.

    Raises:
        TypeError, ValueError: as `KANConv2d`.

    Example:
        >>> KANConv3d(4, 8, (1, 3, 3), padding=(0, 1, 1))(torch.randn(2, 4, 5, 9, 9)).shape
        torch.Size([2, 8, 5, 9, 9])
    """

    ndim = 3
