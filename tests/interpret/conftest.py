"""Small networks with known functions, and fits that take a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import fasterkan as fk


def lbfgs(net: fk.KAN, x: Tensor, y: Tensor, steps: int = 80) -> None:
    """Fit a network to rows, in place."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.LBFGS(parameters, max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    net.eval()


@pytest.fixture
def train() -> Callable[..., None]:
    """The fit of a network to rows."""
    return lbfgs


@pytest.fixture
def fitted() -> Callable[..., tuple[fk.KAN, Tensor, Tensor]]:
    """Make (net, X, y): a network of some widths fitted to a function of uniform inputs, with noise."""

    def make(
        widths: list[int], function: Callable[[Tensor], Tensor], rows: int = 500, noise: float = 0.0, steps: int = 80
    ) -> tuple[fk.KAN, Tensor, Tensor]:
        x = torch.rand(rows, widths[0], dtype=torch.float64) * 2 - 1
        y = function(x)
        y = y + noise * torch.randn_like(y)
        net = fk.KAN(widths, fk.RSWAF(6), norm="feature", base="silu", dtype=torch.float64)
        net.calibrate(x)
        net.freeze()
        lbfgs(net, x, y, steps)
        return net, x, y

    return make
