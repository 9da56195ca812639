"""ResKANNet: a small residual network of KAN convolutions for small images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._check import whole_number
from ..bases import RSWAF, Basis, basis_from_config
from ..nn import KANConv2d
from ..nn.base_branch import Base, base_name
from ..nn.draw import normal_
from ._features import _Conv2d
from ._image_model import _ImageModel
from ._images import as_images, check_outputs, height_width
from .kan import KAN
from .presets._draw import like_linear_

_NAME = "ResKANNet"


class ResKANNet(_ImageModel):
    """An image classifier of residual blocks of 3 x 3 `KANConv2d`, for images of about 32 x 32.

    A plain 3 x 3 convolution computes the first channels from the image. Each further stage halves the image and
    changes the number of channels. The mean over the positions is the input of a `KAN`. A batch norm follows every
    convolution. Without it the functions' common offsets, which are the same at all pixels, are larger than the
    differences between images.

    Args:
        layers_hidden: widths after the last stage, [hidden ..., outputs]; [10] is one layer.
        channels: number of channels of each stage, at least 3 each.
        blocks: number of residual blocks of each stage.
        basis: the functions in blocks and head; default RSWAF(num_grids=4).
        base: base branch of blocks and head, as in `KANLinear`: None or a name.
        in_channels: C.
        image_size: H = W, or (H, W), in pixels.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., C * H * W] or [..., C, H, W] -> y [..., layers_hidden[-1]], with any leading shape. In training mode
        the batch norms use all images of a call together; at least two are needed.

    Attributes:
        stem: the first convolution and its norm; stages: the blocks one after the other; norm: the norm of the mean
            over the positions; head: the `KAN` after it.

    Raises:
        TypeError, ValueError: an argument lies outside its domain; on call, x has another shape or dtype, or holds one
            image only in training mode.

    Source: the residual blocks of He et al. (arXiv 1512.03385), with KAN convolutions instead of convolution and ReLU.

    Example:
        >>> ResKANNet([10], in_channels=3, image_size=32)(torch.rand(5, 3, 32, 32)).shape
        torch.Size([5, 10])
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        layers_hidden: Sequence[int],
        channels: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
        basis: Basis | None = None,
        *,
        base: Base = None,
        in_channels: int = 1,
        image_size: int | Sequence[int] = 28,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = check_outputs(_NAME, layers_hidden)
        if not isinstance(channels, list | tuple) or not channels:
            raise TypeError(
                f"{_NAME}: channels must be a list of at least one number, such as (16, 32, 64); got {channels!r}"
            )
        self.channels = tuple(whole_number(_NAME, f"channels[{i}]", c, 3) for i, c in enumerate(channels))
        self.blocks = whole_number(_NAME, "blocks", blocks, 1)
        basis = RSWAF(num_grids=4) if basis is None else basis
        self.in_channels = whole_number(_NAME, "in_channels", in_channels, 1)
        self.image_size = height_width(_NAME, image_size)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        options: dict[str, Any] = {"base": base_name(base), "generator": generator, **factory}
        stem = _Conv2d(self.in_channels, self.channels[0], 3, padding=1, bias=False, **factory)
        like_linear_(stem.weight, None, stem.weight[0].numel(), generator)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(self.channels[0], **factory))
        self.stages = nn.Sequential()
        before = self.channels[0]
        for stage, width in enumerate(self.channels):
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                self.stages.append(KANBlock(before, width, stride, basis, **options))
                before = width
        self.norm = nn.BatchNorm1d(before, **factory)
        self.head = KAN([before, *widths], basis, **options)

    def forward(self, x: Tensor) -> Tensor:
        images, leading = as_images(_NAME, x, (self.in_channels, *self.image_size), self.norm.weight)
        if self.training and len(images) < 2:
            raise ValueError(
                f"{_NAME}: x holds {len(images)} images, batch norms need two in training; add some, or call eval()"
            )
        features = self.stages(self.stem(images)).mean((2, 3))
        return self.head(self.norm(features)).reshape(*leading, self.layers_hidden[-1])

    @property
    def basis(self) -> Basis:
        """The basis of the blocks."""
        return self._first_block().conv1.basis

    @property
    def base(self) -> str | None:
        """The name of the base branch of the blocks, or None."""
        return base_name(self._first_block().conv1.base)

    def _first_block(self) -> KANBlock:
        block = self.stages[0]
        assert isinstance(block, KANBlock)
        return block

    def to_config(self) -> dict[str, Any]:
        blocks = {"channels": list(self.channels), "blocks": self.blocks}
        return {**blocks, "basis": self.basis.to_config(), "base": self.base, **super().to_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **factory: Any) -> ResKANNet:
        return super().from_config({**config, "basis": basis_from_config(config["basis"])}, **factory)

    @classmethod
    def from_format_1(
        cls, config: Mapping[str, Any], state: dict[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return super().from_format_1({**config, "basis": basis_from_config(config["basis"])}, state)


class KANBlock(nn.Module):
    """shortcut(x) + norm(f(norm(g(x)))), f, g 3 x 3 KAN convolutions: [N, C, H, W] -> [N, O, ceil(H / s), ceil(W / s)].

    The shortcut is x, or the mean over s x s positions and a 1 x 1 convolution where the shape changes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        basis: Basis,
        *,
        base: Base = None,
        generator: torch.Generator | None = None,
        **factory: Any,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": False, "basis": basis, "base": base, "generator": generator, **factory}
        self.stride = stride
        self.conv1 = KANConv2d(in_channels, out_channels, 3, stride, 1, **options)
        self.norm1 = nn.BatchNorm2d(out_channels, **factory)
        self.conv2 = KANConv2d(out_channels, out_channels, 3, 1, 1, **options)
        self.norm2 = nn.BatchNorm2d(out_channels, **factory)
        self.shortcut: nn.Conv2d | None = None
        if stride > 1 or in_channels != out_channels:
            self.shortcut = _Conv2d(in_channels, out_channels, 1, bias=False, **factory)
            normal_(self.shortcut.weight, in_channels**-0.5, generator)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm2(self.conv2(self.norm1(self.conv1(x))))
        if self.shortcut is None:
            return x + y
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        return self.shortcut(x) + y
