"""The kernels' tests: on a CUDA device where there is one, else on the CPU in Triton's interpreter."""

from __future__ import annotations

from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="triton is not installed")


@pytest.fixture(autouse=True)
def corrected_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Correct two faults of Triton 3.6's interpreter: it fails with NumPy 2.4, and it rounds bfloat16 towards 0."""
    from triton.runtime import interpreter

    patch, convert = interpreter._patch_lang_tensor, interpreter._convert_float

    def patch_more(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    def rounded(values: Any, source: Any, target: Any, mode: Any) -> Any:
        if str(target) != "bf16" or str(source) != "fp32":
            return convert(values, source, target, mode)
        return torch.tensor(values).to(torch.bfloat16).view(torch.uint16).numpy()

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patch_more)
    monkeypatch.setattr(interpreter, "_convert_float", rounded)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the memory of every result with NaN before the kernels write it."""

    def poison(result: torch.Tensor) -> torch.Tensor:
        return result.fill_(torch.nan) if result.is_floating_point() else result

    for name in ("empty", "empty_like"):
        make = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *args, make=make, **kwargs: poison(make(*args, **kwargs)))
