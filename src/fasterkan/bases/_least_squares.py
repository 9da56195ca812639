"""Least squares that keep the functions on the edges when a layer gets another basis."""

from __future__ import annotations

import torch
from torch import Tensor

from .._device import exact_on_cpu
from ._grid import second_differences

_DAMPINGS = tuple(10.0**-power for power in range(1, 16))
_SLACK = 1.01
_RESOLVED = 1e-13


def keep_functions(
    old: Tensor,
    weight: Tensor,
    new: Tensor,
    importance: Tensor | None = None,
    sites: Tensor | None = None,
    height: float = 0.0,
) -> tuple[Tensor, float]:
    """Return v with which sum_k v[o, e, k] new_k keeps sum_k weight[o, e, k] old_k, and the relative RMS error.

    For each e it minimises |new v - old w|^2 + damping^2 v' (D'D + 1e-4) v. D is the matrix of second differences along
    the sites. Without sites, (D'D + 1e-4) is replaced by the identity.

    The dampings 0.1 to 1e-15, times the largest singular value, are tried. The cost of a damping is
    error * max(1, |v| / |w|)^(1/2), where |.| is the root mean square. The error is measured after rounding v to the
    dtype of `weight`, and relative errors below 1e-13 count as equal. The result uses the largest damping whose cost is
    within 1 % of the smallest cost. v therefore becomes large only if this makes the fit much better. It stays within
    the range of its dtype, and it stays small where the points do not determine it. Nested functions are kept up to
    rounding.

    Args:
        old: values of the present functions at S points, [E, S, K], float64 on the CPU.
        weight: w [O, E, K] of any dtype, on any device.
        new: values of the new functions at the same points, [E, S, K'].
        importance: weight of each point, [S] or [E, S], not negative; default 1.
        sites: positions of the new functions, increasing along K', [K'] or [E, K'].
        height: height of the new functions at their sites. It keeps v small if all points lie in the tails.

    Returns:
        v [O, E, K'] with the dtype and device of `weight`, and the error over all edges, weighted by importance.
    """
    if _same(old) and _same(new) and (importance is None or importance.dim() == 1):
        old, new = old[:1], new[:1]
    if importance is not None:
        root = importance.sqrt().unsqueeze(-1)  # [S, 1] or [E, S, 1]
        old, new = old * root, new * root
    wanted = exact_on_cpu(weight.detach()).movedim(0, -1)  # [E, K, O]
    q, r = torch.linalg.qr(new)  # no dimension of points any more: [E, n, K'], n = min(S, K')
    target = q.mT @ old @ wanted  # [E, n, O]
    lost = (torch.linalg.qr(old - q @ (q.mT @ old), mode="r").R @ wanted).square().sum((-2, -1))  # [E]
    size = (torch.linalg.qr(old, mode="r").R @ wanted).square().sum((-2, -1))
    smooth = torch.linalg.inv(_roughness(new.shape[-1], sites))  # [1 or E, K', K']
    u, s, vh = torch.linalg.svd(r @ smooth, full_matrices=False)
    back = smooth @ vh.mT

    tiny = torch.finfo(torch.float64).tiny ** 0.25

    def rms(values: Tensor) -> Tensor:
        return values.square().mean((-2, -1)).sqrt()

    def solve(damping: Tensor) -> Tensor:
        share = (s / (s.square() + damping.square().unsqueeze(-1))).unsqueeze(-1)  # [E, n, 1]
        found = back @ (share * (u.mT @ target))
        found = found + back @ (share * (u.mT @ (target - r @ found)))  # corrects the loss from rounding and damping
        return found.to(weight.dtype).double()

    def error(found: Tensor) -> Tensor:
        return ((target - r @ found).square().sum((-2, -1)) + lost).sqrt()

    def cost(found: Tensor) -> Tensor:
        growth = rms(found) / rms(wanted).clamp_min(tiny)
        return error(found).maximum(_RESOLVED * size.sqrt()) * growth.clamp_min(1).sqrt()

    scale = s[:, 0].clamp_min(max(height, tiny))
    costs = torch.stack([cost(solve(scale * d)) for d in _DAMPINGS])  # [dampings, E]
    good = costs <= _SLACK * costs.min(0).values
    found = solve(scale * torch.tensor(_DAMPINGS, dtype=torch.float64, device="cpu")[good.int().argmax(0)])
    relative = error(found).norm() / size.sum().sqrt().clamp_min(tiny)
    return found.movedim(-1, 0).contiguous().to(weight.device, weight.dtype), float(relative)


def _roughness(count: int, sites: Tensor | None) -> Tensor:
    """A square root [1 or E, K, K] of D'D + 1e-4; the identity without sites."""
    eye = torch.eye(count, dtype=torch.float64, device="cpu")
    if sites is None:
        return eye.unsqueeze(0)
    d = second_differences(exact_on_cpu(sites.detach()).reshape(-1, count))
    return torch.linalg.cholesky(d.mT @ d + 1e-4 * eye).mT


def _same(tables: Tensor) -> bool:
    return bool((tables == tables[:1]).all())
