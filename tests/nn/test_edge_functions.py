"""The functions on the edges, against the layer's own outputs and against their definitions."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.nn.edge_functions import (
    basis_table,
    before_norm,
    behind_norm,
    edge_values,
    moments,
    nodes,
    points_of_x,
    range_of_x,
    range_of_z,
    tabulate,
)

LAYERS = {
    "spline": lambda: fk.KANLinear(3, 2, fk.BSpline(grid_size=4), norm="feature", base="silu", dtype=torch.float64),
    "base on z": lambda: fk.KANLinear(
        3, 2, fk.Hat(5), norm="feature", base="silu", base_input="z", dtype=torch.float64
    ),
    "edges": lambda: fk.KANLinear(3, 2, fk.Wavelet("dog"), norm="feature", base="tanh", dtype=torch.float64),
    "no norm": lambda: fk.KANLinear(3, 2, fk.RSWAF(5), norm=None, dtype=torch.float64),
}


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> fk.KANLinear:
    made = LAYERS[request.param]()
    if made.norm is not None:
        made.calibrate(rows())
    made.set_mask(torch.tensor([[True, True, False], [True, True, True]]))
    return made.eval()


def rows() -> torch.Tensor:
    return torch.randn(60, 3, dtype=torch.float64) * torch.tensor([0.3, 1.0, 20.0]) + torch.tensor([0.0, 1.0, -5.0])


def test_values_sum_to_the_outputs(layer: fk.KANLinear) -> None:
    x = rows()
    torch.testing.assert_close(edge_values(layer, x).sum(-1) + layer.bias, layer(x), rtol=1e-11, atol=1e-11)


def test_each_edge_is_the_layer_with_all_others_off(layer: fk.KANLinear) -> None:
    x = rows()
    values, mask = edge_values(layer, x).detach(), layer.mask.clone()
    state = {k: t.clone() for k, t in layer.state_dict().items()}
    for o, i in ((0, 1), (1, 2)):
        one = torch.zeros_like(mask)
        one[o, i] = True
        layer.set_mask(one)
        torch.testing.assert_close(values[:, o, i], (layer(x) - layer.bias)[:, o], rtol=1e-11, atol=1e-11)
        layer.load_state_dict(state)


def test_tables_of_values_and_slopes(layer: fk.KANLinear) -> None:
    grid, pairs = points_of_x(layer, rows(), 7), torch.tensor([[0, 0], [1, 2]])
    values, slopes = tabulate(layer, grid, pairs)
    all_values = edge_values(layer, grid).detach()
    step = 1e-6 * (grid[-1] - grid[0])
    for e, (o, i) in enumerate(pairs.tolist()):
        torch.testing.assert_close(values[:, e], all_values[:, o, i], rtol=1e-12, atol=1e-12)
        shifted = [edge_values(layer, grid + sign * step).detach()[1:-1, o, i] for sign in (1, -1)]
        finite = (shifted[0] - shifted[1]) / (2 * step[i])
        if not isinstance(layer.basis, fk.Hat):  # kinks
            torch.testing.assert_close(slopes[1:-1, e], finite, rtol=1e-4, atol=1e-4 * float(finite.abs().max()))


def test_moments_are_those_of_the_values(layer: fk.KANLinear, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows()
    values = edge_values(layer, x).detach()
    for chunk in (1 << 22, 40):  # all rows at once, and one after the other
        monkeypatch.setattr("fasterkan.nn.edge_functions.CHUNK", chunk)
        mean, variance, covariance = moments(layer, x)
        torch.testing.assert_close(mean, values.mean(0), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(variance, values.var(0, correction=0), rtol=1e-8, atol=1e-10)
        assert (covariance is None) == layer.basis.per_edge


def test_ranges_in_units_of_z_and_of_x(layer: fk.KANLinear) -> None:
    low, high = range_of_z(layer)
    for end, start in zip((low, high), layer.basis.grid_range, strict=True):
        torch.testing.assert_close(end, torch.full((3,), start, dtype=torch.float64), rtol=0, atol=1e-9)
    first, last = range_of_x(layer)
    if layer.norm is None:
        assert torch.equal(first, low) and torch.equal(last, high)
        return
    torch.testing.assert_close(layer.norm(first), low, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(layer.norm(last), high, rtol=1e-9, atol=1e-9)
    x = rows()
    torch.testing.assert_close(before_norm(layer, behind_norm(layer, x)), x, rtol=1e-10, atol=1e-10)


def test_points_cover_the_data_or_the_range(layer: fk.KANLinear) -> None:
    x = rows()
    seen = points_of_x(layer, x, 5)
    assert torch.equal(seen[0], x.amin(0)) and torch.equal(seen[-1], x.amax(0))
    torch.testing.assert_close(seen.diff(dim=0), (seen[1] - seen[0]).expand(4, 3))
    unseen = points_of_x(layer, None, 5)
    assert torch.equal(unseen[0], range_of_x(layer)[0]) and torch.equal(unseen[-1], range_of_x(layer)[1])


def test_a_table_of_the_basis_over_its_range(layer: fk.KANLinear) -> None:
    z, phi = basis_table(layer, 9)
    assert torch.equal(z[0], range_of_z(layer)[0]) and torch.equal(z[-1], range_of_z(layer)[1])
    torch.testing.assert_close(phi, layer.basis.evaluate(z, layer.basis_tensors()).detach())


def test_behind_norm_selects_columns_and_leaves_the_norm_alone() -> None:
    layer = fk.KANLinear(2, 1, fk.BSpline(), norm="feature", dtype=torch.float64).train()
    x = torch.randn(30, 4, dtype=torch.float64)
    layer.calibrate(x[:, [1, 3]])
    layer.take_inputs([1, 3], 4)
    before = {k: t.clone() for k, t in layer.state_dict().items()}
    z = behind_norm(layer, 3 * x)
    torch.testing.assert_close(z, (3 * x[:, [1, 3]] - layer.norm.center) * layer.norm.scale)
    assert layer.training and layer.norm.training
    assert all(torch.equal(t, before[k]) for k, t in layer.state_dict().items())


def test_bumps_are_compared_beyond_the_grid_as_far_as_their_centres() -> None:
    """Half of the centres lie beyond each end of -1 ... 1, at equal distances: 4 of 12 beyond either end."""
    basis = fk.RSWAF(12, (-1.0, 1.0), beyond=4)
    z, inside = nodes(basis, basis.init(2, 1, dtype=torch.float64), 2)
    assert z.shape[1] == 2 and (z[:inside].amin(), z[:inside].amax()) == pytest.approx((-1, 1))
    below, above = z[inside:].chunk(2)
    step = 2 / 3  # between the four centres on the grid
    assert (below.amin(), below.amax()) == pytest.approx((-1 - 4 * step, -1))
    assert (above.amin(), above.amax()) == pytest.approx((1, 1 + 4 * step))
