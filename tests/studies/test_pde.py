"""The problems of studies/pde.py: residuals against the solutions, Burgers' reference, a small Poisson fit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import fasterkan as fk

from ..seeds import seed_of

problems = pytest.mark.parametrize("name", ["poisson", "helmholtz", "burgers"])


@pytest.fixture(scope="module")
def pde(script):
    return script("_pde_problems")


@pytest.fixture
def problem(pde, name):
    return pde.PROBLEMS[name]


def inside(problem, n: int = 400) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of(0))
    low, high = torch.tensor(problem.low), torch.tensor(problem.high)
    return low + (high - low) * (0.01 + 0.98 * torch.rand(n, 2, generator=generator, dtype=torch.float64))


@problems
def test_the_solution_has_no_residual(problem):
    residual = problem.equation(lambda x: problem.solution(x).unsqueeze(-1), inside(problem))
    assert residual.shape == (400,) and residual.abs().max() < 1e-11


@problems
def test_another_function_has_a_residual(problem):
    def other(x: Tensor) -> Tensor:
        return 1.01 * problem.solution(x).unsqueeze(-1)

    assert problem.equation(other, inside(problem)).abs().max() > 1e-2


@problems
def test_the_border_is_met_by_the_solution_and_by_the_built_in_form(pde, problem):
    x, border = problem.split(pde.square(21, problem.low, problem.high))
    assert (len(x), len(border)) == ((19 * 20, 61) if problem.open_end else (19 * 19, 80))
    assert problem.border(lambda x: problem.solution(x).unsqueeze(-1), border).abs().max() == 0
    form = problem.built_in(lambda x: 3 + x[:, :1])
    assert problem.border(form, border).abs().max() < 1e-14
    assert problem.border(form, x).abs().max() > 0.1


def test_the_symmetry_of_burgers_makes_any_function_odd_in_x_and_keeps_odd_ones(pde):
    x, mirror = torch.rand(9, 2, dtype=torch.float64), torch.tensor([-1.0, 1.0], dtype=torch.float64)
    u = pde.PROBLEMS["burgers"].symmetry(lambda x: torch.exp(x[:, :1]) + x[:, 1:])
    torch.testing.assert_close(u(x * mirror), -u(x))
    torch.testing.assert_close(u(x), torch.sinh(x[:, :1]))


@problems
def test_networks_have_about_equal_sizes(script, name):
    setting, generator = script("_pde_networks").SETTINGS[name], torch.Generator().manual_seed(seed_of(0))
    kan = setting.kan(generator)
    size = sum(p.numel() for p in kan.parameters())
    mlp = setting.mlp(size, generator)
    assert abs(sum(p.numel() for p in mlp.parameters()) / size - 1) < 0.1


def test_burgers_reference_has_converged(pde):
    x = pde.square(41, (-1.0, 0.0), (1.0, 1.0))
    assert (pde.burgers_solution(x, 96) - pde.burgers_solution(x, 160)).abs().max() < 1e-13


def test_burgers_reference_is_odd_starts_right_and_is_zero_at_the_ends(pde):
    x = pde.square(21, (-1.0, 0.0), (1.0, 1.0))
    mirrored = pde.burgers_solution(x * torch.tensor([-1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(mirrored, -pde.burgers_solution(x), rtol=0, atol=1e-12)
    start = x[x[:, 1] == 0]
    torch.testing.assert_close(pde.burgers_solution(start), -torch.sin(math.pi * start[:, 0]), rtol=0, atol=1e-12)
    assert pde.burgers_solution(x[x[:, 0].abs() == 1]).abs().max() < 1e-12


def test_burgers_reference_loses_energy_as_the_equation_says(pde):
    """d/dt of the integral of u^2 / 2 is -nu times that of u_x^2; trapezoids on an even grid of a periodic function."""
    places = torch.linspace(-1, 1, 20_001, dtype=torch.float64)[:-1]

    def at(time: float) -> Tensor:
        return pde.burgers_solution(torch.stack([places, torch.full_like(places, time)], -1))

    step, width = 1e-3, 2 / len(places)
    for time in (0.2, 0.6):
        before, now, after = at(time - step), at(time), at(time + step)
        change = (after.square() - before.square()).sum() * width / (4 * step)
        slope = (now.roll(-1) - now.roll(1)) / (2 * width)
        torch.testing.assert_close(change, -pde.VISCOSITY * slope.square().sum() * width, rtol=2e-4, atol=0)


def test_burgers_reference_is_the_slope_that_was_published(pde):
    """The steepest slope, -152.00516 at t = 1.6037 / pi: Basdevant et al. (1986), table 2."""
    x = torch.tensor([[0.0, 1.6037 / math.pi]], dtype=torch.float64)
    slope = torch.func.jvp(pde.burgers_solution, (x,), (torch.tensor([[1.0, 0.0]], dtype=torch.float64),))[1]
    assert abs(float(slope) + 152.00516) < 1e-3


def test_a_small_poisson_fit_reaches_its_error(pde):
    problem = pde.PROBLEMS["poisson"]
    x = pde.square(14, problem.low, problem.high)
    net = fk.KAN(
        [2, 2, 1], fk.Chebyshev(degree=8, domain=None), norm=fk.FeatureNorm(mode="range"), dtype=torch.float64,
        generator=torch.Generator().manual_seed(seed_of(0)),
    )  # fmt: skip
    fk.fit(net, residual=problem.terms(x), starts=2, grids=(4, 8), iterations=12, polish=False, progress=False)
    assert problem.error(net, 65) < 5e-3
