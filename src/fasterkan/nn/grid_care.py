"""Changes of grids: moving them to the data, refining them, and copying the functions of another layer."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from .._arrays import input_of
from .._check import real_number, whole_number
from .._torch import compiler_off
from ..bases import Basis
from .computed import check_not_shared, check_readable
from .edge_functions import OUTSIDE, behind_norm, exact_tensors, nodes, relative_error
from .edge_layer import EdgeLayer
from .moved_grid import moved_grid
from .transfer import fit_layer
from .writing import check_writable

_FILL = 1e-3
"""Total importance of the old functions on the grid, where there may be no data, relative to that of the data."""
_ENTRIES = 2**25
"""Most numbers in a table of functions; with more data only every n-th row is fitted (the grid uses all rows)."""


class _InputsGathered(BaseException):
    """Stops a forward pass at the layer whose inputs are gathered; `except Exception` does not catch it."""


class GridCare(nn.Module):
    """The methods that change the grids of layers and models.

    Each method replaces weights and tensors in place by regularised least squares in float64, which never gives NaN. It
    returns the error between the old and the new edge functions. Convolutions in a model do not change. `refine` makes
    new parameters, and so does `update_grid` if the basis learns its grid: make new optimisers after them.
    """

    @torch.inference_mode(False)
    @torch.no_grad()
    def update_grid(self, x: Any, mix: float = 0.02, margin: float = 0.01) -> float:
        """Move the grid of every layer to where the data is, keeping the functions on the edges.

        The new grid of a feature is mix * uniform + (1 - mix) * quantiles of z = norm(x). Both go from end to end of
        the data, widened by `margin`. Afterwards each feature has its own grid. A constant feature keeps its grid; if
        its value lies outside, the grid is shifted. A model is changed layer by layer, with the inputs that reach each
        layer. If a basis has no grid, an error is raised before any grid is moved.

        Args:
            x: inputs [..., I]: a tensor, an array, a table or lists of numbers; rows with NaN or infinity are left out.
            mix: share of the uniform grid, from 0 to 1 (grid_eps in pykan).
            margin: distance of the ends from the data, as a fraction of its range.

        Returns:
            The relative RMS error of the edge functions on the data; for a model, the largest error of a layer.

        Raises:
            ValueError: x has no finite row, `mix` or `margin` lies outside its domain, a basis has no grid, the model
                has no KANLinear, or x does not reach every layer.
            RuntimeError: a feature norm is not calibrated yet; a weight or grid is computed (weight norm, pruning), is
                sharded or belongs to two layers, so that it cannot be replaced. No layer is then changed.
        """
        if not 0 <= real_number("update_grid", "mix", mix) <= 1:
            raise ValueError(f"update_grid: mix must lie between 0 (quantiles) and 1 (uniform), got {mix}")
        if real_number("update_grid", "margin", margin) < 0:
            raise ValueError(f"update_grid: margin must not be negative, got {margin}")
        pending = _layers(self, "update_grid")
        for where, layer in _named(self).items():
            check_writable("update_grid", where, layer, ("weight", *layer.basis_tensors()))
        x = input_of("update_grid", "x", x, self)
        for layer in pending:
            tensors = layer.basis_tensors()
            if (grid := layer.basis.grid_of(tensors)) is None:
                nothing = torch.empty(layer.in_features, 0, device="cpu")
                layer.basis.grid_to(tensors, nothing)  # raises an error that names the family
            elif not torch.isfinite(grid).all():
                raise ValueError("update_grid: the present grid holds NaN or infinity; it cannot be moved")
        errors = []
        while pending:
            layer, inputs = _first_reached(self, pending, x)
            pending.remove(layer)
            errors.append(_move(layer, inputs, mix, margin))
        return max(errors)

    @torch.inference_mode(False)
    @torch.no_grad()
    def refine(self, num: int) -> float:
        """Replace the basis of every layer by a finer one of its family, keeping the functions on the edges.

        The result is exact (1e-12 in float64) if the finer functions contain the old ones: B-splines and hats with a
        multiple of the intervals, polynomials and Fourier series. RSWAF and Gaussian bumps get some centres beyond the
        ends of the grid. On even grids they keep their functions to about 3e-4. On very uneven grids the error is
        larger, because one width per feature does not suit all intervals; the returned value shows it.

        Args:
            num: the new value of the family's count: `num_grids`, `grid_size`, `degree` or `num_frequencies`.

        Returns:
            The relative RMS error over the range of the grid; for a model, the largest error of a layer.

        Raises:
            ValueError: there would be fewer functions than now, the family cannot be refined, or the model has no
                KANLinear.
            RuntimeError: a weight or grid is computed and does not take the new values, is sharded or belongs to two
                layers. No layer is then changed.
        """
        count = whole_number("refine", "num", num, 1)
        layers = _layers(self, "refine")
        made = [_refined(layer, count) for layer in layers]  # all layers, before the first one is changed
        for layer, (basis, tensors, weight, _) in zip(layers, made, strict=True):
            layer.check_functions(basis, tensors, weight)
        for layer, (basis, tensors, weight, _) in zip(layers, made, strict=True):
            layer.set_functions(basis, tensors, weight)
        return max(error for *_, error in made)

    def fit_to(self, other: EdgeLayer, x: Any = None) -> float:
        """Give this layer the functions of `other` (layers only); see `fasterkan.nn.transfer.fit_layer`."""
        if not isinstance(self, EdgeLayer) or not isinstance(other, EdgeLayer):
            raise TypeError(
                f"fit_to: a KANLinear takes the functions of a KANLinear, got {type(self).__name__} and "
                f"{type(other).__name__}; for models use each pair of zip(a.kan_layers(), b.kan_layers())"
            )
        return fit_layer(self, other, None if x is None else input_of("fit_to", "x", x, self))


def _layers(model: nn.Module, caller: str) -> list[EdgeLayer]:
    """The layers of a model whose functions can be read and changed."""
    layers = list(_named(model).values())
    if not layers:
        raise ValueError(f"{caller}: {type(model).__name__} has no KANLinear layer")
    check_readable(caller, model)
    check_not_shared(caller, model, {layer: ("weight", *layer.basis_tensors()) for layer in layers})
    return layers


def _named(model: nn.Module) -> dict[str, EdgeLayer]:
    return {name: m for name, m in model.named_modules() if isinstance(m, EdgeLayer)}


def _first_reached(model: nn.Module, pending: list[EdgeLayer], x: Tensor) -> tuple[EdgeLayer, Tensor]:
    """Return the first layer that x reaches, and the input of this layer."""
    reached: list[tuple[EdgeLayer, Tensor]] = []

    def stop(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        reached.append((cast(EdgeLayer, module), args[0]))
        raise _InputsGathered

    handles = [layer.register_forward_pre_hook(stop) for layer in pending]
    training = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), compiler_off():
            model(x)
    except _InputsGathered:
        pass
    finally:
        for handle in handles:
            handle.remove()
        for module, flag in training.items():
            module.training = flag
    if not reached:
        raise ValueError(
            f"update_grid: x does not reach {len(pending)} of the layers; every layer must be used in forward"
        )
    return reached[0]


def _move(layer: EdgeLayer, x: Tensor, mix: float, margin: float) -> float:
    """Move one layer's grid to the inputs x, refit its weights, and return the error on the data."""
    z = behind_norm(layer, x)
    z = z[torch.isfinite(z).all(-1)]
    if not len(z):
        raise ValueError(
            f"update_grid: x {tuple(x.shape)} holds no finite row of {layer.in_features} features; give some data"
        )
    tensors = exact_tensors(layer)
    old = cast(Tensor, layer.basis.grid_of(tensors)).expand(layer.in_features, -1)
    basis, moved = layer.basis.grid_to(tensors, moved_grid(old, z, mix, margin, torch.finfo(layer.weight.dtype).eps))
    z = z[:: -(-len(z) // max(16 * basis.num_basis, _ENTRIES // (layer.in_features * basis.num_basis)))]
    # The old functions are also fitted everywhere on the new grid, and beyond its ends if there are functions. These
    # points count little: the data may not fix all weights.
    everywhere, inside = nodes(basis, moved, layer.in_features)
    points = torch.cat([z, everywhere])
    importance = torch.full((len(points),), _FILL * len(z) / inside, dtype=torch.float64, device="cpu")
    importance[: len(z)] = 1
    weight, _ = layer.basis.refit(tensors, layer.weight, points, basis, moved, points, importance)
    error = relative_error((layer.basis, tensors, layer.weight, z), (basis, moved, weight, z))
    layer.set_functions(basis, moved, weight)
    return error


def _refined(layer: EdgeLayer, num: int) -> tuple[Basis, dict[str, Tensor], Tensor, float]:
    """Return the finer basis of one layer, its tensors, its weight and the error."""
    tensors = exact_tensors(layer)
    basis, made = layer.basis.refined(tensors, num, layer.in_features, layer.out_features)
    z, inside = nodes(basis, made, layer.in_features)
    importance = torch.full((len(z),), OUTSIDE, dtype=torch.float64, device="cpu")
    importance[:inside] = 1
    weight, _ = layer.basis.refit(tensors, layer.weight, z, basis, made, z, importance)
    z = z[:inside]
    return basis, made, weight, relative_error((layer.basis, tensors, layer.weight, z), (basis, made, weight, z))
