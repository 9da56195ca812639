"""The battery and the model on a CUDA device: python -m pytest -m gpu tests/gpu."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.testing import LayerBattery, check_against_float64

pytestmark = pytest.mark.gpu


def formula(z: Tensor, params: dict[str, Tensor]) -> Tensor:
    return 1 - torch.tanh((z.unsqueeze(-1) - params["grid"]) * params["inv_denominator"].unsqueeze(-1)) ** 2


class CudaBattery(LayerBattery):
    basis = fk.RSWAF(num_grids=5, train_grid=True, train_inv_denominator=True)
    device = "cuda"

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return formula(z, params)


class TestLayerNorm(CudaBattery):
    pass


class TestRMSNormWithBase(CudaBattery):
    options = {"norm": "rms", "base": "silu", "bias": False}


class TestFeatureNorm(CudaBattery):
    options = {"norm": "feature"}


@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
def test_large_layer_in_chunks(autocast: torch.dtype | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fasterkan.ops.recompute.CHUNK_BYTES", {"cpu": 1, "cuda": 1 << 22})
    layer = fk.KANLinear(512, 256, device="cuda")
    layer.path = "recompute"
    check_against_float64(layer, formula, lambda: torch.randn(1023, 512, device="cuda"), autocast=autocast)


@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")
def test_compiled_model_matches_eager() -> None:
    torch._dynamo.reset()
    net, x = fk.KAN([64, 32, 10], device="cuda"), torch.randn(33, 64, device="cuda")
    compiled = torch.compile(net, fullgraph=True)
    torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)
    with torch.autocast("cuda", torch.bfloat16):
        y = compiled(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_whole_step_in_a_cuda_graph_gives_the_eager_gradients() -> None:
    net, x = fk.KAN([64, 32, 10], norm="feature", device="cuda"), torch.randn(16, 64, device="cuda")
    net.calibrate(x)
    net.train()
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


def test_saving_from_and_loading_to_the_device(tmp_path) -> None:
    net, x = fk.FasterKAN([64, 32, 10], device="cuda"), torch.randn(4, 64, device="cuda")
    net.save_pretrained(tmp_path)
    again = fk.from_pretrained(tmp_path, device="cuda")
    assert torch.equal(again(x), net(x))


def test_step_memory_stays_far_below_the_plain_formula() -> None:
    peaks = {}
    for path in ("auto", "reference"):
        net = fk.KAN([1024, 1024, 1024], device="cuda", first_affine=False)
        for layer in net.layers:
            layer.path = path
        x = torch.randn(8192, 1024, device="cuda")
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        net(x).square().mean().backward()
        peaks[path] = (torch.cuda.max_memory_allocated() - before) / 2**20
    assert peaks["auto"] < 0.4 * peaks["reference"]
