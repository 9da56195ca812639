"""The convolutions in front of a FasterKANvolver: an image [C, H, W] becomes 256 features."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.computed import check_not_computed
from ..nn.draw import uniform_

NUM_FEATURES = 256
SMALLEST_IMAGE = 16  # smallest s with (s // 2 // 2 - 2) // 2 >= 1, the size after three poolings and one edge


class ConvFeatures(nn.Module):
    """A stem, two residual blocks with squeeze-excite gates, then self-attention, averaged over the positions.

    Shapes: [N, C, H, W] -> [N, 256]; H, W >= 16.

    Args:
        in_channels: C.
        device, dtype: of all tensors, as in `nn.Conv2d`.
        generator: draws the weights; default torch's global one.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        in_channels: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.stem = _Conv2d(in_channels, 32, 3, padding=1, **factory)
        self.stem_norm = nn.BatchNorm2d(32, **factory)
        self.block1 = ResidualBlock(32, 64, **factory)
        self.gate1 = SqueezeExcite(64, **factory)
        self.depthwise = _Conv2d(64, 64, 3, groups=64, **factory)
        self.pointwise = _Conv2d(64, 128, 1, **factory)
        self.block2 = ResidualBlock(128, NUM_FEATURES, **factory)
        self.gate2 = SqueezeExcite(NUM_FEATURES, **factory)
        self.attention = AttentionPool(NUM_FEATURES, **factory)
        self.dropout = nn.Dropout(0.25)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weights and biases from U(-b, b), b = fan_in^-1/2; norms and attention are identities at the start."""
        check_not_computed("reset_parameters", self)
        for module in self.modules():
            if isinstance(module, _Conv2d | _Linear):
                bound = module.weight[0].numel() ** -0.5
                uniform_(module.weight, bound, generator)
                if module.bias is not None:
                    uniform_(module.bias, bound, generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        nn.init.zeros_(self.attention.gamma)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_norm(F.relu(self.stem(x)))
        x = self.dropout(F.max_pool2d(x, 2))
        x = self.block1(x)
        x = self.dropout(self.gate1(x) * F.max_pool2d(x, 2))  # a gate is positive: pooling first gives the same
        x = F.relu(self.pointwise(self.depthwise(x)))
        x = self.block2(x)
        x = self.dropout(self.gate2(x) * F.max_pool2d(x, 2))
        return self.attention(x)


class ResidualBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + norm(conv1x1(x))) with 3x3 convolutions: [N, I, H, W] -> [N, O, H, W]."""

    def __init__(self, in_channels: int, out_channels: int, **factory: Any) -> None:
        super().__init__()
        self.conv1 = _Conv2d(in_channels, out_channels, 3, padding=1, bias=False, **factory)
        self.norm1 = nn.BatchNorm2d(out_channels, **factory)
        self.conv2 = _Conv2d(out_channels, out_channels, 3, padding=1, bias=False, **factory)
        self.norm2 = nn.BatchNorm2d(out_channels, **factory)
        self.shortcut = _Conv2d(in_channels, out_channels, 1, bias=False, **factory)
        self.shortcut_norm = nn.BatchNorm2d(out_channels, **factory)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut_norm(self.shortcut(x)))


class SqueezeExcite(nn.Module):
    """One gate in (0, 1) per channel, sigmoid(U relu(V mean(x))): [N, C, H, W] -> [N, C, 1, 1].

    Source: Hu et al. (arXiv 1709.01507); the reduction is 16.
    """

    def __init__(self, channels: int, **factory: Any) -> None:
        super().__init__()
        self.squeeze = _Linear(channels, channels // 16, bias=False, **factory)
        self.excite = _Linear(channels // 16, channels, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))  # [N, C]
        return gate[:, :, None, None]


class AttentionPool(nn.Module):
    """The mean over positions of x + gamma V softmax(q k^T): [N, C, H, W] -> [N, C]; q and k are C / 8 wide, unscaled.

    The mean is taken before the sum over keys and before V, so V is applied to one vector per image.
    Source: Zhang et al. (arXiv 1805.08318).
    """

    def __init__(self, channels: int, **factory: Any) -> None:
        super().__init__()
        self.query = _Conv2d(channels, channels // 8, 1, **factory)
        self.key = _Conv2d(channels, channels // 8, 1, **factory)
        self.value = _Conv2d(channels, channels, 1, **factory)
        self.gamma = nn.Parameter(torch.zeros(1, **factory))

    def forward(self, x: Tensor) -> Tensor:
        query, key = self.query(x).flatten(2), self.key(x).flatten(2)  # [N, C / 8, H W]
        attention = (query.transpose(1, 2) @ key).softmax(-1).mean(1)  # [N, H W], of each key over all queries
        seen = x.flatten(2) @ attention.to(x.dtype).unsqueeze(-1)  # [N, C, 1]
        return self.gamma * self.value(seen.unsqueeze(-1)).flatten(1) + x.mean((2, 3))


class _Conv2d(nn.Conv2d):
    """A convolution that draws no random numbers; `ConvFeatures.reset_parameters` draws them with its generator."""

    def reset_parameters(self) -> None:
        """Leave the tensors as they were allocated."""


class _Linear(nn.Linear):
    """A linear map that draws no random numbers; `ConvFeatures.reset_parameters` draws them with its generator."""

    def reset_parameters(self) -> None:
        """Leave the tensors as they were allocated."""
