"""A number in a buffer that the host knows: when it is read again, and when it is not."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from fasterkan.nn.known_number import KnownNumber


class Counting(KnownNumber):
    """Counts how often the device is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def _read(self, buffer: Tensor) -> int:
        self.reads += 1
        return super()._read(buffer)


@pytest.fixture
def device_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU count as a device whose memory is slow to read."""
    monkeypatch.setattr("fasterkan.nn.known_number._HOST", frozenset())


def buffer(number: int = 1) -> Tensor:
    return torch.tensor(number, dtype=torch.uint8)


def test_the_host_reads_its_own_memory_each_time() -> None:
    known, status = KnownNumber(), buffer()
    assert [known.of(status) for _ in range(3)] == [1, 1, 1]
    status.data.fill_(0)
    assert known.of(status) == 0


@pytest.mark.usefixtures("device_memory")
def test_a_device_is_read_once() -> None:
    known, status = Counting(), buffer()
    assert [known.of(status) for _ in range(3)] == [1, 1, 1]
    assert known.reads == 1
    known.set(status, 1)
    assert (known.of(status), known.reads) == (1, 1)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "fill": lambda status: status.fill_(2),
    "copy": lambda status: status.copy_(buffer(2)),
    "copy-to-detached": lambda status: status.detach().copy_(buffer(2)) and status,
    "copy-to-a-view": lambda status: status.view(1).copy_(buffer(2).view(1)) and status,
    "another-tensor": lambda status: buffer(2),
    "set-data": lambda status: setattr(status, "data", buffer(2)) or status,
    "swap": lambda status: torch.utils.swap_tensors(status, buffer(2)) or status,
    "foreach": lambda status: torch._foreach_copy_([status], [buffer(2)]) and status,
}


@pytest.mark.usefixtures("device_memory")
@pytest.mark.parametrize("change", CHANGES)
def test_a_device_is_read_again_after(change: str) -> None:
    known, status = Counting(), buffer()
    assert known.of(status) == 1
    status = CHANGES[change](status)
    assert (known.of(status), known.of(status), known.reads) == (2, 2, 2)


@pytest.mark.usefixtures("device_memory")
def test_0_is_always_read_again() -> None:
    known, status = Counting(), buffer(0)
    assert [known.of(status), known.of(status)] == [0, 0]
    status.data.fill_(1)  # does not change the version
    assert (known.of(status), known.of(status), known.reads) == (1, 1, 3)


@pytest.mark.usefixtures("device_memory")
def test_tensors_of_inference_mode_have_no_versions_and_are_read_each_time() -> None:
    known = Counting()
    with torch.inference_mode():
        status = buffer()
        assert known.of(status) == 1
        status.fill_(2)
        assert known.of(status) == 2
    assert (known.of(status), known.reads) == (2, 3)


@pytest.mark.usefixtures("device_memory")
@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["deepcopy", "pickle"]
)
def test_a_copy_reads_its_own_tensor(how: Callable[[tuple[KnownNumber, Tensor]], tuple[KnownNumber, Tensor]]) -> None:
    known, status = KnownNumber(), buffer(0)
    for _ in range(9):
        status.fill_(1)
    assert known.of(status) == 1
    twin, own = how((known, status))
    assert own._version < status._version
    while own._version < status._version:
        own.fill_(2)  # at the end its version is the one at which the original was read
    assert twin.of(own) == 2


def test_meta_and_fake_tensors_hold_no_number() -> None:
    assert KnownNumber().of(buffer().to("meta")) is None
    with FakeTensorMode() as mode:
        assert KnownNumber().of(mode.from_tensor(buffer())) is None


def test_the_last_tensor_with_numbers_speaks_for_a_fake_one() -> None:
    known, status = KnownNumber(), buffer()
    known.watch(status)
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(status)
        assert known.of(fake) == 1
    status.data.fill_(2)
    with mode:
        assert known.of(fake) == 2


def test_transforms_and_tracers_see_the_number() -> None:
    known, seen = KnownNumber(), []

    def look(x: Tensor, status: Tensor) -> Tensor:
        seen.append(known.of(status))
        return x.sum()

    one = torch.ones(2)
    torch.func.grad(look)(one, buffer())
    torch.func.vmap(look)(torch.ones(3, 2), torch.tensor([2, 1, 2], dtype=torch.uint8))
    torch.func.vmap(torch.func.grad(look), in_dims=(0, None))(torch.ones(3, 2), buffer(2))
    make_fx(lambda x: look(x, buffer()))(one)
    assert seen == [1, 1, 2, 1]
