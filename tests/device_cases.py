"""One use, or several, of every name of the library that computes, for tests of default devices and dtypes.

A case makes its networks on the default device. Its data are on the CPU, or on the `data_device`. It returns what it
computed; `differences` compares that with what the same case gives elsewhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan.data import ImageDataset
from fasterkan.data.special import KNOWN_FUNCTIONS
from fasterkan.train import TrainConfig, evaluate, train

NOT_COMPUTING = frozenset(
    [
        "Basis",
        "CheckpointError",
        "__version__",
        "bases",
        "data",
        "diagnosis",
        "interpret",
        "list_models",
        "models",
        "nn",
        "ops",
    ]
)
"""Names of the library that compute nothing: modules, errors, an abstract class, a list of names."""

Dtype = torch.dtype | None
"""The dtype of a case's networks; None leaves the choice to torch's default dtype."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A function of the networks' dtype, and the relative difference that its results may have on another device."""

    compute: Callable[[Dtype], Any]
    bound: float


data_device = ContextVar("data_device", default="cpu")
"""The device of a case's rows and targets."""

CASES: dict[str, Case] = {}
"""By name of the library, with what is done after a colon if there is more than one."""


def case(name: str, bound: float = 1e-4) -> Callable[[Callable[[Dtype], Any]], None]:
    def add(compute: Callable[[Dtype], Any]) -> None:
        CASES[name] = Case(compute, bound)

    return add


def names() -> set[str]:
    """The names of the library that have a case."""
    return {name.partition(":")[0] for name in CASES}


