"""Every model and basis can be exported: to core operations of ATen, and to ONNX with the same outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.models.registry import MODELS, what_it_takes

from ..seeds import seed_of

BASES = [
    fk.RSWAF(),
    fk.RSWAF(exponent=3),
    fk.Gaussian(),
    fk.BSpline(),
    fk.BSpline(per_feature=True, degree=2),
    fk.Hat(),
    fk.Chebyshev(),
    fk.Chebyshev(domain="tanh"),
    fk.Legendre(),
    fk.Hermite(),
    fk.Jacobi(),
    fk.Gegenbauer(),
    fk.Monomial(),
    fk.Fourier(),
    fk.Sine(),
    fk.ReLUBump(),
    fk.Rational(groups=1),
    fk.Wavelet("mexican_hat"),
    fk.Wavelet("morlet"),
    fk.Wavelet("shannon"),
    fk.Wavelet("dog"),
]
CONVOLUTIONS = {
    "KANConv1d": (lambda: fk.KANConv1d(4, 6, 3, padding=1), (2, 4, 9)),
    "KANConv2d": (lambda: fk.KANConv2d(4, 6, 3, padding=1, padding_mode="reflect", norm="rms", groups=2), (2, 4, 9, 9)),
    "KANConv3d": (lambda: fk.KANConv3d(4, 6, 3, base="silu"), (2, 4, 5, 5, 5)),
}


def rows():
    x = torch.randn(9, 6)
    x[0], x[1], x[2], x[3] = 0.0, 3.0, x[2] * 1e6, x[3] * 1e-6
    return x


def of_basis(basis):
    return lambda: (fk.KAN([6, 5, 3], basis, norm="feature", base="silu"), torch.rand(9, 6))


def of_norm(norm):
    return lambda: (fk.KAN([6, 5, 3], norm=norm, base="gelu"), rows())


def of_model(name):
    if what_it_takes(name).images:
        return lambda: (MODELS[name]([16, 5], image_size=32), torch.rand(4, MODELS[name]([16, 5]).in_channels, 32, 32))
    return lambda: (MODELS[name]([6, 5, 3]), torch.randn(9, 6))


def masked():
    net = fk.KAN([6, 5, 3])
    net.layers[0].set_mask(torch.rand(5, 6) > 0.3)
    return net, torch.randn(9, 6)


def of_convolution(make, shape):
    return lambda: (make(), torch.randn(*shape))


CASES = {
    **{name: of_model(name) for name in MODELS},
    **{f"{number}-{type(basis).__name__}": of_basis(basis) for number, basis in enumerate(BASES)},
    **{f"norm {norm}": of_norm(norm) for norm in ("layer", "rms", None)},
    **{name: of_convolution(*case) for name, case in CONVOLUTIONS.items()},
    "mask": masked,
}

QUICK = {"KAN", "KALNet", "WavKAN", "norm rms", "norm layer", "KANConv2d", "mask"}
"""The cases of the quick tests: those with operations that an exporter did not know, and one of each kind of layer."""


def case_of(make) -> tuple[nn.Module, torch.Tensor]:
    """A network in evaluation mode whose norms are calibrated, and its input."""
    torch.manual_seed(seed_of(1))
    net, x = make()
    with torch.no_grad():
        net.train()(x)
    return net.eval(), x


@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning")  # from torch's own decompositions
@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name, marks=[] if name in QUICK else pytest.mark.slow) for name, make in CASES.items()],
)
def test_exported_programs_consist_of_core_operations(make):
    net, x = case_of(make)
    program = torch.export.export(net, (x,))
    torch.testing.assert_close(program.module()(x), net(x), rtol=1e-4, atol=1e-5)
    core = program.run_decompositions()
    targets = [node.target for node in core.graph.nodes if node.op == "call_function"]
    spaces = {target.namespace for target in targets if hasattr(target, "namespace")}
    assert spaces <= {"aten"}
    assert not {str(target) for target in targets} & {"aten.min.default", "aten.max.default", "aten.copysign.Tensor"}
    ends = [node for node in core.graph.nodes if str(node.target) in ("aten.amin.default", "aten.amax.default")]
    assert all(len(node.args) > 1 and node.args[1] for node in ends)  # ONNX has none without dimensions
    torch.testing.assert_close(core.module()(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "dynamic"])
@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore")
def test_onnx_gives_the_same_outputs(make, dynamic, tmp_path):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    runtime = pytest.importorskip("onnxruntime")
    net, x = case_of(make)
    shapes = ({0: torch.export.Dim("rows", min=2)},) if dynamic else None
    program = torch.onnx.export(net, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    program.save(tmp_path / "net.onnx")
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for batch in (x, torch.cat([x, x.flip(0)])) if dynamic else (x,):
        found = session.run(None, {session.get_inputs()[0].name: batch.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(found), net(batch).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("eps", [1e-5, 1e-20, 1.0])
def test_an_exported_rms_norm_is_that_of_float64(eps):
    x = rows()
    x[4] *= 1e17
    net = nn.Sequential(fk.KANLinear(6, 4, norm=fk.RMSNorm(eps=eps))).eval()
    exact = net[0].norm
    z = x.double() / (x.double().square().mean(-1, keepdim=True) + eps).sqrt() * exact.weight.detach().double()
    found = torch.export.export(exact, (x,)).module()(x)
    torch.testing.assert_close(found, z.float(), rtol=1e-5, atol=1e-7)
