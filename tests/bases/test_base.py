"""What the contract of a basis promises by itself."""

from __future__ import annotations

import pytest

import fasterkan as fk
from fasterkan.bases import basis_from_config


def test_a_name_belongs_to_one_class() -> None:
    with pytest.raises(ValueError, match=r"fasterkan.bases.rswaf.RSWAF has this name already.*choose another name"):
        type("RSWAF", (fk.RSWAF,), {"__module__": "somewhere"})
    assert fk.Basis.registry["RSWAF"] is fk.RSWAF


def test_model_names_are_guarded_too() -> None:
    with pytest.raises(ValueError, match="has this name already"):
        type("KAN", (fk.KAN,), {"__module__": "somewhere"})


def test_unknown_names_and_fields_are_told() -> None:
    with pytest.raises(ValueError, match="basis 'RSWAFF' is not known; did you mean 'RSWAF'"):
        basis_from_config({"name": "RSWAFF"})
    with pytest.raises(ValueError, match=r"RSWAF: unknown fields \['grids'\]"):
        basis_from_config({"name": "RSWAF", "grids": 3})


def test_a_basis_that_cannot_fold_says_so() -> None:
    class Fixed(fk.RSWAF):
        fold = fk.Basis.fold

    with pytest.raises(ValueError, match="Fixed cannot take a feature norm into its parameters"):
        Fixed().fold({}, None, None)
