"""The test suite for a layer: the forward pass and every gradient against float64, in every mode of torch."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
import torch.utils.checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.flop_counter import FlopCounterMode

from ..bases import Basis
from ..nn import KANLinear
from .plain import DRAWS, Formula, assert_no_worse, errors, plain_layer, tensors_of


@dataclasses.dataclass(frozen=True)
class Shape:
    """N rows, I in_features, O out_features."""

    rows: int
    inputs: int
    outputs: int

    def __str__(self) -> str:
        return f"N{self.rows}-I{self.inputs}-O{self.outputs}"


SHAPES = tuple(Shape(*s) for s in ((0, 5, 3), (1, 3, 1), (7, 13, 11), (63, 17, 130), (1023, 7, 5), (5, 1023, 2)))
HALF = (torch.bfloat16, torch.float16)


class LayerBattery:
    """Tests that every KANLinear must pass, with any basis, norm and base branch.

    Subclasses set `basis` and `options` (more arguments of KANLinear), and write `formula`, the definition of the
    basis.

    Attributes:
        basis: the basis to test.
        options: norm, base and bias of the layer.
        smoothness: as in `BasisBattery`.
        paths: the implementations (paths) of `fasterkan.ops` to test.
        device: the device for the tests.
    """

    basis: Basis
    options: ClassVar[dict[str, Any]] = {}
    smoothness: float = math.inf
    paths: ClassVar[tuple[Any, ...]] = ("auto", "reference")
    device: str = "cpu"

    def formula(self, z: Tensor, params: Any) -> Tensor:
        """Return phi [..., I, K] by the definition of the basis; [..., O, I, K] if the basis is `per_edge`."""
        raise TypeError(f"{type(self).__name__} must define formula(z, params)")

    def randn(self, *shape: int, dtype: torch.dtype = torch.float32, requires_grad: bool = False) -> Tensor:
        """Return normal random numbers on the device of the tests."""
        return torch.randn(shape, dtype=dtype, device=self.device, requires_grad=requires_grad)

    def make(self, inputs: int = 6, outputs: int = 4, dtype: torch.dtype = torch.float32) -> KANLinear:
        """Return a layer with random tensors, without special values; a feature norm is calibrated."""
        layer = KANLinear(inputs, outputs, self.basis, dtype=dtype, device=self.device, **self.options)
        with torch.no_grad():
            for p in layer.parameters():
                p.add_(0.1 * torch.randn_like(p))
        if self.options.get("norm") == "feature":
            layer.calibrate(self.randn(200, inputs, dtype=dtype))
            layer.freeze()
        return layer

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    def test_forward_and_gradients(self, shape: Shape, dtype: torch.dtype) -> None:
        layer = self.make(shape.inputs, shape.outputs, dtype)
        for path in self.paths:
            layer.path = path
            check_against_float64(layer, self.formula, lambda: self.randn(shape.rows, shape.inputs, dtype=dtype))

    @pytest.mark.parametrize("dtype", HALF, ids=str)
    def test_autocast(self, dtype: torch.dtype) -> None:
        layer = self.make(17, 9)
        for path in self.paths:
            layer.path = path
            check_against_float64(layer, self.formula, lambda: self.randn(64, 17), autocast=dtype)

    def test_bfloat16_weights(self) -> None:
        layer = self.make(17, 9, torch.bfloat16)
        check_against_float64(layer, self.formula, lambda: self.randn(64, 17, dtype=torch.bfloat16))

    @pytest.mark.parametrize("kind", ["transposed", "strided", "expanded", "overlapping"])
    def test_input_layout(self, kind: str) -> None:
        layer = self.make(6, 4)
        draw = {
            "transposed": lambda: self.randn(6, 10).t(),
            "strided": lambda: self.randn(20, 12)[::2, ::2],
            "expanded": lambda: self.randn(1, 6).expand(10, 6),
            "overlapping": lambda: self.randn(15).as_strided((10, 6), (1, 1)),
        }[kind]
        check_against_float64(layer, self.formula, draw)

    @pytest.mark.parametrize("lead", [(), (0,), (1,), (2, 3), (2, 0, 3)], ids=str)
    def test_leading_shape(self, lead: tuple[int, ...]) -> None:
        layer, x = self.make(), self.randn(*lead, 6, requires_grad=True)
        y = layer(x)
        assert y.shape == (*lead, 4)
        torch.testing.assert_close(y, layer(x.reshape(math.prod(lead), 6)).view(*lead, 4))
        y.sum().backward()
        assert x.grad is not None and x.grad.shape == x.shape

    @pytest.mark.parametrize("kept", [True, False], ids=["kept", "rebuilt"])
    def test_several_chunks(self, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        layer = self.make()
        monkeypatch.setattr("fasterkan.ops.recompute.KEEP_BYTES", 1 << 30 if kept else 0)
        for path in ("recompute", "edges"):
            monkeypatch.setattr(f"fasterkan.ops.{path}.CHUNK_BYTES", dict.fromkeys(("cpu", "cuda"), 5 * 6 * 4 * 8))
        check_against_float64(layer, self.formula, lambda: self.randn(23, 6))

    def test_gradcheck(self) -> None:
        layer = self.make(3, 2, torch.float64)
        f, args = as_function(layer, self.randn(4, 3, dtype=torch.float64))
        assert gradcheck(f, args, check_forward_ad=True)
        if self.smoothness >= 2:
            assert gradgradcheck(f, args)

    def test_third_derivative(self) -> None:
        if self.smoothness < 3:
            return
        layer = self.make(3, 1, torch.float64)
        x = self.randn(2, 3, dtype=torch.float64, requires_grad=True)
        tensors = tensors_of(layer, torch.float64)
        got, expected = (third_derivative(y, x) for y in (layer(x), plain_layer(layer, self.formula, x, tensors)))
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)

    def test_functional_transforms(self) -> None:
        layer, x = self.make(4, 2, torch.float64), self.randn(5, 4, dtype=torch.float64)
        weights: dict[str, Tensor] = dict(layer.named_parameters())

        def one(values: dict[str, Tensor], row: Tensor) -> Tensor:
            return torch.func.functional_call(layer, values, (row,))

        torch.testing.assert_close(torch.func.vmap(one, (None, 0))(weights, x), layer(x))
        per_row = torch.func.vmap(torch.func.jacrev(one, argnums=1), (None, 0))(weights, x)
        torch.testing.assert_close(per_row, torch.func.vmap(torch.func.jacfwd(one, argnums=1), (None, 0))(weights, x))
        summed = torch.func.grad(lambda w: one(w, x).square().sum())(weights)
        torch.autograd.backward(layer(x).square().sum())
        for name, p in layer.named_parameters():
            torch.testing.assert_close(summed[name], p.grad)
        hessian = torch.func.hessian(lambda row: one(weights, row).sum())(x[0])
        torch.testing.assert_close(hessian, hessian.T)

    def test_compile_sees_one_graph(self) -> None:
        torch.compiler.reset()
        layer, x = self.make(), self.randn(5, 6)
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), layer(x), rtol=1e-5, atol=1e-5)
        with torch.autocast(self.device, torch.bfloat16):
            assert compiled(x).dtype == torch.bfloat16

    def test_copies_and_pickles(self) -> None:
        layer, x = self.make(), self.randn(5, 6)
        expected = layer(x)
        for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert torch.equal(twin(x), expected)

    def test_meta_then_assign(self) -> None:
        layer, x = self.make(), self.randn(5, 6)
        empty = KANLinear(6, 4, self.basis, device="meta", **self.options)
        empty.load_state_dict(layer.state_dict(), assign=True)
        assert torch.equal(empty(x), layer(x))

    def test_activation_checkpointing(self) -> None:
        layer, x = self.make(), self.randn(5, 6, requires_grad=True)
        (direct,) = torch.autograd.grad(layer(x).square().sum(), x)
        y = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
        (through,) = torch.autograd.grad(y.square().sum(), x)
        assert torch.equal(direct, through)

    def test_flop_counter_sees_the_products(self) -> None:
        layer, x = self.make(), self.randn(5, 6, requires_grad=True)
        product = 2 * 5 * 6 * 4 * self.basis.num_basis
        with FlopCounterMode(display=False) as counter:
            layer(x).sum().backward()
        base = 3 * 2 * 5 * 6 * 4 if layer.base is not None else 0
        products = 1 if self.basis.per_edge else 3  # the gradients of one edge's function are no products of matrices
        assert counter.get_total_flops() == products * product + base

    def test_nan_stays_in_its_row(self) -> None:
        layer, x = self.make().eval(), self.randn(5, 6)
        clean = layer(x)
        x[2, 1] = math.nan
        x.requires_grad_()
        y = layer(x)
        y.sum().backward()
        keep = [0, 1, 3, 4]
        torch.testing.assert_close(y[keep], clean[keep])
        assert torch.isnan(y[2]).all()
        assert x.grad is not None and torch.isfinite(x.grad[keep]).all()

    def test_runs_repeat_to_the_bit(self) -> None:
        layer, x = self.make(17, 9), self.randn(64, 17, requires_grad=True)
        first, second = (gradients(layer, x) for _ in range(2))
        assert all(torch.equal(first[k], second[k]) for k in first)

    def test_any_shape_and_scale_gives_finite_numbers(self) -> None:
        @settings(max_examples=25, deadline=None)
        @given(
            rows=st.integers(0, 9),
            inputs=st.integers(3, 9),
            outputs=st.integers(1, 9),
            scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e3, 1e18]),
            dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
        )
        def check(rows: int, inputs: int, outputs: int, scale: float, dtype: torch.dtype) -> None:
            layer, x = self.make(inputs, outputs, dtype).eval(), (self.randn(rows, inputs) * scale).to(dtype)
            found = gradients(layer, x.requires_grad_())
            bad = [k for k, g in found.items() if not torch.isfinite(g).all()]
            assert not bad, f"not finite: {bad}"

        check()


def gradients(layer: KANLinear, x: Tensor) -> dict[str, Tensor]:
    """Return y and the gradients of a fixed weighted sum of y, by name ("y", "x" and the names of the parameters)."""
    y = layer(x)
    leaves = {"x": x, **dict(layer.named_parameters())}
    grads = torch.autograd.grad(y, list(leaves.values()), _weights_like(y), materialize_grads=True)
    return {"y": y.detach(), **dict(zip(leaves, grads, strict=True))}


def check_against_float64(
    layer: KANLinear, formula: Formula, draw: Callable[[], Tensor], *, autocast: torch.dtype | None = None
) -> None:
    """Assert that y and every gradient are as exact as the plain formula in x's dtype, compared with float64.

    The largest errors of `DRAWS` inputs are compared by their root mean squares.

    Args:
        layer: the layer to test.
        formula: the definition of its basis.
        draw: a function that makes an input x [..., I].
        autocast: dtype of an autocast for the layer and the plain formula; None is no autocast.
    """
    squares: dict[str, Tensor] = {}
    for _ in range(DRAWS):
        x = draw().detach()
        with torch.autocast(x.device.type, autocast, enabled=autocast is not None):
            got = gradients(layer, x.requires_grad_())
            plain = _plain_gradients(layer, formula, x, x.dtype)
        exact = _plain_gradients(layer, formula, x, torch.float64)
        for name, value in got.items():
            pair = torch.tensor(errors(value, plain[name], exact[name]), dtype=torch.float64)
            squares[name] = squares.get(name, torch.zeros_like(pair)) + pair.square() / DRAWS
    for name, mean in squares.items():
        error, yardstick = mean.sqrt().tolist()
        assert_no_worse(error, yardstick, name if name == "y" else f"d{name}")


def _plain_gradients(layer: KANLinear, formula: Formula, x: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    leaf, tensors = x.detach().to(dtype).requires_grad_(), tensors_of(layer, dtype)
    y = plain_layer(layer, formula, leaf, tensors)
    leaves = {"x": leaf, **{k: t for k, t in tensors.items() if t.requires_grad}}
    grads = torch.autograd.grad(y, list(leaves.values()), _weights_like(y), materialize_grads=True)
    return {"y": y.detach(), **dict(zip(leaves, grads, strict=True))}


def as_function(layer: KANLinear, x: Tensor) -> tuple[Any, tuple[Tensor, ...]]:
    """Return a function and its arguments for gradcheck: x and the parameters, which all require gradients."""
    names = [name for name, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]

    def f(x: Tensor, *tensors: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(layer, dict(zip(names, tensors, strict=True)), (x,))
        return result

    return f, (x.requires_grad_(), *values)


def third_derivative(y: Tensor, x: Tensor) -> Tensor:
    """Return a weighted sum of d^3 (sum y) / dx^3 over all indices except the first, by three reverse passes."""
    value = y.sum()
    for _ in range(3):
        (grad,) = torch.autograd.grad(value, x, create_graph=True)
        value = (grad * torch.arange(1.0, grad.numel() + 1, dtype=grad.dtype, device=grad.device).view_as(grad)).sum()
    return grad.detach()


def _weights_like(y: Tensor) -> Tensor:
    """Fixed numbers in [-1, 1] of both signs, which are exact in every dtype."""
    cycle = itertools.islice(itertools.cycle([1.0, -0.5, 0.25, 0.75, -1.0, 0.5, -0.25]), y.numel())
    return torch.tensor(list(cycle), dtype=y.dtype, device=y.device).view_as(y)
