"""A basis of the user's own: one class of under 25 lines, as docs/bases.md shows it, passes the whole battery."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

import fasterkan as fk
from fasterkan.testing import BasisBattery

PAGE = Path(__file__).parents[2] / "docs" / "bases.md"
TEXT = re.search(r"(?ms)^@dataclasses\.dataclass.*?^(?=\n\nsteps)", PAGE.read_text())[0]


def defined() -> type[fk.Basis]:
    names = {"fk": fk, "torch": torch, "dataclasses": __import__("dataclasses"), "__name__": "__main__"}
    exec(compile(TEXT, str(PAGE), "exec", dont_inherit=True), names)
    cls = names["Steps"]
    sys.modules["__main__"].Steps = cls  # where pickle looks for it
    return cls


class TestStepsOfThePage(BasisBattery):
    basis = defined()(count=4)

    def formula(self, z, params):
        return 1 / (1 + torch.exp(-8 * (z.unsqueeze(-1) - params["edge"])))


def test_it_takes_under_25_lines():
    assert len([line for line in TEXT.splitlines() if line.strip()]) < 25


def test_it_is_saved_with_the_model(tmp_path):
    net = fk.KAN([4, 3, 1], TestStepsOfThePage.basis, norm=None, dtype=torch.float64)
    x = torch.rand(10, 4, dtype=torch.float64)
    assert torch.equal(fk.from_pretrained(net.save_pretrained(tmp_path))(x), net(x))
    layer = net.layers[0]
    phi = torch.sigmoid(8 * (x.unsqueeze(-1) - torch.linspace(-1, 1, 4, dtype=torch.float64)))
    torch.testing.assert_close(layer(x), torch.einsum("nik,oik->no", phi, layer.weight) + layer.bias)


def test_what_is_missing_is_told():
    with pytest.raises(TypeError, match="abstract"):
        type("Nothing", (fk.Basis,), {"__module__": __name__})()
