"""The buffers are the whole truth about a calibration: whoever writes, copies or replaces them brings it along."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn

from fasterkan import KAN, BSpline

UNCALIBRATED = r"^FeatureNorm is not calibrated: call model\.calibrate\(X\)"


def kan() -> KAN:
    return KAN([2, 3, 1], BSpline(grid_size=3), norm="feature", base="silu")


def rows() -> Tensor:
    return torch.rand(60, 2) * torch.tensor([1.0, 5e4]) + torch.tensor([7.0, 2e5])


def trained() -> KAN:
    """A network that its first forward in training calibrated."""
    net = kan()
    net(rows())
    return net


def copied(write: Callable[[Tensor, Tensor], object]) -> Callable[[KAN, KAN], nn.Module]:
    def bring(net: KAN, new: KAN) -> KAN:
        with torch.no_grad():
            for own, value in zip(new.state_dict().values(), net.state_dict().values(), strict=True):
                write(own, value)
        return new

    return bring


def averaged(**options: object) -> Callable[[KAN, KAN], nn.Module]:
    def bring(net: KAN, new: KAN) -> nn.Module:
        average = AveragedModel(new, **options)
        for _ in range(3):
            average.update_parameters(net)
        return average

    return bring


def float_average(net: KAN, new: KAN) -> nn.Module:
    """The average of a loop that treats all tensors alike; the status becomes a float, not quite a whole one."""
    average = {name: value.clone() for name, value in net.state_dict().items()}
    for _ in range(50):
        average = {name: 0.9 * average[name] + 0.1 * value for name, value in net.state_dict().items()}
    average = {name: value * (1 - 1e-7) if name.endswith("status") else value for name, value in average.items()}
    assert average["layers.0.norm.status"].dtype == torch.float32 and average["layers.0.norm.status"] < 1
    new.load_state_dict(average)
    return new


def emptied(then: Callable[[KAN, KAN], nn.Module]) -> Callable[[KAN, KAN], nn.Module]:
    return lambda net, new: then(net, new.to("meta").to_empty(device="cpu"))


def saved(net: KAN, new: KAN) -> nn.Module:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def swapped(net: KAN, new: KAN) -> nn.Module:
    other = copy.deepcopy(net)
    for own, value in zip(*(list(m.state_dict(keep_vars=True).values()) for m in (new, other)), strict=True):
        torch.utils.swap_tensors(own, value)
    return new


def replaced(net: KAN, new: KAN) -> nn.Module:
    for module, own in zip(net.modules(), new.modules(), strict=True):
        for name, value in [*module.named_buffers(recurse=False), *module.named_parameters(recurse=False)]:
            getattr(own, name).data = value.detach().clone()
    return new


class Called(nn.Module):
    """A network that computes with the tensors of another one."""

    def __init__(self, net: KAN, new: KAN) -> None:
        super().__init__()
        self.new, self.tensors = new, dict(net.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        return functional_call(self.new, self.tensors, (x,))


WAYS: dict[str, Callable[[KAN, KAN], nn.Module]] = {
    "average-made-before": averaged(),
    "average-of-buffers": averaged(use_buffers=True),
    "ema-of-buffers": averaged(use_buffers=True, avg_fn=get_ema_avg_fn(0.9)),
    "copy": copied(lambda own, value: own.copy_(value)),
    "copy-to-data": copied(lambda own, value: own.data.copy_(value.data)),
    "float-average": float_average,
    "functional-call": Called,
    "load": lambda net, new: new.load_state_dict(net.state_dict()) and new,
    "load-assign": lambda net, new: new.to("meta").load_state_dict(net.state_dict(), assign=True) and new,
    "emptied-and-loaded": emptied(lambda net, new: new.load_state_dict(net.state_dict()) and new),
    "emptied-and-copied": emptied(copied(lambda own, value: own.copy_(value))),
    "swapped": swapped,
    "data-replaced": replaced,
    "deepcopy": lambda net, new: copy.deepcopy(net),
    "pickle": lambda net, new: pickle.loads(pickle.dumps(net)),
    "another-process": lambda net, new: pickle.loads(ForkingPickler.dumps(net)),
    "torch-save": saved,
    "to-and-fro": lambda net, new: copy.deepcopy(net).double().float(),
    "shared-memory": lambda net, new: copy.deepcopy(net).share_memory(),
}


@pytest.mark.parametrize("slow_memory", [False, True], ids=["cpu", "as-on-a-device"])
@pytest.mark.parametrize("way", WAYS)
def test_a_calibration_comes_along(way: str, slow_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if slow_memory:
        monkeypatch.setattr("fasterkan.nn.known_number._HOST", frozenset())
    net, new, x = trained(), kan(), rows()
    y = net.eval()(x)
    net.train()
    with pytest.raises(RuntimeError, match=UNCALIBRATED):
        new.eval()(x)  # so that Python has seen a new network
    twin = WAYS[way](net, new)
    before = copy.deepcopy(twin.state_dict())
    torch.testing.assert_close(twin.eval()(x), y)
    torch.testing.assert_close(twin.train()(10 * x + 3), net.eval()(10 * x + 3))  # nothing is calibrated anew
    assert all(torch.equal(before[name], value) for name, value in twin.state_dict().items())


def test_the_average_of_lists_of_tensors() -> None:
    net, x = kan(), rows()
    average = AveragedModel(net, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for _ in range(3):
        net(x)
        average.update_parameters(net)
    torch.testing.assert_close(average.eval()(x), net.eval()(x))


def test_an_uncalibrated_state_comes_along_too() -> None:
    net, new, x = trained(), kan(), rows()
    copied(lambda own, value: own.copy_(value))(new, net)
    with pytest.raises(RuntimeError, match=UNCALIBRATED):
        net.eval()(x)
    net.train()(x)
    assert torch.equal(net.layers[0].norm.center, trained_center(x))


def trained_center(x: Tensor) -> Tensor:
    net = kan()
    net.calibrate(x)
    return net.layers[0].norm.center


def test_functional_call_may_calibrate_the_tensors_it_is_given() -> None:
    net, x = kan(), rows()
    tensors = {name: value.clone() for name, value in net.state_dict().items()}
    functional_call(net, tensors, (x,))
    assert int(tensors["layers.0.norm.status"]) == 1 and int(net.layers[0].norm.status) == 0
    torch.testing.assert_close(functional_call(net.eval(), tensors, (x,)), functional_call(net, tensors, (x,)))
    assert torch.equal(tensors["layers.0.norm.center"], trained_center(x))


def test_an_ensemble_under_vmap() -> None:
    nets, x = [trained() for _ in range(3)], rows()
    parameters, buffers = stack_module_state(nets)
    base = copy.deepcopy(nets[0]).to("meta")
    y = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)
    for each, net in zip(y, nets, strict=True):
        torch.testing.assert_close(each, net.eval()(x))
    buffers["layers.0.norm.status"][1] = 0
    with pytest.raises(RuntimeError, match=UNCALIBRATED):
        vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)


@pytest.mark.parametrize("strict", [False, True], ids=["export", "export-strict"])
def test_export_reads_the_buffers(strict: bool) -> None:
    net, new, x = trained(), kan(), rows()
    with pytest.raises(RuntimeError, match=UNCALIBRATED):
        torch.export.export(new.eval(), (x,), strict=strict)
    copied(lambda own, value: own.copy_(value))(net, new)
    torch.testing.assert_close(torch.export.export(new, (x,), strict=strict).module()(x), net.eval()(x))


def test_a_sanity_check_before_training_is_refused_with_advice() -> None:
    net, x = kan(), rows()
    with torch.inference_mode(), pytest.raises(RuntimeError) as caught:
        net.eval()(x)
    assert str(caught.value).endswith(
        "Lightning evaluates before it trains: calibrate in setup(), or Trainer(num_sanity_val_steps=0)"
    )
    assert not net.layers[0].norm.calibrated
    net.train()(x)
    assert net.layers[0].norm.calibrated


# Compiled.


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("fullgraph", [True, False], ids=["fullgraph", "graph-breaks"])
def test_a_compiled_first_forward_says_one_thing(fullgraph: bool, training: bool) -> None:
    torch._dynamo.reset()
    net, x = kan().train(training), rows()
    compiled = torch.compile(net, backend="eager", fullgraph=fullgraph)
    with pytest.raises(RuntimeError, match=UNCALIBRATED) as caught:
        compiled(x)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
    net.calibrate(x)
    torch.testing.assert_close(compiled(x), net(x))


def test_compiled_code_follows_tensors_that_change() -> None:
    torch._dynamo.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    net, x = kan(), rows()
    net.calibrate(x)
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(x), net(x))
    net.freeze()
    net.load_state_dict(trained().state_dict())
    torch.testing.assert_close(compiled(x), net(x))
    assert len(graphs) == 1


# DataParallel, on the CPU: the copies that it would make, each in its thread.


def parallel_copies(net: nn.Module, count: int) -> list[nn.Module]:
    """What torch.nn.parallel.replicate makes: copies with other tensors, whose other attributes are those of `net`."""
    made = []
    for _ in range(count):
        twins = {module: module._replicate_for_data_parallel() for module in net.modules()}
        for module, twin in twins.items():
            for name, child in module._modules.items():
                twin._modules[name] = None if child is None else twins[child]
            for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
                if tensor is not None:
                    setattr(twin, name, tensor.clone())
        made.append(twins[net])
    return made


def in_parallel(nets: list[nn.Module], parts: list[Tensor]) -> list[Tensor]:
    with ThreadPoolExecutor(len(nets)) as pool:
        return list(pool.map(lambda net, x: net(x), nets, parts))


def test_copies_of_data_parallel_read_the_calibration_and_change_nothing() -> None:
    net, x = kan(), rows()
    net.calibrate(x)
    before = copy.deepcopy(net.state_dict())
    for _ in range(5):
        parts = in_parallel(parallel_copies(net, 4), list((x + 1).split(15)))
        torch.testing.assert_close(torch.cat(parts), copy.deepcopy(net)(x + 1))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert [layer.norm.statistics.count for layer in net.layers] == [0, 0]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_copies_of_data_parallel_refuse_an_uncalibrated_norm(training: bool) -> None:
    net, x = kan().train(training), rows()
    with pytest.raises(RuntimeError, match=r"call model\.calibrate\(X\) before you train the model in DataParallel"):
        in_parallel(parallel_copies(net, 2), list(x.split(30)))
    assert not any(layer.norm.calibrated for layer in net.layers)
    assert [layer.norm.statistics.count for layer in net.layers] == [0, 0]
