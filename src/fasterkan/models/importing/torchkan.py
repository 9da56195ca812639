"""Checkpoints of torchkan: KAL-Net and KANvolver."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ...bases import Legendre
from ...nn.base_branch import Base, base_name
from ..kan import KAN
from ..kanvolver import KANvolver
from .foreign_state import ForeignState, build

_PIXELS = 28


def import_torchkan(path: Path, base_activation: Base = None) -> KAN | KANvolver:
    """Return the KAL-Net or the KANvolver in a file of 1ssb/torchkan.

    KAC-Net, the variant of KAL-Net with Chebyshev polynomials, has the same names and shapes. It cannot be
    distinguished from KAL-Net.

    Args:
        path: the file.
        base_activation: activation after each layer, and in KAL-Net also of the base branch. None is "silu" for KAL-Net
            and "relu" for KANvolver. It is not in the file.
    """
    file = ForeignState(path, "torchkan", "KAL_Net of torchkan")
    if any(name.startswith("spline_weights.") for name in file.state):
        raise file.error(
            "holds torchkan's KAN with splines (spline_weights, prelus); only its KAL_Net and KANvolver can be imported"
        )
    if any(name.startswith("feature_extractor.") for name in file.state):
        file.what = "KANvolver of torchkan"
        return _kanvolver(file, "relu" if base_activation is None else base_activation)
    return _kal_net(file, "silu" if base_activation is None else base_activation)


def _kal_net(file: ForeignState, base_activation: Base) -> KAN:
    """Return the KAL-Net in a file, which holds `base_weights.N`, `poly_weights.N`, `layer_norms.N.{weight, bias}`."""
    count = file.count(r"poly_weights\.(\d+)", "poly_weights.0")
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    functions: int | None = None
    for n in range(count):
        base = file.take(f"base_weights.{n}", None, widths[-1] if widths else None)
        outputs, inputs = base.shape
        weight = file.take(f"poly_weights.{n}", outputs, None if functions is None else inputs * functions)
        functions = _functions(file, f"poly_weights.{n}", weight, inputs)
        state |= {
            f"layers.{n}.weight": weight.reshape(outputs, inputs, functions),
            f"layers.{n}.base_weight": base,
            f"layers.{n}.after.norm.weight": file.take(f"layer_norms.{n}.weight", outputs),
            f"layers.{n}.after.norm.bias": file.take(f"layer_norms.{n}.bias", outputs),
        }
        widths += [inputs, outputs] if not widths else [outputs]
    assert functions is not None
    return build(
        file,
        state,
        KAN,
        layers_hidden=widths,
        basis=Legendre(degree=functions - 1, domain=None),
        norm="batch_range",
        base=base_activation,
        bias=False,
        after=f"layernorm_{base_name(base_activation)}",
    )


def _kanvolver(file: ForeignState, base_activation: Base) -> KANvolver:
    """Return the KANvolver in a file.

    It holds `feature_extractor.{0, 3}.{weight, bias}`, `base_weights.N.{weight, bias}`, `poly_weights.N.{weight, bias}`
    and `batch_norms.N.*`. The constants of a layer (its two biases and the weights of x^0) are added to the running
    mean, which subtracts them again.
    """
    count = file.count(r"poly_weights\.(\d+)\.", "poly_weights.0.weight")
    state: dict[str, Tensor] = {}
    channels = 1
    for theirs, ours, outputs in ((0, "conv1", 16), (3, "conv2", 32)):
        state[f"features.{ours}.weight"] = file.take(f"feature_extractor.{theirs}.weight", outputs, channels, 3, 3)
        state[f"features.{ours}.bias"] = file.take(f"feature_extractor.{theirs}.bias", outputs)
        channels = outputs
    inputs, functions = channels * (_PIXELS // 4) ** 2, None
    widths: list[int] = []
    for n in range(count):
        layer = f"head.layers.{n}"
        base = file.take(f"base_weights.{n}.weight", None, inputs)
        outputs = len(base)
        weight = file.take(f"poly_weights.{n}.weight", outputs, None if functions is None else inputs * functions)
        functions = _functions(file, f"poly_weights.{n}.weight", weight, inputs)
        biases = [file.take(f"{kind}_weights.{n}.bias", outputs) for kind in ("base", "poly")]
        state |= {
            f"{layer}.weight": weight.view(outputs, inputs, functions)[..., 1:].contiguous(),
            f"{layer}.base_weight": base,
            f"{layer}.after.norm.num_batches_tracked": file.take_count(f"batch_norms.{n}.num_batches_tracked"),
        }
        for name in ("weight", "bias", "running_mean", "running_var"):
            state[f"{layer}.after.norm.{name}"] = file.take(f"batch_norms.{n}.{name}", outputs)
        constant = biases[0].double() + biases[1] + weight.view(outputs, inputs, functions)[..., 0].double().sum(1)
        mean = state[f"{layer}.after.norm.running_mean"]
        mean.copy_(mean - constant)
        widths.append(outputs)
        inputs = outputs
    assert functions is not None
    return build(
        file,
        state,
        KANvolver,
        layers_hidden=widths,
        polynomial_order=functions - 1,
        base_activation=base_activation,
        last_activation=True,
        image_size=_PIXELS,
    )


def _functions(file: ForeignState, name: str, weight: Tensor, inputs: int) -> int:
    """The number of polynomials K in a weight [O, I * K]."""
    if weight.shape[1] % inputs:
        raise file.error(
            f"is not a {file.what}: {name} has {weight.shape[1]} columns, expected a multiple of its {inputs} inputs"
        )
    return weight.shape[1] // inputs
