"""Families of functions of one variable: a basis is mathematics, not state."""

from ._base import Basis, Params, basis_from_config
from .rswaf import RSWAF

__all__ = ["RSWAF", "Basis", "Params", "basis_from_config"]
