"""KANvolver: torchkan's convolutional network with a head of polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._check import whole_number
from ..bases.powers import Powers
from ..nn.after import build_after, split_after
from ..nn.base_branch import Base, base_name
from ..nn.computed import check_not_computed
from ._features import _Conv2d
from ._image_model import _ImageModel
from ._images import as_images, check_outputs, height_width
from .kan import KAN
from .presets._draw import activation, like_linear_

_NAME = "KANvolver"
_CHANNELS = 32


class KANvolver(_ImageModel):
    """The image classifier of torchkan: two convolutions, then layers y = relu(batchnorm(W (x, x^2) + V x)).

    Args:
        layers_hidden: widths after the features, [hidden ..., outputs].
        polynomial_order: highest power of a feature, at least 1. W has this many numbers per edge.
        base_activation: activation after a layer's batch norm: "relu" or another name, or the class of a module.
        last_activation: whether the last layer has the activation too, as in torchkan; see below.
        in_channels: C; in torchkan it is 1.
        image_size: H = W, or (H, W), in pixels, at least 4 each; in torchkan it is 28.
        device: device of all tensors.
        dtype: dtype of all tensors.
        generator: draws the weights; default torch's global one.

    Shapes: x [..., C * H * W] or [..., C, H, W] -> y [..., layers_hidden[-1]], with any leading shape. In training mode
        the batch norms use all images of a call together; at least two are needed.

    Differences from torchkan, which correct its errors:

    - There is no x^0 and no bias before a batch norm, because the batch norm removes constants. In torchkan the
      gradients of these parameters are rounding errors, and Adam turns them into steps, until the running mean is far
      off (on 3000 digits of MNIST, after three epochs: 97 % with the batch's own mean, 10 % in eval mode).
    - There is no activation after the last layer. In torchkan a ReLU there allows no negative score of a class, and
      passes no gradient where it is 0. Checkpoints of torchkan need `last_activation=True`.
    - Images of another size are refused. torchkan cuts them into more or fewer images than were given.
    - Powers are computed by products instead of `pow`.

    As in torchkan, features are not normalised before the powers, and the initial weights are those of `nn.Conv2d` and
    `nn.Linear`.

    Attributes:
        features: `conv1` C -> 16 and `conv2` 16 -> 32, 3 x 3, each followed by ReLU and 2 x 2 max-pooling.
        head: a `KAN` with the basis `Powers(polynomial_order)`; each layer has W as `weight` [O, I, K], V as
            `base_weight` [O, I], and the batch norm as `after.norm`.

    Raises:
        TypeError, ValueError: an argument lies outside its domain; on call, x has another shape or dtype, or holds one
            image only in training mode.

    Source: S. S. Bhattacharjee, TorchKAN (github.com/1ssb/torchkan, KANvolver.py, 2024).

    Example:
        >>> KANvolver([32, 10])(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        layers_hidden: Sequence[int],
        polynomial_order: int = 2,
        base_activation: Base | type[nn.Module] = "relu",
        *,
        last_activation: bool = False,
        in_channels: int = 1,
        image_size: int | Sequence[int] = 28,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = check_outputs(_NAME, layers_hidden)
        order = whole_number(_NAME, "polynomial_order", polynomial_order, 1)
        follower = base_name(activation(base_activation)) or "identity"
        if not isinstance(last_activation, bool):
            raise TypeError(f"{_NAME}: last_activation must be True or False, got {last_activation!r}")
        self.in_channels = whole_number(_NAME, "in_channels", in_channels, 1)
        self.image_size = height_width(_NAME, image_size)
        height, width = (size // 4 for size in self.image_size)
        if not height * width:
            raise ValueError(
                f"{_NAME}: an image of {self.image_size} is too small, nothing would be left after the poolings: at "
                "least 4 x 4 is needed"
            )
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.features = _Features(self.in_channels, **factory)
        self.head = KAN(
            [_CHANNELS * height * width, *widths],
            Powers(order),
            norm=None,
            base="identity",
            bias=False,
            after=f"batchnorm_{follower}",
            generator=generator,
            **factory,
        )
        if not last_activation:
            self.head.kan_layers()[-1].after = build_after("batchnorm", widths[-1], **factory)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weights as `nn.Conv2d` and `nn.Linear` do, U(-b, b) with b = fan_in^-1/2, and reset the batch norms."""
        check_not_computed("reset_parameters", self)
        for conv in (self.features.conv1, self.features.conv2):
            like_linear_(conv.weight, conv.bias, conv.weight[0].numel(), generator)
        for layer in self.head.kan_layers():
            like_linear_(layer.weight, None, layer.weight[0].numel(), generator)
            like_linear_(layer.base_weight, None, layer.in_features, generator)
            if layer.after is not None:
                layer.after.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        images, leading = as_images(_NAME, x, (self.in_channels, *self.image_size), self.features.conv1.weight)
        if self.training and len(images) < 2:
            raise ValueError(
                f"{_NAME}: x holds {len(images)} images, batch norms need two in training; add some, or call eval()"
            )
        return self.head(self.features(images)).reshape(*leading, self.layers_hidden[-1])

    @property
    def polynomial_order(self) -> int:
        """The highest power of a feature."""
        return self.head.basis.num_basis

    @property
    def base_activation(self) -> str:
        """The activation after a layer's batch norm; for the last layer see `last_activation`."""
        return split_after(self.head.kan_layers()[0].spec.after or "batchnorm")[1]

    @property
    def last_activation(self) -> bool:
        """Whether the last layer also has an activation."""
        return split_after(self.head.kan_layers()[-1].spec.after or "batchnorm")[1] != "identity"


class _Features(nn.Module):
    """Images [N, C, H, W] as features [N, 32 * (H // 4) * (W // 4)], channel by channel."""

    def __init__(self, in_channels: int, **factory: Any) -> None:
        super().__init__()
        self.conv1 = _Conv2d(in_channels, 16, 3, padding=1, **factory)
        self.conv2 = _Conv2d(16, _CHANNELS, 3, padding=1, **factory)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
