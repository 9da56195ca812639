"""A basis of one's own, checked by the public batteries: this is all that a user writes."""

from __future__ import annotations

import dataclasses

import torch

import fasterkan as fk
from fasterkan.testing import BasisBattery, LayerBattery


@dataclasses.dataclass(frozen=True)
class Cosines(fk.Basis):
    """phi_k(z) = cos(k z), k = 0 .. num_basis - 1."""

    count: int = 4
    num_basis = property(lambda self: self.count)

    def init(self, in_features, out_features, device=None, dtype=None):
        return {"order": torch.arange(self.count, device=device, dtype=dtype)}

    def evaluate(self, z, params):
        return torch.cos(z.unsqueeze(-1) * params["order"])


class TestCosines(BasisBattery):
    basis = Cosines(3)

    def formula(self, z, params):
        return torch.stack([torch.ones_like(z), torch.cos(z), 2 * torch.cos(z) ** 2 - 1], -1)


class TestCosinesLayer(LayerBattery):
    basis, formula, options = Cosines(3), TestCosines.formula, {"norm": "rms", "base": "silu"}
