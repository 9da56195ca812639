"""From the same imported weights: the losses of each project's network and of ours after 100 equal steps.

python benchmarks/equal_losses.py --peers PEERS [--widths 784,64,10] [--steps 100]
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from _common import write_results

import fasterkan as fk
from fasterkan.bench import PEERS
from fasterkan.data import train_validation_test

SOURCES = {
    "fast-kan": "fast-kan",
    "efficient-kan": "efficient-kan",
    "ChebyKAN": "cheby-kan",
    "torchkan KAL-Net": "torchkan",
    "pykan": "pykan",
}
"""Peer -> source of `fk.import_checkpoint`. The original FasterKAN is left out: its own gradients are wrong."""


def imported(peer: str, theirs: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """Return our network with the weights of theirs, through a file as a user has it."""
    if peer == "pykan":
        theirs.saveckpt(str(folder / "pykan"))
        return fk.import_checkpoint(folder / "pykan", source="pykan")
    path = folder / "weights.pt"
    torch.save(theirs.state_dict(), path)
    return fk.import_checkpoint(path, source=SOURCES[peer])


def folded(peer: str, theirs: torch.nn.Module) -> torch.nn.Module | None:
    """Return their network with the learned factor of each spline multiplied into its coefficients and held at 1.

    The function is the same and so is then every step: efficient-KAN and pykan learn such a factor beside the
    coefficients, which makes other steps of the same gradient. None where a project has no such factor.
    """
    if peer not in ("efficient-kan", "pykan"):
        return None
    theirs = copy.deepcopy(theirs)
    with torch.no_grad():
        for layer in theirs.layers if peer == "efficient-kan" else theirs.act_fun:
            weight, factor = (
                (layer.spline_weight, layer.spline_scaler) if peer == "efficient-kan" else (layer.coef, layer.scale_sp)
            )
            weight.mul_(factor.unsqueeze(-1))
            factor.fill_(1).requires_grad_(False)
    return theirs


def losses(model: torch.nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> list[float]:
    """Return the loss of each step of AdamW, learning rate 1e-3."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    found = []
    model.train()
    for x, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--widths", default="784,64,10")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    widths = [int(width) for width in args.widths.split(",")]
    train, _, _ = train_validation_test("mnist")
    x = train.images.flatten(1).float() / 127.5 - 1
    batches = [(x[i * 64 : i * 64 + 64], train.labels[i * 64 : i * 64 + 64]) for i in range(args.steps)]
    rows = []
    for peer in SOURCES:
        torch.manual_seed(0)
        small = [widths[0], 8, widths[-1]] if peer == "pykan" else widths
        functions = {"ChebyKAN": 5, "torchkan KAL-Net": 4}.get(peer, 8)
        plain = PEERS[peer].build(PEERS[peer].load(args.peers), small, functions)
        for form, theirs in (("as it is", plain), ("factor folded", folded(peer, plain))):
            if theirs is None:
                continue
            with tempfile.TemporaryDirectory() as folder:
                ours = imported(peer, theirs, Path(folder))
            with torch.no_grad():
                y = theirs.eval()(batches[0][0])
                difference = float((ours.eval()(batches[0][0]) - y).norm() / y.norm())
            a, b = losses(theirs, batches), losses(ours, batches)
            last = [sum(one[-10:]) / 10 for one in (a, b)]
            rows.append(
                {
                    "peer": peer,
                    "version": PEERS[peer].version(args.peers),
                    "form": form,
                    "widths": small,
                    "output_difference": difference,
                    "first_loss": [a[0], b[0]],
                    "last_loss": last,
                    "relative": abs(last[0] - last[1]) / last[0],
                }
            )
            print(rows[-1], flush=True)
    print(f"written to {write_results('equal_losses', rows)}")


if __name__ == "__main__":
    main()
