"""Feature norms on CUDA devices: no waiting in a training step, graphs, copies, DataParallel and NCCL."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import fasterkan as fk

from ..seeds import seed_of

pytestmark = pytest.mark.gpu
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


def kan(device: str = "cuda") -> fk.KAN:
    return fk.KAN([3, 8, 2], fk.BSpline(), norm="feature", base="silu", device=device)


def rows(device: str = "cuda") -> Tensor:
    return (torch.rand(256, 3) * torch.tensor([1.0, 5e4, 1e-6]) + torch.tensor([1.0, 2e5, 0.0])).to(device)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Make each operation that waits for the device an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # this mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def steps(net: nn.Module, x: Tensor, count: int) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(count):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("frozen", [False, True], ids=["following", "frozen"])
def test_a_training_step_does_not_wait(frozen: bool) -> None:
    net, x = kan(), rows()
    net.calibrate(x)
    if frozen:
        net.freeze()
    steps(net, x, 1)  # libraries and workspaces
    fk.update_norms(net)
    with no_waiting():
        steps(net, x, 3)
    assert net.layers[0].norm.statistics.count == (0 if frozen else 3 * len(x))


def test_an_evaluation_does_not_wait_once_the_buffers_are_known() -> None:
    net, x = kan(), rows()
    net.calibrate(x)
    twin = kan()
    twin.load_state_dict(net.state_dict())
    y = twin.eval()(x)
    with torch.no_grad(), no_waiting():
        z = twin(x)
    assert torch.equal(y, z)


def test_changes_of_the_buffers_are_noticed() -> None:
    net, x, new = kan(), rows(), kan()
    net.calibrate(x)
    y, twin = net.eval()(x), copy.deepcopy(net)
    twin(x)
    with torch.no_grad():
        for own, value in zip(twin.state_dict().values(), new.state_dict().values(), strict=True):
            own.copy_(value)
    with pytest.raises(RuntimeError, match="FeatureNorm is not calibrated"):
        twin(x)
    with torch.no_grad():
        for own, value in zip(twin.state_dict().values(), net.state_dict().values(), strict=True):
            own.data.copy_(value.data)
    torch.testing.assert_close(twin(x), y)
    torch.testing.assert_close(twin.train()(x), y)


def test_an_average_made_before_training() -> None:
    net, x = kan(), rows()
    average = AveragedModel(net)
    steps(net, x, 2)
    average.update_parameters(net)
    torch.testing.assert_close(average.eval()(x), net.eval()(x))


def test_statistics_on_the_device_are_those_on_the_cpu() -> None:
    net, x = kan("cpu"), rows("cpu")
    net.calibrate(x)
    twin = copy.deepcopy(net).cuda()
    for each, data in ((net, x), (twin, x.cuda())):
        for factor in (1.0, 1.1):
            each.train()(data * factor)
        each(data * torch.nan)
        assert each.layers[0].norm.statistics.skipped == 1
        fk.update_norms(each)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name].cpu(), value, rtol=1e-4, atol=1e-5)


def test_a_whole_step_in_a_cuda_graph_after_loading() -> None:
    trained, net, x = kan(), kan(), rows()
    trained.calibrate(x)
    net.load_state_dict(trained.state_dict())
    net(x).square().mean().backward()
    expected = [p.grad.clone() for p in net.parameters()]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            net.zero_grad(set_to_none=True)
            net(x).square().mean().backward()
    torch.cuda.current_stream().wait_stream(stream)
    net.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        net(x).square().mean().backward()
    graph.replay()
    for p, want in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, want, rtol=1e-4, atol=1e-6)


def test_a_capture_before_the_first_forward_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = kan(), rows()
    net.calibrate(x)
    twin = copy.deepcopy(net)
    monkeypatch.setattr("torch.cuda.is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="run one forward before the capture"):
        twin(x)
    assert torch.isfinite(net(x)).all()  # calibrate has told this one


@two_gpus
def test_data_parallel_keeps_the_state() -> None:
    net, x = kan(), rows()
    net.calibrate(x)
    parallel = nn.DataParallel(net, [0, 1])
    torch.testing.assert_close(parallel(x), copy.deepcopy(net)(x), rtol=1e-4, atol=1e-4)
    before = copy.deepcopy(dict(net.named_buffers()))
    steps(parallel, x, 20)
    assert all(torch.equal(before[name], t) for name, t in net.named_buffers())
    assert all(torch.isfinite(p).all() for p in net.parameters())
    torch.testing.assert_close(parallel.eval()(x), net.eval()(x), rtol=1e-4, atol=1e-4)


@two_gpus
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_data_parallel_refuses_an_uncalibrated_network(training: bool) -> None:
    net, x = kan().train(training), rows()
    with pytest.raises(RuntimeError, match=r"call model\.calibrate\(X\) before you train the model in DataParallel"):
        nn.DataParallel(net, [0, 1])(x)
    assert not any(layer.norm.calibrated for layer in net.layers)


def _worker(rank: int, folder: str) -> None:
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(seed_of(0))
    net, x = kan(f"cuda:{rank}"), rows(f"cuda:{rank}")
    own, message = x[rank::2], ""
    try:
        net(own)
    except RuntimeError as error:
        message = str(error)
    net.calibrate(own, group=dist.group.WORLD)
    parallel = nn.parallel.DistributedDataParallel(net, [rank])
    steps(parallel, own, 3)
    fk.update_norms(net, group=dist.group.WORLD)
    if rank == 0:
        alone = kan(f"cuda:{rank}")
        alone.calibrate(x)
        fk.fit(fk.KAN([3, 1], norm="feature", device=f"cuda:{rank}"), x, x[:, 0], starts=1, progress=False)
    torch.save((x.cpu(), message, {k: t.cpu() for k, t in net.state_dict().items()}), Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@two_gpus
def test_two_ranks_with_nccl(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_worker, (str(tmp_path),), nprocs=2)
    (x, message, state), (_, other_message, other) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert message == other_message
    assert "each of 2 ranks would take its own batch" in message
    for name, value in state.items():
        torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-6)
    middle = (x.amin(0) + x.amax(0)) / 2
    torch.testing.assert_close(state["layers.0.norm.center"], middle, rtol=1e-5, atol=1e-6)
