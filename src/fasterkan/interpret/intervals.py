"""Intervals of a fitted network's predictions and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .._check import real_number, whole_number
from .._device import with_float64
from .._scipy import scipy_special
from ._posterior import posterior_of
from .differentiation import points_for


class Interval(NamedTuple):
    """A prediction and the ends of its interval, three tensors of equal shape."""

    prediction: Tensor
    low: Tensor
    high: Tensor


def predict_interval(
    net: nn.Module,
    X: Any,
    y: Any,
    new: Any,
    *,
    coverage: float = 0.9,
    of: Literal["observation", "mean"] = "observation",
    smooth: bool = True,
) -> Interval:
    """Return the predictions of a fitted network with intervals, (prediction, low, high).

    The network is taken as linear in its weights near their fitted values, with independent normal noise of equal
    variance s^2 in all rows. For a row x with the slopes j = df/dtheta,

        f(x) -+ t sqrt(j^T Cov j)            of="mean": for the mean of y at x,
        f(x) -+ t sqrt(j^T Cov j + s^2)      of="observation": for one new value of y at x,

    t is the quantile of Student's distribution. For a network that is linear in its weights and was fitted by least
    squares, smooth=False gives the intervals of linear regression. By default the functions on the edges are expected
    to be as smooth as those of the network; otherwise a network with many weights for its rows would have much too wide
    intervals. An interval tells nothing about a target that the network cannot represent, and little where X has no
    rows nearby.

    Args:
        net: a KAN or a KANLinear, fitted to X and y by the squared error; at most 3,000 learned weights.
        X: the rows to which the network was fitted, [N, I].
        y: their targets, [N] or [N, O], numbers.
        new: points [M, I], or one point [I].
        coverage: probability of the interval, between 0 and 1.
        of: "observation" for intervals of new values, "mean" for intervals of the function without noise.
        smooth: whether smoothness of the edges is used.

    Returns:
        Three tensors [M, O], or [O] for one point; `prediction` is net(new), in float64.

    Raises:
        TypeError, ValueError: net, X, y or new cannot be used; coverage lies outside its domain; the network has too
            many weights for these rows.
        ImportError: scipy is not installed; it has the quantiles of Student's distribution.

    Source: Seber and Wild, Nonlinear Regression (1989), section 5.1; with smoothness, Wahba, Bayesian confidence
    intervals for the cross-validated smoothing spline (1983).

    Example:
        >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64).unsqueeze(1)
        >>> net = KAN([1, 1], norm="feature", dtype=torch.float64)
        >>> y = x[:, 0] ** 2 + 0.1 * torch.randn(50)
        >>> _ = fit(net, x, y, starts=1, progress=False)
        >>> prediction, low, high = predict_interval(net, x, y, x)
        >>> bool(((low < prediction) & (prediction < high)).all())
        True
    """
    if of not in ("observation", "mean"):
        raise ValueError(f'predict_interval: of must be "observation" or "mean", got {of!r}')
    return _interval(
        "predict_interval", net, X, y, new, lambda call, x: call(x), coverage, smooth, noisy=of == "observation"
    )


def derivative_interval(
    net: nn.Module, X: Any, y: Any, new: Any, order: int = 1, *, coverage: float = 0.9, smooth: bool = True
) -> Interval:
    """Return `derivatives` of a fitted network with intervals, (derivatives, low, high).

    The intervals are those of `predict_interval` with of="mean", for the derivatives instead of the outputs.

    Args:
        net: a KAN or a KANLinear, fitted to X and y by the squared error; at most 3,000 learned weights.
        X: the rows to which the network was fitted, [N, I].
        y: their targets, [N] or [N, O], numbers.
        new: points [M, I], or one point [I].
        order: order of the derivatives, at least 1.
        coverage: probability of the interval, between 0 and 1.
        smooth: whether smoothness of the edges is used.

    Returns:
        Three tensors in the shape of `derivatives(net, new, order)`, in float64.

    Raises:
        TypeError, ValueError, ImportError: as in `predict_interval` and `derivatives`.

    Example:
        >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64).unsqueeze(1)
        >>> net = KAN([1, 1], norm="feature", dtype=torch.float64)
        >>> _ = fit(net, x, 2 * x[:, 0], starts=1, progress=False)
        >>> derivative_interval(net, x, 2 * x[:, 0], x[:3]).prediction.shape
        torch.Size([3, 1, 1])
    """
    order = whole_number("derivative_interval", "order", order, 1)

    def function(call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        nested: Callable[..., Any] = call
        for _ in range(order):
            nested = torch.func.jacfwd(nested)
        return nested(x)

    return _interval("derivative_interval", net, X, y, new, function, coverage, smooth, noisy=False)


def _interval(
    caller: str,
    net: nn.Module,
    X: Any,
    y: Any,
    new: Any,
    function: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
    coverage: float,
    smooth: bool,
    *,
    noisy: bool,
) -> Interval:
    if not 0 < real_number(caller, "coverage", coverage) < 1:
        raise ValueError(f"{caller}: coverage must be between 0 and 1, got {coverage}")
    if not isinstance(smooth, bool):
        raise TypeError(f"{caller}: smooth must be True or False, got {smooth!r}")
    quantile = scipy_special(caller).stdtrit
    net = with_float64(net)
    posterior = posterior_of(caller, net, X, y, smooth=smooth)
    points = points_for(caller, net, new)
    exact = points.detach().to(posterior.theta.device, torch.float64)
    values, spread = posterior.at(function, exact if exact.dim() == 2 else exact.unsqueeze(0))
    variance = spread.square() + posterior.noise if noisy else spread.square()
    half = float(quantile(posterior.freedom, (1 + coverage) / 2)) * variance.sqrt()
    found = (values, values - half, values + half)
    return Interval(*(found if points.dim() == 2 else (each[0] for each in found)))
