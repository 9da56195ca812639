"""A device that does not exist: its tensors lie in ordinary memory, and torch treats them as those of another device.

Its type is torch's private one, under the name `DEVICE`. Each operation is computed on the CPU, and refused where a
real device would refuse it: with tensors of the CPU, or with a generator of the CPU. `without_float64` also refuses
float64, as MPS does. The registration holds for the whole process, and it must come before the first backward pass.
Tests therefore use the device in a process of their own (`tests/test_devices.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend
from torch.utils.dlpack import from_dlpack, to_dlpack

DEVICE = "emulated"

_CPU, _PRIVATE = 1, 12  # DLPack's types of devices
_INDEXING = {"aten::index", "aten::index_put_", "aten::_index_put_impl_"}
"""These take indices from the CPU on every device."""
_REFUSED: set[torch.dtype] = set()


class _Tensor(ctypes.Structure):
    """The beginning of a DLPack tensor."""

    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32)]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _as(kind: int, x: Tensor) -> Tensor:
    """The same memory as a tensor of another device."""
    capsule = to_dlpack(x)
    _Tensor.from_address(_pointer(capsule, b"dltensor")).device_type = kind
    return from_dlpack(capsule)


def _compute(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute an operation of the device on the CPU."""
    name, outs = op._schema.name, {a.name for a in op._schema.arguments if a.kwarg_only and a.is_write}
    if name == "aten::resize_":
        args[0].data = _made(torch.empty(args[1], dtype=args[0].dtype, device="cpu"))
        return args[0]
    given = {id(kwargs[key]) for key in outs if key in kwargs}
    owner: dict[int, Tensor] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, torch.device):
            return torch.device("cpu")
        if isinstance(value, torch.Generator):
            raise RuntimeError(f"Expected a '{DEVICE}' device type for generator but found '{value.device}'")
        if not isinstance(value, Tensor):
            return value
        if value.device.type != DEVICE:
            if value.dim() and name != "aten::_copy_from" and name not in _INDEXING:
                raise RuntimeError(f"Expected all tensors to be on the same device, {op} got {value.device}")
            return value
        empty = id(value) in given and not value.numel()  # gets its size from the operation
        found = torch.empty(0, dtype=value.dtype, device="cpu") if empty else _as(_CPU, value)
        owner[id(found)] = value
        kept.append(found)
        return found

    kept: list[Tensor] = []
    args, kwargs = pytree.tree_map(plain, (_unwrapped(op, args), kwargs))
    if name == "aten::_copy_from":
        source, target = args[:2]
        if owner.get(id(source)) is not None and target.dtype in _REFUSED:
            raise _refusal(target.dtype)
        target.copy_(source)
        return owner.get(id(target), target)
    with torch.no_grad():
        result = op(*args, **kwargs)
    for found in kept:
        if id(owner[id(found)]) in given and owner[id(found)].shape != found.shape:
            owner[id(found)].data = _made(found)

    def of_device(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return owner[id(value)] if id(value) in owner else _made(value)

    return pytree.tree_map(of_device, result)


def _unwrapped(op: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with tensors in place of numbers, for operations that take only tensors."""
    decimal = any(isinstance(x, Tensor) and x.is_floating_point() for x in args)

    def tensor(value: float) -> Tensor:
        return torch.tensor(value, device="cpu", dtype=torch.float64 if isinstance(value, float) and decimal else None)

    kinds = [str(argument.type) for argument in op._schema.arguments]
    pairs = zip(args, kinds, strict=False)
    return tuple(tensor(a) if kind == "Tensor" and isinstance(a, int | float) else a for a, kind in pairs)


def _made(x: Tensor) -> Tensor:
    if x.dtype in _REFUSED:
        raise _refusal(x.dtype)
    return _as(_PRIVATE, x.new_zeros(x.shape) if x._is_zerotensor() else x)  # a zero tensor has no memory


def _refusal(dtype: torch.dtype) -> TypeError:
    return TypeError(f"Cannot convert a tensor of the device {DEVICE} to {dtype}, which it does not support")


class _Backend(_DummyBackendModule):
    """What torch asks the module of a device."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


def _convolve(op: Any, *args: Any) -> Any:
    """A convolution, or its backward pass, whose general form has an argument more, the sizes of the bias."""
    if op is torch.ops.aten.convolution_backward.default:
        args = (*args[:3], [args[2].shape[0]], *args[3:])
    return _compute(op, *args)


@contextlib.contextmanager
def without_float64() -> Iterator[None]:
    """Let the device refuse float64 inside the context, also while it copies to the CPU."""
    _REFUSED.update((torch.float64, torch.complex128))
    try:
        yield
    finally:
        _REFUSED.clear()


_has_storage = torch._C._has_storage
torch._C._has_storage = lambda x: x.device.type != DEVICE and _has_storage(x)  # deepcopy and pickle then copy by clone
_setup_privateuseone_for_python_backend(DEVICE, _Backend())
_library = torch.library.Library("_", "IMPL")
_library.fallback(_compute, "PrivateUse1")
_aten = torch.library.Library("aten", "IMPL")
for _name in ("convolution", "convolution_backward"):
    _op = getattr(torch.ops.aten, _name).default
    _aten.impl(f"{_name}_overrideable", functools.partial(_convolve, _op), "PrivateUse1")