def leaves(results: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors, numbers and texts of results, with their places; a module gives its state."""
    if isinstance(results, nn.Module):
        results = results.state_dict()
    if isinstance(results, dict):
        for key, part in results.items():
            yield from leaves(part, f"{place}.{key}")
    elif isinstance(results, list | tuple):
        for i, part in enumerate(results):
            yield from leaves(part, f"{place}[{i}]")
    else:
        yield place, results.detach().cpu() if isinstance(results, Tensor) else results


def modules(results: Any) -> Iterator[nn.Module]:
    """The networks among results."""
    if isinstance(results, nn.Module):
        yield results
    elif isinstance(results, dict | list | tuple):
        for part in results.values() if isinstance(results, dict) else results:
            yield from modules(part)


def differences(got: Any, expected: Any, bound: float) -> list[str]:
    """What differs by more than `bound` of its size; numbers below 0.01 may be sums of larger ones that cancel."""
    mine, theirs = dict(leaves(got)), dict(leaves(expected))
    found = [f"only one has {place}" for place in sorted(mine.keys() ^ theirs.keys())]
    for place in sorted(mine.keys() & theirs.keys()):
        a, b = mine[place], theirs[place]
        if isinstance(b, Tensor | float):
            a, b = (torch.as_tensor(v, device="cpu").to(torch.float64) for v in (a, b))
            size = b.abs().max() if b.numel() else b.new_zeros(())
            if a.shape != b.shape or not bool(((a - b).abs() <= bound * size.clamp_min(1e-2)).all()):
                found.append(f"{place}: {a} is not {b}")
        elif a != b:
            found.append(f"{place}: {a!r} is not {b!r}")
    return found


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def rows(count: int = 24, columns: int = 3) -> Tensor:
    """Rows that float32 holds, on the device of the data."""
    drawn = torch.rand(count, columns, generator=generator(1), dtype=torch.float32, device="cpu")
    return (drawn * 2 - 1).to(data_device.get())


def target(x: Tensor) -> Tensor:
    return (x[:, 0] * x[:, 1] + torch.sin(2 * x[:, 1])).unsqueeze(1)


def kan(dtype: Dtype, widths: Sequence[int] = (3, 2, 1), basis: fk.Basis | None = None, **changes: Any) -> fk.KAN:
    """A calibrated network on the default device."""
    settings = {"norm": "feature", "base": "silu", "generator": generator(2), **changes}
    net = fk.KAN(widths, fk.BSpline(grid_size=4) if basis is None else basis, dtype=dtype, **settings)
    if settings["norm"] == "feature":
        net.calibrate(rows(columns=widths[0]))
    return net


def into(net: nn.Module, x: Tensor) -> Tensor:
    return x.to(next(net.parameters()))


def learned(net: nn.Module, x: Tensor) -> dict[str, Any]:
    """A network with its outputs and all gradients, in training."""
    net.train()
    x = into(net, x).requires_grad_()
    y = net(x)
    (y * torch.arange(y.numel(), dtype=y.dtype, device=y.device).cos().view_as(y)).sum().backward()
    grads = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"net": net, "y": y, "dx": x.grad, "grads": grads}


def saved(net: Any) -> Any:
    """A network after it was written and read."""
    device = torch.get_default_device()
    with tempfile.TemporaryDirectory() as folder:
        return fk.from_pretrained(net.save_pretrained(folder), device=device)


BASES: dict[str, fk.Basis] = {
    "BSpline": fk.BSpline(grid_size=4),
    "Chebyshev": fk.Chebyshev(),
    "Fourier": fk.Fourier(),
    "Gaussian": fk.Gaussian(train_grid=True),
    "Gegenbauer": fk.Gegenbauer(),
    "Hat": fk.Hat(),
    "Hermite": fk.Hermite(),
    "Jacobi": fk.Jacobi(),
    "Legendre": fk.Legendre(),
    "Monomial": fk.Monomial(),
    "RSWAF": fk.RSWAF(train_grid=True, train_inv_denominator=True),
    "Rational": fk.Rational(groups=3),
    "ReLUBump": fk.ReLUBump(train=True),
    "Sine": fk.Sine(num_frequencies=4),
    "Wavelet": fk.Wavelet(),
}


def cared_for(basis: fk.Basis, dtype: Dtype) -> dict[str, Any]:
    """A layer of a family, its gradients, and what of the changes of grids and norms the family can do."""
    changes: dict[str, Callable[[fk.KANLinear], Any]] = {
        "refine": lambda layer: layer.refine(10),
        "update_grid": lambda layer: layer.update_grid(rows()),
        "calibrate": lambda layer: layer.calibrate(0.5 * rows()),
        "fold": lambda layer: layer.fold(),
    }
    found: dict[str, Any] = {}

    def layer() -> fk.KANLinear:
        made = fk.KANLinear(3, 3, basis, norm="feature", base="silu", dtype=dtype, generator=generator(3))
        made.calibrate(rows())
        return made

    found["learned"] = learned(layer(), rows())
    for name, change in changes.items():
        with contextlib.suppress(ValueError):  # the family cannot
            changed = layer()
            found[name] = {"error": change(changed), **learned(changed, rows())}
    return found


def _add_bases() -> None:
    for name, basis in BASES.items():
        case(name, bound=1e-3)(lambda dtype, basis=basis: cared_for(basis, dtype))  # refits amplify rounding


_add_bases()

SMALL_IMAGES = {"in_channels": 1, "image_size": 16}
MODELS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "ChebyKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "EfficientKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "FastKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "FasterKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "FasterKANvolver": ({"layers_hidden": [4, 3], **SMALL_IMAGES}, (2, 256)),
    "FourierKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "KALNet": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "KAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "KANvolver": ({"layers_hidden": [3], **SMALL_IMAGES}, (2, 256)),
    "MLP": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "PyKAN": ({"width": [3, 4, 3]}, (8, 3)),
    "RBFKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
    "ReLUKAN": ({"width": [3, 4, 3]}, (8, 3)),
    "ResKANNet": ({"layers_hidden": [3], "channels": (4,), **SMALL_IMAGES}, (3, 256)),
    "WavKAN": ({"layers_hidden": [3, 4, 3]}, (8, 3)),
}


def _add_models() -> None:
    for name, (arguments, shape) in MODELS.items():

        def model(dtype: Dtype, name: str = name, arguments: dict[str, Any] = arguments, shape: Any = shape) -> Any:
            net = getattr(fk, name)(**arguments, dtype=dtype, generator=generator(4))
            for module in net.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0
            return {"saved": saved(net), "learned": learned(net, rows(*shape))}

        case(name, bound=1e-3)(model)


_add_models()


def _norm(norm: Any) -> Callable[[Dtype], Any]:
    def compute(dtype: Dtype) -> Any:
        layer = fk.KANLinear(3, 3, norm=norm, base="silu", base_input="x", dtype=dtype, generator=generator(5))
        found = learned(layer, rows())
        return {**found, "evaluated": layer.eval()(into(layer, rows()))}

    return compute


case("BatchRange")(_norm(fk.BatchRange()))
case("FeatureNorm")(_norm(fk.FeatureNorm()))
case("LayerNorm")(_norm(fk.LayerNorm()))
case("RMSNorm")(_norm(fk.RMSNorm()))


def _convolution(kind: Any, dimensions: int) -> Callable[[Dtype], Any]:
    def compute(dtype: Dtype) -> Any:
        layer = kind(3, 4, 3, padding=1, base="silu", dtype=dtype, generator=generator(6))
        return learned(layer, rows(2, 3 * 5**dimensions).view(2, 3, *[5] * dimensions))

    return compute


case("KANConv1d")(_convolution(fk.KANConv1d, 1))
case("KANConv2d")(_convolution(fk.KANConv2d, 2))
case("KANConv3d")(_convolution(fk.KANConv3d, 3))


@case("KANLinear")
def _(dtype: Dtype) -> Any:
    layer = fk.KANLinear(3, 3, base="silu", dtype=dtype, generator=generator(7))
    layer.set_mask(torch.tensor([[True, False, True], [True, True, False], [False, True, True]], device="cpu"))
    other = fk.KANLinear(3, 3, fk.BSpline(), norm=None, base="silu", dtype=dtype, generator=generator(8))
    same = fk.KANLinear(3, 3, fk.BSpline(grid_size=10), norm=None, base="silu", dtype=dtype, generator=generator(9))
    return {"masked": learned(layer, rows()), "error": same.fit_to(other), "fitted": learned(same, rows())}


@case("KANLinear: its own generator")
def _(dtype: Dtype) -> Any:
    """Weights drawn without a generator have the default device and dtype; their values depend on it."""
    layer = fk.KANLinear(3, 3, base="silu", dtype=dtype)
    return bool(torch.isfinite(layer(into(layer, rows()))).all()), str(layer.weight.dtype)


@case("LayerSpec")
def _(dtype: Dtype) -> Any:
    spec = fk.KANLinear(3, 3, fk.Hat(), dtype=dtype, generator=generator(10)).spec
    assert isinstance(spec, fk.LayerSpec)
    return learned(fk.KANLinear.from_spec(spec, dtype=dtype, generator=generator(11)), rows())


@case("create_model")
def _(dtype: Dtype) -> Any:
    return learned(fk.create_model("kan", [3, 4, 1], dtype=dtype, generator=generator(12)), rows())


@case("from_pretrained")
def _(dtype: Dtype) -> Any:
    net = kan(dtype)
    with tempfile.TemporaryDirectory() as folder:
        read = fk.from_pretrained(net.save_pretrained(folder))
    assert next(read.parameters()).device.type == "cpu"
    return read.state_dict()


@case("import_checkpoint")
def _(dtype: Dtype) -> Any:
    state: dict[str, Tensor] = {}
    for n, (inputs, outputs) in enumerate([(3, 4), (4, 1)]):
        state |= {
            f"layers.{n}.layernorm.weight": torch.ones(inputs, device="cpu", dtype=torch.float32),
            f"layers.{n}.layernorm.bias": torch.zeros(inputs, device="cpu", dtype=torch.float32),
            f"layers.{n}.rbf.grid": torch.linspace(-1.2, 1.2, 4, device="cpu", dtype=torch.float32),
            f"layers.{n}.spline_linear.weight": rows(outputs, 4 * inputs),
        }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save(state, path)
        net = fk.import_checkpoint(path, inv_denominator=1.0)
    return net.state_dict(), net(rows().cpu())


@case("calibrate")
def _(dtype: Dtype) -> Any:
    net = kan(dtype, basis=fk.RSWAF())
    fk.calibrate(net, [rows(20), 2 * rows(30)])
    net.unfreeze()
    net.freeze()
    return net


@case("update_norms")
def _(dtype: Dtype) -> Any:
    net = kan(dtype)
    net.train()
    net(into(net, 2 * rows()))
    return fk.update_norms(net), net


@case("param_groups", bound=1e-3)
def _(dtype: Dtype) -> Any:
    """A few steps of torch's optimiser and schedule."""
    net = kan(dtype, basis=fk.RSWAF(train_grid=True))
    optimizer = torch.optim.AdamW(fk.param_groups(net, lr=1e-2, basis_lr=1e-3))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=4)
    x, y = into(net, rows()), into(net, target(rows()))
    for _ in range(3):
        optimizer.zero_grad()
        (net(x) - y).square().mean().backward()
        optimizer.step()
        schedule.step()
        fk.update_norms(net)
    return net


