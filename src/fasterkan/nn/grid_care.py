"""Grid care: moving grids to where the data is, refining them, and giving a layer the functions of another."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from .._check import real_number, whole_number
from ..bases import Basis
from .edge_functions import OUTSIDE, behind_norm, exact_tensors, nodes, relative_error
from .edge_layer import EdgeLayer
from .moved_grid import moved_grid
from .transfer import fit_layer

_FILL = 1e-3
"""Importance of the old functions between the data, all points together, beside that of the data."""
_ENTRIES = 2**25
"""Numbers in a table of functions; of more data than that every n-th row is fitted (the grid follows all of it)."""


class _InputsGathered(BaseException):
    """Ends a forward pass at the layer whose inputs are gathered; no `except Exception` on the way stops it."""


class GridCare(nn.Module):
    """The methods with which layers and models care for their grids.

    Each replaces weights and tensors in place, by regularised least squares in float64 that never give NaN, and
    returns how well the functions on the edges were kept. Convolutions in a model stay as they are. `refine` and,
    where the basis learns its grid, `update_grid` make new parameters: make optimisers anew after them.
    """

    def update_grid(self, x: Tensor, mix: float = 0.02, margin: float = 0.01) -> float:
        """Move the grid of every layer to where the data is, keeping the functions on the edges.

        The new grid of a feature is mix * uniform + (1 - mix) * quantiles of z = norm(x), both from end to end of the
        data, widened by `margin`. Grids are one a feature afterwards. A feature that is constant keeps its grid,
        shifted if the value lies outside. Models do it layer by layer, with the inputs that reach each; a layer whose
        basis has no grid is refused before anything is moved.

        Args:
            x: inputs [..., I]; rows with NaN or infinity are left out.
            mix: share of the uniform grid, 0 to 1 (pykan's grid_eps).
            margin: how far the ends lie beyond the data, as a fraction of its range.

        Returns:
            The relative RMS error of the edge functions on the data; for a model the largest of its layers'.

        Raises:
            ValueError: x holds no finite row, `mix` or `margin` lies outside its domain, a basis has no grid, or the
                model has no KANLinear.
            RuntimeError: a feature norm is not calibrated yet.
        """
        if not 0 <= real_number("update_grid", "mix", mix) <= 1:
            raise ValueError(f"update_grid: mix must lie between 0 (quantiles) and 1 (uniform), got {mix}")
        if real_number("update_grid", "margin", margin) < 0:
            raise ValueError(f"update_grid: margin must not be negative, got {margin}")
        pending = _layers(self, "update_grid")
        for layer in pending:
            tensors = layer.basis_tensors()
            if (grid := layer.basis.grid_of(tensors)) is None:
                layer.basis.grid_to(tensors, torch.empty(layer.in_features, 0))  # raises, naming the family
            elif not torch.isfinite(grid).all():
                raise ValueError("update_grid: the present grid holds NaN or infinity; it cannot be moved")
        errors = []
        while pending:
            layer, inputs = _first_reached(self, pending, x)
            pending.remove(layer)
            errors.append(_move(layer, inputs, mix, margin))
        return max(errors)

    def refine(self, num: int) -> float:
        """Replace the basis of every layer by a finer one of its family, keeping the functions on the edges.

        Exact (1e-12 in float64) where the finer functions contain the old ones: B-splines and hats with a multiple of
        the intervals, polynomials and Fourier series. RSWAF and Gaussian bumps get some centres beyond the ends of
        the grid and keep their functions to about 3e-4 on even grids, and less well
        on very uneven ones, as the returned error says: one width a feature does not suit all of them.

        Args:
            num: the new count, in the family's own word: `num_grids`, `grid_size`, `degree` or `num_frequencies`.

        Returns:
            The relative RMS error over the range of the grid; for a model the largest of its layers'.

        Raises:
            ValueError: fewer functions than now, a family that cannot be refined, or no KANLinear in the model.
        """
        count = whole_number("refine", "num", num, 1)
        layers = _layers(self, "refine")
        made = [_refined(layer, count) for layer in layers]  # all, before the first is changed
        for layer, (basis, tensors, weight, _) in zip(layers, made, strict=True):
            layer.set_functions(basis, tensors, weight)
        return max(error for *_, error in made)

    def fit_to(self, other: EdgeLayer, x: Tensor | None = None) -> float:
        """Give this layer the functions of `other`; a method of layers only, see `fasterkan.nn.transfer.fit_layer`."""
        if not isinstance(self, EdgeLayer) or not isinstance(other, EdgeLayer):
            raise TypeError(
                f"fit_to: a KANLinear takes the functions of a KANLinear, got {type(self).__name__} and "
                f"{type(other).__name__}; models: layer by layer, zip(a.kan_layers(), b.kan_layers())"
            )
        return fit_layer(self, other, x)


def _layers(model: nn.Module, caller: str) -> list[EdgeLayer]:
    layers = [m for m in model.modules() if isinstance(m, EdgeLayer)]
    if not layers:
        raise ValueError(f"{caller}: {type(model).__name__} has no KANLinear layer")
    return layers


def _first_reached(model: nn.Module, pending: list[EdgeLayer], x: Tensor) -> tuple[EdgeLayer, Tensor]:
    """Return the first of the layers that x reaches, and what reaches it."""
    reached: list[tuple[EdgeLayer, Tensor]] = []

    def stop(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        reached.append((cast(EdgeLayer, module), args[0]))
        raise _InputsGathered

    handles = [layer.register_forward_pre_hook(stop) for layer in pending]
    training = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            model(x)
    except _InputsGathered:
        pass
    finally:
        for handle in handles:
            handle.remove()
        for module, flag in training.items():
            module.training = flag
    if not reached:
        raise ValueError(f"update_grid: x reaches {len(pending)} of the layers not at all")
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
    # Between the data, and where it leaves weights open, the old functions go on too, with little weight.
    between, inside = nodes(basis, moved, layer.in_features)
    points = torch.cat([z, between[:inside]])
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
