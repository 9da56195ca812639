"""A CUDA device as torch's default device: each public name gives what it gives on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import fasterkan as fk

from ..device_cases import CASES, data_device, differences, modules, rows

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def float32_in_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions use TensorFloat-32 by default, with three digits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def cuda_by_default() -> Iterator[None]:
    torch.set_default_device("cuda")
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.fixture(params=["cpu", "cuda"])
def data(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name: str, data: str, request: pytest.FixtureRequest) -> None:
    case = CASES[name]
    expected = case.compute(None)
    request.getfixturevalue("cuda_by_default")
    token = data_device.set(data)
    try:
        got = case.compute(None)
    finally:
        data_device.reset(token)
    assert differences(got, expected, case.bound) == []
    assert {t.device.type for network in modules(got) for t in network.state_dict().values()} <= {"cuda"}


@pytest.mark.usefixtures("cuda_by_default")
def test_generators_of_both_devices_draw_weights() -> None:
    generators = [torch.Generator(device).manual_seed(0) for device in ("cpu", "cuda")]
    layers = [fk.KANLinear(3, 4, base="silu", generator=generator) for generator in generators]
    assert all(layer.weight.is_cuda and bool(layer.weight.any()) for layer in layers)
    again = fk.KANLinear(3, 4, base="silu", generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    assert torch.equal(layers[0].weight.cpu(), again.weight)


@pytest.mark.usefixtures("cuda_by_default")
def test_fit_leaves_the_random_state_of_the_device() -> None:
    net, x = fk.KAN([2, 1], fk.BSpline(grid_size=3), norm="feature"), rows(20, 2)
    before = torch.cuda.get_rng_state()
    fk.fit(net, x, x[:, 0], starts=2, grids=None, iterations=1, progress=False)
    assert torch.equal(torch.cuda.get_rng_state(), before)
