"""FasterKANvolver: the convolutional network of the original with its KAN head; every argument has an effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .._check import whole_number
from ..nn.base_branch import Base
from ._features import NUM_FEATURES, SMALLEST_IMAGE, ConvFeatures
from ._image_model import _ImageModel
from ._images import as_images, check_outputs, height_width
from ._namesake import check_own
from .fasterkan import FasterKAN

_NAME = "FasterKANvolver"


class FasterKANvolver(_ImageModel):
    """The image classifier of the FasterKAN project: convolutions to 256 features, then a FasterKAN.

    Args:
        layers_hidden: widths after the 256 features, [hidden ..., outputs]; [10] is one layer.
        grid_min, grid_max: first and last centre of the head's grid, in units of the normalised input.
        num_grids, exponent, inv_denominator, train_grid, train_inv_denominator, base_activation,
            spline_weight_init_scale, norm_gain: arguments of the head, as in `FasterKAN`.
        view: the image as [-1, C, H, W]; None takes in_channels and image_size, by default [-1, 1, 28, 28].
        in_channels: C; default 1.
        image_size: H = W, or (H, W), in pixels, at least 16 each; default 28.
        device, dtype, generator: as in `KANLinear`.

    Shapes: x [..., C * H * W] or [..., C, H, W] -> y [..., layers_hidden[-1]], with any leading shape. In training mode
        the batch norms use all images of a call together.

    Attributes:
        features: the convolutions, [N, C, H, W] -> [N, 256]; head: the FasterKAN after them.

    Raises:
        TypeError, ValueError: an argument lies outside its domain; view contradicts in_channels or image_size; the
            image is so small that nothing is left after the poolings; on call, x has another shape or dtype.

    Source: A. Delis, FasterKAN (2024).

    Example:
        >>> FasterKANvolver([64, 10], in_channels=3, image_size=32)(torch.rand(5, 3, 32, 32)).shape
        torch.Size([5, 10])
    """

    head_class = FasterKAN

    def __init__(
        self,
        layers_hidden: Sequence[int],
        grid_min: float = -1.2,
        grid_max: float = 0.2,
        num_grids: int = 8,
        exponent: float = 2,
        inv_denominator: float | Literal["auto"] = 1.0,
        train_grid: bool = False,
        train_inv_denominator: bool = False,
        base_activation: Base | Callable[[Tensor], Tensor] = None,
        spline_weight_init_scale: float = 1.0,
        view: Sequence[int] | None = None,
        *,
        in_channels: int | None = None,
        image_size: int | Sequence[int] | None = None,
        norm_gain: float | Literal["auto"] = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = check_outputs(_NAME, layers_hidden)
        self.in_channels, self.image_size = _image(view, in_channels, image_size)
        self.features = ConvFeatures(self.in_channels, device=device, dtype=dtype, generator=generator)
        self.head = FasterKAN(
            [NUM_FEATURES, *widths],
            grid_min,
            grid_max,
            num_grids,
            exponent,
            inv_denominator,
            train_grid,
            train_inv_denominator,
            base_activation,
            spline_weight_init_scale,
            norm_gain=norm_gain,
            device=device,
            dtype=dtype,
            generator=generator,
        )

    def forward(self, x: Tensor) -> Tensor:
        image = (self.in_channels, *self.image_size)
        images, leading = as_images(_NAME, x, image, self.features.stem.weight)
        if self.training and images.shape[0] == 0:
            raise ValueError(f"{_NAME}: x holds no image, training needs one; skip the batch or use eval()")
        return self.head(self.features(images)).reshape(*leading, self.layers_hidden[-1])

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_own(_NAME, state, "image_size")
        super().__setstate__(state)


def _image(view: object, in_channels: object, image_size: object) -> tuple[int, tuple[int, int]]:
    """Return (C, (H, W)) from view, or from in_channels and image_size."""
    channels = None if in_channels is None else whole_number(_NAME, "in_channels", in_channels, 1)
    size = None if image_size is None else height_width(_NAME, image_size)
    if view is not None:
        if not isinstance(view, list | tuple) or len(view) != 4 or view[0] != -1:
            raise ValueError(f"{_NAME}: view must be [-1, channels, height, width], got {view!r}")
        said = whole_number(_NAME, "view[1]", view[1], 1)
        height, width = (whole_number(_NAME, f"view[{i}]", view[i], 1) for i in (2, 3))
        if channels not in (None, said):
            raise ValueError(f"{_NAME}: view={list(view)} has {said} channels, in_channels={channels}; give only one")
        if size not in (None, (height, width)):
            raise ValueError(f"{_NAME}: view={list(view)} is {height} x {width}, image_size={size}; give only one")
        channels, size = said, (height, width)
    height, width = size or (28, 28)
    if min(height, width) < SMALLEST_IMAGE:
        raise ValueError(
            f"{_NAME}: an image of {height} x {width} is too small, nothing would be left after the poolings: "
            f"at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} is needed; enlarge or pad the images"
        )
    return channels or 1, (height, width)