@case("penalty")
def _(dtype: Dtype) -> Any:
    net = kan(dtype)
    value = fk.penalty(net, l1=1.0, entropy=0.5, group=0.3, smoothness=0.1)
    value.backward()
    return value, [layer.weight.grad for layer in net.kan_layers()]


@case("which_path")
def _(dtype: Dtype) -> Any:
    layer = fk.KANLinear(3, 3, dtype=dtype, generator=generator(13))
    return bool(fk.which_path(layer, into(layer, rows()))[0])


@case("fit", bound=1e-3)
def _(dtype: Dtype) -> Any:
    net, x = kan(dtype), rows()
    result = fk.fit(net, x, target(x), starts=0, grids=None, iterations=2, held_out=0.0, sparsity=1e-3, progress=False)
    return {"net": net, "y": net(into(net, x)), "loss": result.loss}


@case("FitResult")
def _(dtype: Dtype) -> Any:
    """A whole fit with random starts and finer grids; another device draws other starts."""
    net, x = kan(dtype, (2, 1)), rows(30, 2)
    y = x[:, 0].sin() + x[:, 1].square()
    result = fk.fit(net, x, y, starts=2, grids=(2, 3), iterations=3, progress=False)
    error = (net(into(net, x))[:, 0].detach() - into(net, y)).square().mean().sqrt()
    return {"good": bool(error < 0.05), "grid": result.grid, "dtype": str(next(net.parameters()).dtype)}


