"""The networks of studies/pde.py, their collocation points and how long they are fitted; chosen by the residual."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from _pde_problems import Problem, square
from torch import Tensor, nn

import fasterkan as fk

NORM = fk.FeatureNorm(mode="range")


@dataclasses.dataclass(frozen=True)
class Setting:
    """How one problem is solved."""

    widths: tuple[int, ...]
    bases: tuple[fk.Basis, ...]
    """Of each layer; all alike: a KAN, whose grids can grow."""
    side: int
    """Collocation points along each axis."""
    grids: Sequence[int] | None = None
    starts: int = 4
    iterations: int = 60
    seconds: float = 20.0
    base: str | None = None
    schedule: tuple[float, ...] = (1.0,)
    """Rounds on new random points, and how many times the viscosity each has; one round: an even grid."""
    mlp_hidden: int = 1
    """Hidden layers of the MLP."""

    @property
    def pykan(self) -> list[int]:
        """The widths for pykan."""
        return list(self.widths)

    def for_mlp(self) -> Setting:
        """Return the same for the MLP: no grids, and more iterations, as they are cheaper."""
        return dataclasses.replace(self, grids=None, iterations=self.iterations * (2 if len(self.schedule) > 1 else 20))

    def points(self, problem: Problem, seed: int, turn: int) -> Tensor:
        """Return the collocation points, border included: even, or random ones inside, denser near x = 0."""
        even = square(self.side, problem.low, problem.high)
        if len(self.schedule) == 1:
            return even
        inside, border = problem.split(even)
        generator = torch.Generator().manual_seed(1000 * seed + turn)
        drawn = torch.rand(len(inside), 2, generator=generator, dtype=torch.float64)
        drawn[:, 0] = 2 * drawn[:, 0] - 1
        drawn[::2, 0] **= 3
        return torch.cat([drawn, border])

    def kan(self, generator: torch.Generator) -> nn.Module:
        """Return the KAN, float64."""
        options = {"norm": NORM, "base": self.base, "dtype": torch.float64, "generator": generator}
        if len(set(self.bases)) == 1:
            return fk.KAN(list(self.widths), self.bases[0], **options)
        ends = zip(self.widths[:-1], self.widths[1:], self.bases, strict=True)
        return nn.Sequential(*(fk.KANLinear(i, o, basis, **options) for i, o, basis in ends))

    def mlp(self, wanted: int, generator: torch.Generator) -> nn.Module:
        """Return the tanh MLP whose number of parameters is nearest to `wanted`, float64."""
        shapes = [[2, *[h] * self.mlp_hidden, 1] for h in range(1, 200)]
        nets = [fk.MLP(s, "tanh", device="meta") for s in shapes]
        sizes = [abs(sum(p.numel() for p in net.parameters()) - wanted) for net in nets]
        return fk.MLP(shapes[sizes.index(min(sizes))], "tanh", dtype=torch.float64, generator=generator)


def chebyshev(degree: int) -> fk.Basis:
    """Return polynomials that continue outside, as hidden values may leave [-1, 1]."""
    return fk.Chebyshev(degree=degree, domain=None)


SCHEDULE = (10, 10, 5, 3, 2, 1.4, 1, 1, 1, 1, 1, 1)
"""Burgers with its own viscosity at once ends in shocks that hide between the points."""
SETTINGS = {
    "poisson": Setting((2, 2, 1), (chebyshev(12),) * 2, side=24, grids=(3, 6, 12)),
    "helmholtz": Setting((2, 2, 1), (chebyshev(26), chebyshev(2)), side=40, starts=12, iterations=120, seconds=60.0),
    "burgers": Setting(
        (2, 4, 4, 1),
        (fk.RSWAF(num_grids=6),) * 3,
        base="tanh",
        side=40,
        iterations=15,
        starts=6,
        schedule=SCHEDULE,
        seconds=90.0,
        mlp_hidden=2,
    ),
}
