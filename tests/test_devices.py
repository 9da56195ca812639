"""Default devices, devices without float64, and default dtypes: each public name gives what it gives on the CPU."""

from __future__ import annotations

import ast
import contextlib
import multiprocessing
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

import fasterkan as fk
from fasterkan import _device

from .device_cases import CASES, NOT_COMPUTING, data_device, differences, leaves, modules, names, rows

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "fasterkan"
SOURCES = [path for path in sorted(PACKAGE.glob("**/*.py")) if path.relative_to(PACKAGE).parts[0] != "testing"]
"""All but the suites for users' own bases, whose tensors go where their users want them, to the default device."""

FACTORIES = frozenset(
    [
        "arange",
        "as_tensor",
        "asarray",
        "empty",
        "empty_permuted",
        "empty_strided",
        "eye",
        "full",
        "linspace",
        "logspace",
        "normal",
        "ones",
        "rand",
        "randint",
        "randn",
        "randperm",
        "range",
        "scalar_tensor",
        "tensor",
        "tril_indices",
        "triu_indices",
        "zeros",
        "Generator",
    ]
)
"""Functions of torch whose device is the default one if it is not given; `from_numpy` and `frombuffer` have none."""


def test_every_name_has_a_case() -> None:
    assert names() | NOT_COMPUTING == set(fk.__all__) | {"train", "data"}


def factory_calls(source: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            owner, _, name = ast.unparse(node.func).rpartition(".")
            if owner == "torch" and name in FACTORIES:
                yield node


def names_its_device(call: ast.Call) -> bool:
    if any(keyword.arg == "device" for keyword in call.keywords):
        return True
    if any(keyword.arg is None and ast.unparse(keyword.value) == "factory" for keyword in call.keywords):
        return True  # {"device": ..., "dtype": ...}
    return isinstance(call.func, ast.Attribute) and call.func.attr == "Generator" and bool(call.args)


@pytest.mark.parametrize("source", SOURCES, ids=[str(path.relative_to(ROOT / "src")) for path in SOURCES])
def test_every_new_tensor_names_its_device(source: Path) -> None:
    silent = [
        f"line {call.lineno}: {ast.unparse(call)}" for call in factory_calls(source) if not names_its_device(call)
    ]
    assert not silent


@contextlib.contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def on_the_emulated_device(name: str, *, float64: bool, data: str) -> list[str]:
    """What a case computes otherwise if the emulated device is the default one; run in a process of its own."""
    from . import emulated

    case = CASES[name]
    with warnings.catch_warnings(), contextlib.ExitStack() as settings:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", r"`torch\.jit\.script(_method)?` is deprecated", DeprecationWarning)
        torch.manual_seed(0)
        expected = case.compute(None)
        torch.manual_seed(0)
        if not float64:
            settings.enter_context(pytest.MonkeyPatch.context()).setattr(
                _device, "WITHOUT_FLOAT64", frozenset({emulated.DEVICE})
            )
            settings.enter_context(emulated.without_float64())
        settings.enter_context(default_device(emulated.DEVICE))
        settings.callback(data_device.set, "cpu")
        data_device.set(data)
        got = case.compute(None)
        strays = {
            f"{place} is on {tensor.device}"
            for network in modules(got)
            for place, tensor in network.state_dict().items()
            if tensor.device.type != emulated.DEVICE
        }
        return [*differences(got, expected, case.bound), *sorted(strays)]


def refusals_of_the_emulated_device() -> list[str]:
    """The messages of operations that a real device refuses too."""
    from . import emulated

    here, there = torch.ones(2, device="cpu"), torch.ones(2, device=emulated.DEVICE)
    generator = torch.Generator("cpu")
    refused = {
        "another device": lambda: here + there,
        "a generator": lambda: torch.rand(2, device=emulated.DEVICE, generator=generator),
        "numpy": there.numpy,
        "float64": there.double,
        "a copy to float64": lambda: there.to("cpu", torch.float64),
        "new float64": lambda: torch.zeros(2, device=emulated.DEVICE, dtype=torch.float64),
    }
    said = []
    for what, operation in refused.items():
        with emulated.without_float64():
            try:
                operation()
            except (RuntimeError, TypeError):
                said.append(what)
    there.requires_grad_().mul(3 * there.detach()).sum().backward()
    assert there.grad is not None
    assert there.grad.device.type == emulated.DEVICE
    assert there.grad.tolist() == [3.0, 3.0]
    return said


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process that knows the emulated device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            yield pool


def test_the_emulated_device_refuses_what_a_device_refuses(elsewhere: ProcessPoolExecutor) -> None:
    assert elsewhere.submit(refusals_of_the_emulated_device).result() == [
        "another device", "a generator", "numpy", "float64", "a copy to float64", "new float64",
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_another_default_device(name: str, elsewhere: ProcessPoolExecutor) -> None:
    assert elsewhere.submit(on_the_emulated_device, name, float64=True, data="cpu").result() == []


@pytest.mark.parametrize("data", ["cpu", "emulated"])
@pytest.mark.parametrize("name", CASES)
def test_a_default_device_without_float64(name: str, data: str, elsewhere: ProcessPoolExecutor) -> None:
    assert elsewhere.submit(on_the_emulated_device, name, float64=False, data=data).result() == []


@pytest.mark.parametrize("name", CASES)
def test_default_dtype_float64_gives_what_float64_networks_give(name: str) -> None:
    torch.manual_seed(0)
    expected = CASES[name].compute(torch.float64)
    torch.manual_seed(0)
    with default_dtype(torch.float64):
        got = CASES[name].compute(None)
    assert differences(got, expected, 1e-9) == []
    dtypes = {t.dtype for network in modules(got) for t in network.state_dict().values() if t.is_floating_point()}
    assert dtypes <= {torch.float64}


FROM_CPU_DATA = {
    "calibrate": lambda net, x: fk.calibrate(net, x),
    "fit": lambda net, x: fk.fit(net, x, x[:, 0], starts=1, grids=None, iterations=1, progress=False).loss,
    "importance": lambda net, x: fk.importance(net, x, repeats=1).inputs,
    "edges": lambda net, x: [edge.values for edge in fk.edges(net, x, x[:, :1], points=5)],
    "prune": lambda net, x: fk.prune(net, x, x[:, :1], tolerance=0.5).net,
    "predict_interval": lambda net, x: fk.predict_interval(net, x, x[:, :1], x[:3]),
    "diagnose": lambda net, x: [layer.rows for layer in fk.diagnose(net, x).layers],
    "fold": lambda net, x: (net.fold(), net)[1],
}


@pytest.mark.parametrize("name", FROM_CPU_DATA)
def test_default_device_meta_does_not_take_part_in_work_on_the_cpu(name: str) -> None:
    net = fk.KAN([3, 1], fk.BSpline(grid_size=3), norm="feature", base="silu", device="cpu")
    net.calibrate(rows())
    with default_device("meta"):
        results = FROM_CPU_DATA[name](net, rows())
    tensors = [value for _, value in leaves([results, net]) if isinstance(value, torch.Tensor)]
    assert tensors
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_only_mps_computes_float64_elsewhere(kind: str) -> None:
    assert _device.exact_device(torch.device(kind)) == torch.device("cpu")
    assert _device.widest_dtype(torch.device(kind)) == {"cpu": torch.float64, "mps": torch.float32}[kind]