@case("fit: equations", bound=1e-3)
def _(dtype: Dtype) -> Any:
    x = torch.linspace(0, 1, 8, dtype=torch.float64, device="cpu").unsqueeze(1)
    net = kan(dtype, (1, 1))

    def slope(net: nn.Module, x: Tensor) -> Tensor:
        return torch.func.vmap(torch.func.jacrev(net))(x).reshape(len(x), 1) - 2 * x

    terms = [(slope, x), (lambda net, x: net(x), x[:1], 10.0)]
    fk.fit(net, x, residual=terms, starts=0, grids=None, iterations=2, progress=False)
    whole = kan(dtype, (1, 1))
    fk.fit(
        whole, x, residual=lambda net: net(x.to(next(net.parameters()).device)) - 1, starts=0, grids=None,
        iterations=1, progress=False,
    )  # fmt: skip
    return net(into(net, x)), whole(into(whole, x))


@case("importance")
def _(dtype: Dtype) -> Any:
    found = [fk.importance(kan(dtype), rows(), method=method, repeats=2) for method in ("shuffle", "gradient")]
    wide = fk.importance(kan(dtype, (17, 1)), rows(columns=17), repeats=2)
    return [(each.inputs, each.errors, each.nodes, each.edges, each.additive) for each in (*found, wide)]


@case("edges")
def _(dtype: Dtype) -> Any:
    net, x = kan(dtype), rows()
    noise = 0.1 * torch.randn(24, 1, generator=generator(14), dtype=torch.float32, device="cpu")
    made = fk.edges(net, x, target(x) + noise.to(x.device), points=11)
    at = torch.linspace(-0.5, 0.5, 5, dtype=torch.float32, device="cpu")
    return [(edge.points, edge.values, edge.share, edge.histogram, edge.band, edge(at)) for edge in made]


@case("edges: without data")
def _(dtype: Dtype) -> Any:
    return [(edge.points, edge.values) for edge in fk.edges(kan(dtype, basis=fk.Wavelet()), points=11)]


@case("bands")
def _(dtype: Dtype) -> Any:
    return fk.bands(kan(dtype), rows(), target(rows()), points=11)


@case("bootstrap_bands", bound=2e-2)
def _(dtype: Dtype) -> Any:
    return fk.bootstrap_bands(kan(dtype, (3, 1)), rows(), target(rows()), draws=2, points=5, smoothness=1e-4)


@case("predict_interval", bound=1e-3)
def _(dtype: Dtype) -> Any:
    return tuple(fk.predict_interval(kan(dtype, (3, 1)), rows(), target(rows()), rows(5)))


