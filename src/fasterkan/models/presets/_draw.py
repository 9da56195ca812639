"""The initial weights of other KAN systems, drawn as their authors do."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from ...bases import Basis
from ...nn import draw
from ...nn.base_branch import Base


def uniform_(tensor: Tensor | None, bound: float, generator: torch.Generator | None) -> None:
    """Fill with U(-bound, bound); None is ignored."""
    if tensor is not None:
        draw.uniform_(tensor, bound, generator)


def like_linear_(weight: Tensor | None, bias: Tensor | None, fan_in: int, generator: torch.Generator | None) -> None:
    """Fill both as an `nn.Linear` with `fan_in` inputs does: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    for tensor in (weight, bias):
        uniform_(tensor, 1 / math.sqrt(fan_in), generator)


def interpolated_noise(
    basis: Basis, points: int, edges: tuple[int, int], scale: float, generator: torch.Generator | None
) -> Tensor:
    """Return weights [O, I, K] whose functions are U(-scale / 2, scale / 2) at `points` points of grid_range.

    They are the smallest such weights, by least squares.

    Args:
        basis: describes the functions.
        points: number of points, with the ends of grid_range.
        edges: O, I.
        scale: width of the noise.
        generator: draws the noise.
    """
    at = torch.linspace(*basis.grid_range, points, dtype=torch.float64, device="cpu")
    tensors = basis.init(1, 1, "cpu", torch.float64)
    table = basis.evaluate(at.unsqueeze(-1), tensors).squeeze(-2)  # [points, K]
    device = torch.device("cpu") if generator is None else generator.device
    noise = torch.rand(points, *edges, generator=generator, dtype=torch.float32, device=device)
    noise = (noise.cpu().to(table.dtype) - 0.5) * scale
    return torch.einsum("kp,poi->oik", torch.linalg.pinv(table), noise)


def activation(base: Base | type[nn.Module]) -> Base:
    """Return the activation; the class of a module is instantiated, as in efficient-KAN and torchkan."""
    if inspect.isclass(base) and issubclass(base, nn.Module):
        made: Any = base()
        return made
    return base  # type: ignore[return-value]
