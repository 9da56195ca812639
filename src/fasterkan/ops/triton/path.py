"""Which calls the kernels can compute; triton itself is imported only when a call could be one of them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ..._torch import dispatch_mode_is_active
from ..call import LinearCall
from ..norm_form import HasForm, NormForm, form_of
from ..situation import PLAIN

if TYPE_CHECKING:
    from .table import Family

_PLAIN_TYPES = (Tensor, nn.Parameter)
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_LEAST_CAPABILITY = (8, 0)
"""The oldest NVIDIA processors with bfloat16."""


def kernels_refuse(call: LinearCall) -> str | None:
    """Return the reason why the kernels cannot compute a call, or None if they can."""
    if call.situation is not PLAIN and (obstacle := call.situation.obstacle):
        return obstacle
    if (missing := _missing(call.x.device)) is not None:
        return missing
    if dispatch_mode_is_active():
        return "a mode listens to the operations of torch, and does not see kernels"
    parts = _parts(call)
    return parts if isinstance(parts, str) else _unusual(call, *parts)


def kernels_on_request(call: LinearCall) -> str:
    """Return why "auto" passes over the kernels although they could compute the call."""
    if call.x.is_cuda:
        return 'the kernels are new, and only for those who name them: layer.path = "triton"'
    return "on the CPU the kernels run in Triton's interpreter, for tests"


def kan_linear_kernels(call: LinearCall) -> Tensor:
    """Return the result of a call that `kernels_refuse` does not refuse.

    Raises:
        RuntimeError: a feature norm is not calibrated.
    """
    from .operation import kan_linear_fused

    parts = _parts(call)
    assert not isinstance(parts, str)
    if call.norm is not None:
        cast(HasForm, call.norm).check_ready(call.x)
    return kan_linear_fused(call, *parts)


def _parts(call: LinearCall) -> tuple[NormForm | None, Family] | str:
    """The norm and the family as the kernels need them, or the reason why one of them has no such form."""
    from .table import family_of

    norm = form_of(call.norm)
    if isinstance(norm, str):
        return norm
    family = family_of(call.basis)
    return family if isinstance(family, str) else (norm, family)


def _missing(device: torch.device) -> str | None:
    """What the machine does not have."""
    if device.type == "cuda":
        return _missing_for_cuda(device.index)
    if device.type != "cpu":
        return f"the kernels are for CUDA devices, x is on {device.type}"
    if os.environ.get("TRITON_INTERPRET") != "1":
        return "the kernels are for CUDA devices; on the CPU they run only with TRITON_INTERPRET=1"
    return _missing_for_triton()


@lru_cache
def _missing_for_cuda(index: int | None) -> str | None:
    if not torch.cuda.is_available():
        return "no CUDA device is available"
    if torch.version.hip is not None:
        return "the kernels are not tested on ROCm"
    capability = torch.cuda.get_device_capability(index)
    if capability < _LEAST_CAPABILITY:
        return f"the kernels need compute capability 8.0, the device has {capability[0]}.{capability[1]}"
    return _missing_for_triton() or _missing_for_compiling()


@lru_cache
def _missing_for_triton() -> str | None:
    return None if importlib.util.find_spec("triton") else "triton is not installed (pip install triton)"


@lru_cache
def _missing_for_compiling() -> str | None:
    """Triton compiles a small C file for each kernel, with the headers of Python."""
    if "CC" not in os.environ and not (shutil.which("gcc") or shutil.which("clang")):
        return "triton needs a C compiler: install gcc or clang"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        return "triton needs the headers of Python: install python3-dev"
    return None


def _unusual(call: LinearCall, norm: NormForm | None, family: Family) -> str | None:
    """What the kernels do not accept in the tensors of a call."""
    norm_tensors = () if norm is None else (norm.gain, norm.shift)
    device = call.x.device
    for tensor in (call.x, call.weight, call.bias, *call.params.values(), *norm_tensors):
        if tensor is None:
            continue
        if type(tensor) not in _PLAIN_TYPES:
            return f"a tensor is a {type(tensor).__name__}"
        if tensor.dtype not in _DTYPES:
            return f"a tensor is {tensor.dtype}; the kernels compute in float32"
        if tensor.device != device:
            return f"x is on {device}, another tensor on {tensor.device}"
    if torch.is_grad_enabled():
        fixed = [t for name, t in call.params.items() if name not in family.learned]
        if norm is not None and norm.kind == "feature":
            fixed += [norm.gain, *([] if norm.shift is None else [norm.shift])]
        if any(t.requires_grad for t in fixed):
            return "a tensor needs a gradient that the kernels do not compute"
    return None