@case("derivative_interval", bound=1e-3)
def _(dtype: Dtype) -> Any:
    return tuple(fk.derivative_interval(kan(dtype, (3, 1)), rows(), target(rows()), rows(5)))


@case("derivatives", bound=1e-3)
def _(dtype: Dtype) -> Any:
    return [fk.derivatives(kan(dtype), rows(6), order) for order in (1, 2)]


@case("diagnose", bound=1e-3)
def _(dtype: Dtype) -> Any:
    labels = (rows()[:, 0] > 0).long()
    told = [fk.diagnose(kan(dtype), (rows(), target(rows()))), fk.diagnose(kan(dtype, (3, 2)), (rows(), labels))]
    return [_numbers(each.to_dict()) for each in told]


def _numbers(report: dict[str, Any]) -> list[Any]:
    """The layers of a report, without its texts."""
    return [{name: v for name, v in layer.items() if isinstance(v, float)} for layer in report["layers"]]


@case("prune", bound=1e-3)
def _(dtype: Dtype) -> Any:
    net, x = kan(dtype, (2, 1)), rows(16, 2)
    y = net(into(net, x)).detach().cpu()
    report = fk.prune(net, x, y, tolerance=0.2)

    def refit(smaller: fk.KAN) -> None:
        assert next(smaller.parameters()).device == next(net.parameters()).device
        fk.fit(smaller, x, y, starts=0, grids=None, iterations=1, progress=False)

    again = fk.prune(net, x, y, tolerance=0.5, refit=refit, rounds=1)
    return {"net": report.net, "y": report.net(into(net, x)), "after": str(report.after), "again": str(again.after)}


@case("auto_width")
def _(dtype: Dtype) -> Any:
    x = rows(20, 2)
    return [trial.widths for trial in fk.auto_width(x, x.sum(1), shapes=[[2, 1], [2, 1, 1]]).trials]


@case("plot")
def _(dtype: Dtype) -> Any:
    net = kan(dtype)
    figures = [fk.plot.network(net, rows()), fk.plot.importance(net, rows()), fk.plot.edge(fk.edges(net, rows())[0])]
    return [len(figure.axes) for figure in figures]


@case("KAN: refine and fold", bound=1e-3)
def _(dtype: Dtype) -> Any:
    net = kan(dtype, basis=fk.RSWAF())
    errors = [net.refine(12), net.update_grid(rows())]
    net = kan(dtype, basis=fk.RSWAF(), base=None)
    net.fold()
    return {"errors": errors, **learned(net, rows())}


@case("data: functions")
def _(dtype: Dtype) -> Any:
    function = next(iter(KNOWN_FUNCTIONS.values()))
    x, y = function.sample(5)
    return x, y, function(into(kan(dtype), x))


def corners(count: int, seed: int) -> ImageDataset:
    """Images of noise with one bright corner, whose number is the label."""
    labels = torch.randint(4, (count,), generator=generator(seed), device="cpu")
    images = torch.randint(0, 100, (count, 8, 8), generator=generator(seed), dtype=torch.uint8, device="cpu")
    for corner, (down, right) in enumerate(((0, 0), (0, 5), (5, 0), (5, 5))):
        images[labels == corner, down : down + 3, right : right + 3] += 120
    return ImageDataset(images, labels, tuple("abcd"), "corners")


def trained(dtype: Dtype, device: str) -> Any:
    net = fk.FasterKAN([64, 4, 4], num_grids=4, dtype=dtype, generator=generator(15))
    config = TrainConfig(
        layers=(64, 4, 4), batch_size=20, epochs=2, device=device, shift=1.0, rotate=5.0, elastic=1.0, ema=0.5,
        warmup=0.2, lr=1e-2,
    )  # fmt: skip
    result = train(net, corners(40, 16), corners(20, 17), config)
    found = evaluate(net, corners(20, 17))
    return {"state": net.state_dict(), "losses": [epoch.loss for epoch in result.epochs], "rows": found.rows}


@case("train: on the CPU", bound=1e-2)
def _(dtype: Dtype) -> Any:
    return trained(dtype, "cpu")


@case("train: on the default device", bound=1e-2)
def _(dtype: Dtype) -> Any:
    return trained(dtype, torch.get_default_device().type)
