"""Checkpoints of pykan: MODEL_config.yml and MODEL_state, as MultKAN.saveckpt writes them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..kan import KAN
from ..pretrained import CheckpointError
from .foreign_state import ForeignState, build
from .grids import spline_basis
from .pykan_files import files_of, missing_of, prefix_of, read_settings

_WHAT = "MultKAN of pykan 0.2"


def import_pykan(path: Path) -> KAN:
    """Return the MultKAN that `model.saveckpt(path)` of pykan 0.2 wrote; its _cache_data is not needed.

    What is folded into the weights, exactly: masks, `scale_base` and `scale_sp`, and the affine numbers of the nodes.
    Edges whose mask is 0 stay off in training (`KANLinear.set_mask`).
    Of the configuration only the base function and whether symbolic functions are on are read; nothing in it is
    executed. An import has a bias if a node's is not 0, or was to be learned.

    Args:
        path: what `saveckpt` was given, or one of the files that it wrote.

    Raises:
        CheckpointError: a file is missing or damaged, of another version, or holds symbolic functions or
            multiplication nodes.
    """
    prefix = prefix_of(path)
    if missing := missing_of(prefix):
        raise CheckpointError(
            f"{prefix} is not a checkpoint of pykan: {' and '.join(missing)} missing beside it; give the path that "
            "model.saveckpt was given, without an ending"
        )
    config_file, state_file = files_of(prefix)
    base, settings = read_settings(config_file)
    file = ForeignState(state_file, "pykan", _WHAT)
    count = file.count(r"act_fun\.(\d+)\.", "act_fun.0.coef")
    if "node_bias_0" not in file:
        raise file.error(
            f"is not a {_WHAT}: it lacks node_bias_0, as files of pykan before 0.2 do; save it again there"
        )
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    knots: list[Tensor] = []
    biases: list[Tensor] = []
    masks: list[Tensor] = []
    functions: int | None = None
    for n in range(count):
        layer = f"act_fun.{n}"
        coefficients = file.take(f"{layer}.coef", widths[-1] if widths else None, None, functions)
        inputs, outputs, functions = coefficients.shape
        _refuse_symbolic(file, n, (outputs, inputs), settings.get("symbolic_enabled") == "true")
        scale, bias = _node(file, n, outputs)
        grid = file.take(f"{layer}.grid", inputs, None)
        if knots and grid.shape[1] != knots[0].shape[1]:
            raise file.error(
                f"has {knots[0].shape[1]} knots in layer 0 and {grid.shape[1]} in layer {n}: layers of different grids "
                "cannot be imported; refine the coarser ones in pykan first"
            )
        mask = file.take(f"{layer}.mask", inputs, outputs)
        masks.append(mask.t() != 0)
        edges = mask * scale  # [I, O]
        spline = edges * file.take(f"{layer}.scale_sp", inputs, outputs)
        state[f"layers.{n}.weight"] = (coefficients * spline.unsqueeze(-1)).transpose(0, 1).contiguous()
        base_weight = edges * file.take(f"{layer}.scale_base", inputs, outputs)
        if base is not None:
            state[f"layers.{n}.base_weight"] = base_weight.t().contiguous()
        knots.append(grid)
        biases.append(bias)
        widths += [inputs, outputs] if not widths else [outputs]
    bias_wanted = settings.get("affine_trainable") == "true" or any(bool(bias.any()) for bias in biases)
    if bias_wanted:
        state |= {f"layers.{n}.bias": bias for n, bias in enumerate(biases)}
    state |= {f"layers.{n}.knots": grid for n, grid in enumerate(knots)}
    assert functions is not None
    basis = spline_basis(file, "act_fun.{}.grid", knots, functions, per_feature=True)
    net = build(
        file,
        state,
        KAN,
        layers_hidden=widths,
        basis=basis,
        norm=None,
        base=base,
        bias=bias_wanted,
    )
    for kan_layer, left in zip(net.kan_layers(), masks, strict=True):
        if not bool(left.all()):
            kan_layer.set_mask(left)
    return net


def _node(file: ForeignState, n: int, outputs: int) -> tuple[Tensor, Tensor]:
    """The factor and the summand [O] of a layer's nodes, subnodes included."""
    subnodes = file.state.get(f"subnode_scale_{n}")
    nodes = file.state.get(f"node_scale_{n}")
    if subnodes is not None and nodes is not None and subnodes.shape != nodes.shape:
        raise file.error(
            f"has multiplication nodes: layer {n} makes {nodes.numel()} nodes of {subnodes.numel()} sums; only sums "
            "can be imported"
        )
    scale, sub_scale = (file.take(f"{kind}_scale_{n}", outputs) for kind in ("node", "subnode"))
    bias, sub_bias = (file.take(f"{kind}_bias_{n}", outputs) for kind in ("node", "subnode"))
    return scale * sub_scale, scale * sub_bias + bias


def _refuse_symbolic(file: ForeignState, n: int, edges: tuple[int, int], enabled: bool) -> None:
    """Take the symbolic layer; raise if it takes part in the output."""
    mask = file.take(f"symbolic_fun.{n}.mask", *edges)
    file.take(f"symbolic_fun.{n}.affine", *edges, 4)
    if enabled and bool(mask.any()):
        out, inp = (int(i) for i in torch.nonzero(mask)[0])
        raise file.error(
            f"has {int(mask.count_nonzero())} symbolic functions in layer {n}, the first from input {inp} to output "
            f"{out}; only splines can be imported: model.unfix_symbolic({n}, {inp}, {out}) in pykan takes one back"
        )
