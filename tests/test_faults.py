"""The nine proven faults of the original FasterKAN, each named by a test that fails where the fault is.

The ninth lies in its CUDA extension (no 1/h in the backward, float32 only); here every device runs the same formula,
so its test is that of the missing factor, in each dtype. The eighth is of FasterKANvolver.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fasterkan as fk

from .seeds import seed_of

DOUBLE = torch.float64


def formula(net: fk.FasterKAN, x: Tensor, grid: Tensor, inverse: Tensor) -> Tensor:
    """A [I, O] FasterKAN by its definition."""
    layer = net.layers[0]
    z = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    t = torch.tanh((z.unsqueeze(-1) - grid) * inverse)
    return torch.einsum("nik,oik->no", 1 - t * t, layer.weight)


def test_fault_1_forward_obeys_inv_denominator() -> None:
    x = torch.randn(5, 6, dtype=DOUBLE)
    outputs = []
    for inverse in (0.5, 5.0):
        net = fk.FasterKAN(
            [6, 4], inv_denominator=inverse, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed_of(0))
        )
        expected = formula(net, x, net.layers[0].grid, torch.tensor(inverse, dtype=DOUBLE))
        torch.testing.assert_close(net(x), expected)
        outputs.append(net(x))
    assert (outputs[0] - outputs[1]).abs().max() > 0.1


def test_default_computes_what_the_original_computes() -> None:
    net, x = fk.FasterKAN([6, 4], dtype=DOUBLE), torch.randn(5, 6, dtype=DOUBLE)
    torch.testing.assert_close(
        net(x), formula(net, x, torch.linspace(-1.2, 1.2, 8, dtype=DOUBLE), torch.ones((), dtype=DOUBLE))
    )


def gradients(dtype: torch.dtype = DOUBLE) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients of a learned-grid network and of the definition, by name."""
    net = fk.FasterKAN([6, 4], inv_denominator=0.5, train_grid=True, train_inv_denominator=True, dtype=dtype)
    layer = net.layers[0]
    x = torch.randn(5, 6, dtype=dtype, requires_grad=True)
    leaves = {"x": x, "grid": layer.grid, "inv_denominator": layer.inv_denominator, "weight": layer.weight}
    both = []
    for y in (net(x), formula(net, x, layer.grid, layer.inv_denominator)):
        grads = torch.autograd.grad(y.square().sum(), list(leaves.values()))
        both.append(dict(zip(leaves, grads, strict=True)))
    return both[0], both[1]


def test_fault_2_input_gradient_is_that_of_the_forward() -> None:
    got, expected = gradients()
    torch.testing.assert_close(got["x"], expected["x"])


@pytest.mark.parametrize("name", ["grid", "inv_denominator"])
def test_fault_3_gradients_of_learned_grid_and_width(name: str) -> None:
    got, expected = gradients()
    torch.testing.assert_close(got[name], expected[name])


def test_fault_3_width_has_no_gradient_where_nothing_depends_on_it() -> None:
    """One centre at z = 0 and inputs that LayerNorm maps there: the value is 1 whatever h is."""
    net = fk.FasterKAN([4, 2], grid_min=-1, grid_max=1, num_grids=3, train_inv_denominator=True)
    with torch.no_grad():
        net.layers[0].weight[:, :, [0, 2]] = 0
    net(torch.ones(3, 4)).sum().backward()
    assert net.layers[0].inv_denominator.grad == 0


def test_fault_4_exponent_scale_and_base_have_effect() -> None:
    def net(**options) -> fk.FasterKAN:
        return fk.FasterKAN([6, 4], dtype=DOUBLE, generator=torch.Generator().manual_seed(seed_of(0)), **options)

    x, layer = torch.randn(5, 6, dtype=DOUBLE), net(exponent=3).layers[0]
    z = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    cubic = torch.einsum("nik,oik->no", 1 - torch.tanh(z.unsqueeze(-1) - layer.grid).abs() ** 3, layer.weight)
    torch.testing.assert_close(net(exponent=3)(x), cubic)
    torch.testing.assert_close(net(spline_weight_init_scale=3.0)(x), 3 * net()(x))
    plain, with_base = net(), net(base_activation="silu")
    with_base.layers[0].weight = plain.layers[0].weight
    branch = torch.nn.functional.silu(x) @ with_base.layers[0].base_weight.T
    torch.testing.assert_close(with_base(x) - branch, plain(x))


@pytest.mark.parametrize("shape", [(6,), (0, 6), (2, 3, 6), (2, 0, 6)], ids=str)
def test_fault_5_any_leading_shape(shape: tuple[int, ...]) -> None:
    net = fk.FasterKAN([6, 5, 4])
    x = torch.randn(shape)
    torch.testing.assert_close(
        net(x).reshape(-1), net(x.reshape(-1, 6) if x.numel() else x.new_zeros(0, 6)).reshape(-1)
    )
    assert net(x).shape == (*shape[:-1], 4)


@pytest.mark.parametrize("layers", [[1, 4], [6, 1, 4]], ids=str)
def test_fault_5_one_feature_is_refused_with_the_remedy(layers: list[int]) -> None:
    with pytest.raises(ValueError, match='LayerNorm of one feature is 0 whatever the input: use norm="feature"'):
        fk.FasterKAN(layers)


def test_fault_6_double_backward_is_right() -> None:
    net = fk.FasterKAN([6, 4], inv_denominator=0.5, dtype=DOUBLE)
    x = torch.randn(5, 6, dtype=DOUBLE, requires_grad=True)
    results = []
    for y in (net(x), formula(net, x, net.layers[0].grid, net.layers[0].inv_denominator)):
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        results.append(torch.autograd.grad(first.square().sum(), [x, net.layers[0].weight]))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected)


def test_fault_7_compile_and_functional_transforms_work() -> None:
    torch._dynamo.reset()
    net, x = fk.FasterKAN([6, 5, 4]), torch.randn(3, 6)
    torch.testing.assert_close(torch.compile(net, fullgraph=True, backend="aot_eager")(x), net(x))
    torch.testing.assert_close(torch.func.vmap(net)(x), net(x))
    jacobian = torch.func.jacrev(net)(x[0])
    torch.testing.assert_close(jacobian, torch.func.jacfwd(net)(x[0]))


def test_fault_7_nothing_of_the_size_of_the_basis_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fasterkan.ops.recompute.KEEP_BYTES", 0)
    net, x, sizes = fk.FasterKAN([32, 16]), torch.randn(50, 32), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        net(x)
    assert max(sizes) == net.layers[0].weight.numel()
    assert sum(s for s in sizes if s == 50 * 32 * 8) == 0


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=str)
def test_fault_9_the_factor_one_over_h_is_in_every_gradient(dtype: torch.dtype) -> None:
    got, expected = gradients(dtype)
    for name in got:
        torch.testing.assert_close(got[name], expected[name], rtol=1e-4, atol=1e-5)
