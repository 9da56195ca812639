"""Test suites ("batteries") for a basis and for a layer, for the bases of this library and for your own.

They need pytest and hypothesis: `pip install "fasterkan[testing]"`.
"""

from __future__ import annotations

try:
    import hypothesis as _hypothesis  # noqa: F401
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'fasterkan.testing needs {error.name}: pip install "fasterkan[testing]"', name=error.name
    ) from error

pytest.register_assert_rewrite(f"{__name__}.plain", f"{__name__}.basis", f"{__name__}.layer")

from .basis import BasisBattery  # noqa: E402
from .layer import LayerBattery, check_against_float64, gradients  # noqa: E402
from .plain import Formula, assert_no_worse, errors, plain_layer, tensors_of  # noqa: E402

__all__ = [
    "BasisBattery",
    "Formula",
    "LayerBattery",
    "assert_no_worse",
    "check_against_float64",
    "errors",
    "gradients",
    "plain_layer",
    "tensors_of",
]
