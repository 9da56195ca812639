"""Finding what is wrong with a network on given data, and which argument to change."""

from .diagnosing import diagnose
from .report import Diagnosis, Finding, LayerReport

__all__ = ["Diagnosis", "Finding", "LayerReport", "diagnose"]
