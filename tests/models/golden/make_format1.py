"""Writes the folders of format 1 that tests read: run with fasterkan 0.1.0 at commit faff47c, which wrote that format.

    git checkout faff47c && python tests/models/golden/make_format1.py tests/models/golden/format1

Each zip holds one folder of `save_pretrained` and `expected.safetensors` beside it: inputs x, outputs y.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import safetensors.torch
import torch

import fasterkan as fk


def rows(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def seeded(make):
    torch.manual_seed(7)
    return make().eval()


def reader() -> fk.KAN:
    net = fk.KAN([3, 4, 2], fk.BSpline(grid_size=4), norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(3 * rows(50, 3).double() + 1)
    return net


def pruned() -> fk.KAN:
    net = fk.KAN([4, 3, 1], fk.BSpline(grid_size=3), norm="feature", base="silu")
    x = rows(200, 4)
    net.calibrate(x)
    with torch.no_grad():
        net.layers[0].weight[:, 2] = 0
        net.layers[0].base_weight[:, 2] = 0
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1, 0] = False
    net.layers[0].set_mask(mask)
    small = fk.prune(net, x, net(x).detach(), tolerance=1e-4, nodes=False).net
    assert small.kept_inputs is not None
    assert any(layer.mask is not None for layer in small.kan_layers())
    return small


def moved() -> fk.KAN:
    net = fk.KAN([3, 3, 1], fk.BSpline(grid_size=4), norm="layer")
    net.layers[0].update_grid(rows(100, 3).pow(3))
    return net


def folded() -> fk.KAN:
    net = fk.KAN([2, 3, 1], fk.RSWAF(num_grids=5), norm="feature", base="silu")
    net.calibrate(rows(50, 2))
    net.fold()
    return net


def refined() -> fk.FasterKAN:
    net = fk.FasterKAN([4, 5, 2], num_grids=5, train_grid=True)
    with torch.no_grad():
        net.layers[0].grid.add_(0.1)
    return net


def plain(model: torch.nn.Module) -> torch.nn.Module:
    """Numbers that compress: three values a tensor."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.numel() > 5000:
                pattern = torch.arange(tensor.numel()).remainder(3).view(tensor.shape)
                tensor.copy_((pattern - 1) * tensor.std())
    return model


MODELS = {
    "KAN": (lambda: fk.KAN([5, 4, 3], first_affine=False), rows(6, 5)),
    "KAN-feature": (reader, 3 * rows(6, 3).double() + 1),
    "KAN-pruned": (pruned, rows(6, 4)),
    "KAN-moved-grid": (moved, rows(6, 3)),
    "KAN-folded": (folded, rows(6, 2)),
    "KAN-list-of-norms": (lambda: fk.ChebyKAN([4, 5, 2]), rows(6, 4)),
    "KAN-after": (lambda: fk.KALNet([4, 5, 2]), rows(6, 4)),
    "KAN-wavelets": (lambda: fk.WavKAN([4, 5, 2]), rows(6, 4)),
    "KAN-sines": (lambda: fk.KAN([4, 3, 2], fk.Sine(num_frequencies=4), norm="rms", bias=False), rows(6, 4)),
    "FasterKAN": (refined, rows(6, 4)),
    "FasterKAN-base": (
        lambda: fk.FasterKAN([4, 5, 2], base_activation="silu", exponent=3, norm_gain="auto"),
        rows(6, 4),
    ),
    "FasterKANvolver": (lambda: plain(fk.FasterKANvolver([2], num_grids=2, image_size=16)), rows(2, 256)),
    "KANvolver": (lambda: plain(fk.KANvolver([6, 3], image_size=8)), rows(2, 64)),
    "ResKANNet": (lambda: fk.ResKANNet([5, 3], (3, 4), basis=fk.RSWAF(num_grids=3), image_size=8), rows(2, 64)),
    "MLP": (lambda: fk.MLP([4, 6, 2], activation="gelu"), rows(6, 4)),
}

if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", UserWarning)
    for name, (make, x) in MODELS.items():
        with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
            model = seeded(make)
            model.save_pretrained(temporary)
            safetensors.torch.save_file({"x": x, "y": model(x)}, Path(temporary) / "expected.safetensors")
            shutil.make_archive(str(target / name), "zip", temporary)
