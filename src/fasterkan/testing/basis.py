"""The test suite for a basis: write a subclass in a test module with the basis and its formula, and run pytest."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from ..bases import Basis, basis_from_config
from .plain import DRAWS, assert_no_worse, errors

I_FEATURES, O_FEATURES = 3, 2


class BasisBattery:
    """Tests that every basis must pass: it is a value, it matches its formula, and its derivatives are correct.

    Subclasses set `basis` and write `formula`, the definition, independently of the code of the basis.

    Attributes:
        basis: the basis to test.
        smoothness: number of continuous derivatives of the functions. Below 2, second derivatives are not checked.
        kinks: values of z at which the first derivative does not exist. The tests keep a distance of 1e-3 from them.

    Example:
        >>> from fasterkan import RSWAF
        >>> class TestNarrowRSWAF(BasisBattery):
        ...     basis = RSWAF(num_grids=5, inv_denominator=3.0)
        ...     def formula(self, z, params):
        ...         return torch.cosh((z[..., None] - params["grid"]) * params["inv_denominator"]) ** -2
    """

    basis: Basis
    smoothness: float = math.inf
    kinks: tuple[float, ...] = ()

    def formula(self, z: Tensor, params: Mapping[str, Tensor]) -> Tensor:
        """Return phi [..., I, K] by the definition of the basis; [..., O, I, K] if the basis is `per_edge`."""
        raise TypeError(f"{type(self).__name__} must define formula(z, params)")

    @property
    def edges(self) -> tuple[int, ...]:
        """The shape of phi without its leading dimensions: [I, K], or [O, I, K] if the basis is `per_edge`."""
        edge = (I_FEATURES, self.basis.num_basis)
        return (O_FEATURES, *edge) if self.basis.per_edge else edge

    def points(self, rows: int = 7, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return z [rows, I] in the grid range and half its width beyond each end, away from the kinks."""
        low, high = self.basis.grid_range
        span = high - low
        z = torch.rand(rows, I_FEATURES, dtype=torch.float64) * 2 * span + low - span / 2
        for kink in self.kinks:
            z = torch.where((z - kink).abs() < 1e-3, z + 4e-3, z)
        return z.to(dtype)

    def params(self, dtype: torch.dtype = torch.float64, learn: bool = False) -> dict[str, Tensor]:
        """Return new tensors of the basis; if `learn`, the trainable ones require gradients."""
        made = self.basis.init(I_FEATURES, O_FEATURES, dtype=dtype)
        return {k: t.requires_grad_(learn and k in self.basis.trainable) for k, t in made.items()}

    def test_description_is_a_value(self) -> None:
        again = basis_from_config(json.loads(json.dumps(self.basis.to_config())))
        assert again == self.basis and hash(again) == hash(self.basis)
        assert pickle.loads(pickle.dumps(self.basis)) == self.basis
        with pytest.raises(dataclasses.FrozenInstanceError):
            self.basis.num_basis = 3  # type: ignore[misc]

    def test_init_makes_fresh_tensors(self) -> None:
        first, second = self.params(torch.float32), self.params(torch.float32)
        assert set(first) >= set(self.basis.trainable)
        for name, tensor in first.items():
            assert tensor.dtype == torch.float32
            assert torch.isfinite(tensor).all()
            assert tensor.data_ptr() != second[name].data_ptr(), f"{name} is shared by two layers"
            assert self.basis.init(I_FEATURES, O_FEATURES, device="meta")[name].shape == tensor.shape
            assert not self.basis.per_edge or tensor.shape[:2] == (O_FEATURES, I_FEATURES)

    def test_values_float64(self) -> None:
        z, params = self.points(64), self.params()
        phi, expected = self.basis.evaluate(z, params), self.formula(z, params)
        assert phi.shape == (64, *self.edges)
        torch.testing.assert_close(phi, expected, rtol=1e-12, atol=1e-12)

    def test_values_float32(self) -> None:
        params, squares = self.params(torch.float32), torch.zeros(2, 2, dtype=torch.float64)
        for _ in range(DRAWS):
            z = self.points(64, torch.float32)
            exact, plain = self.formula(z.double(), {k: t.double() for k, t in params.items()}), self.formula(z, params)
            with torch.no_grad():
                found = self.basis.evaluate(z, params), self.basis.evaluate_for_vjp(z, params)[0]
            pairs = [errors(phi, plain, exact) for phi in found]
            squares += torch.tensor(pairs, dtype=torch.float64).square() / DRAWS
        for what, (error, yardstick) in zip(("phi of evaluate", "phi for vjp"), squares.sqrt().tolist(), strict=True):
            assert_no_worse(error, yardstick, what)

    @pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 5), (2, 0, 5)], ids=str)
    def test_leading_shape(self, shape: tuple[int, ...]) -> None:
        z, params = self.points(max(1, math.prod(shape)))[: math.prod(shape)], self.params()
        phi = self.basis.evaluate(z.reshape(*shape, I_FEATURES), params)
        assert phi.shape == (*shape, *self.edges)
        torch.testing.assert_close(phi.reshape(-1), self.formula(z, params).reshape(-1), rtol=1e-12, atol=1e-12)

    def test_a_function_sees_its_own_feature_only(self) -> None:
        z, params = self.points(), self.params()
        moved = z.clone()
        moved[:, 1] += 0.25
        before, after = self.basis.evaluate(z, params), self.basis.evaluate(moved, params)
        assert torch.equal(before[..., [0, 2], :], after[..., [0, 2], :])

    def test_outputs_can_be_taken_apart(self) -> None:
        if not self.basis.per_edge:
            return
        z, params = self.points(), self.params()
        phi = self.basis.evaluate(z, params)
        for o in range(O_FEATURES):
            part = self.basis.evaluate(z, {k: t[o : o + 1] for k, t in params.items()})
            torch.testing.assert_close(part, phi[:, o : o + 1], rtol=1e-12, atol=1e-12)

    def test_gradients(self) -> None:
        z, params = self.points().requires_grad_(), self.params(learn=True)
        inputs = (z, *params.values())
        assert gradcheck(self._positional(params), inputs, check_forward_ad=True)
        if self.smoothness >= 2:
            assert gradgradcheck(self._positional(params), inputs)

    def test_derivative(self) -> None:
        z, params = self.points(), self.params()
        slope = torch.func.jvp(lambda v: self.formula(v, params), (z,), (torch.ones_like(z),))[1]
        torch.testing.assert_close(self.basis.derivative(z, params), slope, rtol=1e-10, atol=1e-10)

    def test_local_functions_are_those_that_are_not_zero(self) -> None:
        z, params = self.points(64), self.params()
        z[3, 1] = math.nan
        found = self.basis.local(z, params)
        if found is None:
            return
        index, value, slope = found
        assert index.dtype == torch.int64 and index.shape == value.shape == slope.shape == (*z.shape, index.shape[-1])
        assert int(index.min()) >= 0 and int(index.max()) < self.basis.num_basis
        assert bool((index.sort(-1).values.diff() > 0).all()), "a function comes twice"
        nothing = (z - z).unsqueeze(-1).expand(*z.shape, self.basis.num_basis)  # NaN where z is
        expected = self.formula(z, params)
        finite = torch.isfinite(z)
        for part, whole in ((value, expected), (slope, self.basis.derivative(z, params))):
            spread = nothing.scatter(-1, index, part)
            torch.testing.assert_close(spread[finite], whole[finite], rtol=1e-10, atol=1e-10)
        assert torch.isnan(value[3, 1]).all() and torch.isnan(slope[3, 1]).all()

    def test_range_is_where_the_functions_are(self) -> None:
        start = self.basis.range_of(self.basis.init(I_FEATURES, O_FEATURES, dtype=torch.float64))
        for end, first in zip(start, self.basis.grid_range, strict=True):
            assert end.shape in ((), (I_FEATURES,))
            torch.testing.assert_close(end.double(), torch.full_like(end.double(), first), rtol=1e-12, atol=1e-12)
        params = self.params()
        before = self.basis.range_of(params)
        center, scale = torch.tensor([0.5, -2.0, 30.0]).double(), torch.tensor([2.0, 0.25, 1e-3]).double()
        try:
            folded, tensors = self.basis.fold(params, center, scale)
        except ValueError:
            return
        for end, old in zip(folded.range_of(tensors), before, strict=True):
            torch.testing.assert_close(end.expand(I_FEATURES), old.double() / scale + center, rtol=1e-12, atol=1e-12)

    def test_vjp_is_the_gradient_of_the_formula(self) -> None:
        z, params = self.points().requires_grad_(), self.params(learn=True)
        phi = self.formula(z, params)
        dphi = torch.randn_like(phi)
        wrt = ["z", *sorted(self.basis.trainable)]
        expected = torch.autograd.grad(phi, [z if k == "z" else params[k] for k in wrt], dphi, materialize_grads=True)
        with torch.no_grad():
            got, dz, found = self.backward(z, params, dphi.clone(), frozenset(wrt))
        torch.testing.assert_close(got, phi.detach(), rtol=1e-12, atol=1e-12)
        for name, want in zip(wrt, expected, strict=True):
            value = found[name] if name != "z" else torch.empty(0) if dz is None else dz
            assert torch.allclose(value, want, rtol=1e-10, atol=1e-10), f"d{name}: {value}, expected {want}"

    def test_vjp_leaves_out_what_is_not_wanted(self) -> None:
        z, params = self.points(), self.params()
        with torch.no_grad():
            phi = self.basis.evaluate(z, params)
            for wrt in (self.basis.trainable, {"z"}):
                if wrt:
                    _, dz, found = self.backward(z, params, torch.ones_like(phi), frozenset(wrt))
                    assert ({"z"} if dz is not None else set()) | set(found) == set(wrt)

    def test_vmap_and_jacobians(self) -> None:
        z, params = self.points(4), self.params()

        def one(row: Tensor) -> Tensor:
            return self.basis.evaluate(row, params)

        rows = torch.func.vmap(one)(z)
        torch.testing.assert_close(rows, self.formula(z, params), rtol=1e-12, atol=1e-12)
        reverse, forward = torch.func.vmap(torch.func.jacrev(one))(z), torch.func.vmap(torch.func.jacfwd(one))(z)
        torch.testing.assert_close(reverse, forward, rtol=1e-10, atol=1e-10)

    def test_finite_for_every_finite_input(self) -> None:
        @settings(max_examples=60, deadline=None)
        @given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
        def check(value: float) -> None:
            z = torch.full((1, I_FEATURES), value).requires_grad_()
            params = self.params(torch.float32, learn=True)
            phi = self.basis.evaluate(z, params)
            leaves = [t for t in (z, *params.values()) if t.requires_grad]
            grads = torch.autograd.grad(phi.sum(), leaves, materialize_grads=True)
            assert all(bool(torch.isfinite(t).all()) for t in (phi, *grads)), f"not finite at z = {value!r}"

        check()

    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
    def test_hostile_values_stay_in_their_row(self, value: float) -> None:
        z, params = self.points(3).requires_grad_(), self.params()
        clean = self.basis.evaluate(z, params)
        with torch.no_grad():
            dirty = z.clone()
            dirty[1, 2] = value
            phi, dz, _ = self.backward(dirty, params, torch.ones_like(clean), frozenset({"z"}))
        keep = torch.tensor([0, 2])
        torch.testing.assert_close(phi[keep], clean[keep].detach(), rtol=1e-12, atol=1e-12)
        assert dz is not None and torch.isfinite(dz[keep]).all()
        if math.isnan(value):
            assert torch.isnan(phi[1][..., 2, :]).all() and torch.isnan(dz[1, 2])

    def test_refit_to_itself_keeps_the_functions(self) -> None:
        params = self.params()
        weight = torch.randn(O_FEATURES, I_FEATURES, self.basis.num_basis, dtype=torch.float64)
        z = torch.linspace(*self.basis.grid_range, 65, dtype=torch.float64).unsqueeze(-1).expand(-1, I_FEATURES)
        found, error = self.basis.refit(params, weight, z, self.basis, params, z)
        phi = self.formula(z, params)
        sums = "soik,oik->sio" if self.basis.per_edge else "sik,oik->sio"
        before, after = (torch.einsum(sums, phi, w) for w in (weight, found))
        torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-6)
        assert error < 1e-6

    def backward(
        self, z: Tensor, params: Mapping[str, Tensor], dphi: Tensor, wrt: frozenset[str]
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Return phi, dz and the other gradients from `vjp`, called twice, as a call must not change its arguments."""
        phi, saved = self.basis.evaluate_for_vjp(z, params)
        first = self.basis.vjp(z, params, phi, saved, dphi.clone(), wrt)
        dz, found = self.basis.vjp(z, params, phi, saved, dphi, wrt)
        for a, b in zip((dz, *found.values()), (first[0], *first[1].values()), strict=True):
            assert a is b is None or (a is not None and b is not None and torch.equal(a.nan_to_num(), b.nan_to_num()))
        return phi, dz, found

    def _positional(self, params: Mapping[str, Tensor]) -> Any:
        return lambda z, *tensors: self.basis.evaluate(z, dict(zip(params, tensors, strict=True)))
