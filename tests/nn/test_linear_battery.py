"""KANLinear against the float64 definitions, for every kind of norm, base and bias."""

from __future__ import annotations

import torch
from torch import Tensor

from fasterkan import RSWAF
from fasterkan.testing import LayerBattery


class RSWAFLayerBattery(LayerBattery):
    basis = RSWAF(num_grids=5, train_grid=True, train_inv_denominator=True)

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        t = torch.tanh((z.unsqueeze(-1) - params["grid"]) * params["inv_denominator"].unsqueeze(-1))
        return 1 - (t * t if self.basis.exponent == 2 else t.abs() ** self.basis.exponent)


class TestLayerNorm(RSWAFLayerBattery):
    pass


class TestRMSNormWithBase(RSWAFLayerBattery):
    options = {"norm": "rms", "base": "silu", "bias": False}


class TestNoNorm(RSWAFLayerBattery):
    options = {"norm": None}


class TestFeatureNormWithBase(RSWAFLayerBattery):
    options = {"norm": "feature", "base": "silu"}


class TestPerFeatureGridWithoutNorm(RSWAFLayerBattery):
    basis = RSWAF(num_grids=3, per_feature=True, train_grid=True, train_inv_denominator=True)
    options = {"norm": None}


class TestFractionalExponent(RSWAFLayerBattery):
    basis = RSWAF(num_grids=4, exponent=3, train_grid=True)
    smoothness = 2
