"""Running statistics against numpy on all the rows at once, and merged between processes."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fasterkan.nn.statistics import FeatureStatistics


def gathered(*batches: Tensor, features: int = 2) -> FeatureStatistics:
    statistics = FeatureStatistics(features)
    for batch in batches:
        statistics.add(batch)
    return statistics


def assert_equals_numpy(statistics: FeatureStatistics, rows: np.ndarray) -> None:
    assert statistics.count == len(rows)
    spread = np.ptp(rows, axis=0)
    np.testing.assert_allclose(statistics.mean, rows.mean(0), rtol=1e-12, atol=1e-12 * spread.max())
    np.testing.assert_allclose(statistics.m2 / len(rows), rows.var(0), rtol=1e-9, atol=1e-15 * np.abs(rows).max() ** 2)
    assert statistics.minimum.tolist() == rows.min(0).tolist()
    assert statistics.maximum.tolist() == rows.max(0).tolist()


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    scale=st.sampled_from([1e-9, 1e-3, 1.0, 1e9]),
    offset=st.sampled_from([0.0, -1.0, 1e3, 1e6]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**16),
)
def test_batches_equal_all_rows_at_once(
    sizes: list[int], scale: float, offset: float, dtype: torch.dtype, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    batches = [torch.tensor((draw.normal(size=(n, 3)) + offset) * scale, dtype=dtype) for n in sizes]
    rows = np.concatenate([batch.double().numpy() for batch in batches])
    assert_equals_numpy(gathered(*batches, features=3), rows)


def test_rows_of_any_leading_shape() -> None:
    x = torch.randn(4, 5, 2, dtype=torch.float64)
    assert_equals_numpy(gathered(x, x[0, 0], x[:, :, :]), np.concatenate([x.view(-1, 2), x[0, :1], x.view(-1, 2)]))


@pytest.mark.parametrize("x", [torch.zeros(0, 2), torch.zeros(3, 0, 2)], ids=["0x2", "3x0x2"])
def test_empty_batches_are_skipped_and_counted(x: Tensor) -> None:
    rows = torch.randn(5, 2)
    statistics = gathered(x, rows, x)
    assert statistics.skipped == 2
    assert_equals_numpy(statistics, rows.double().numpy())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_batch_that_is_not_finite_is_skipped_and_counted(value: float, dtype: torch.dtype) -> None:
    rows, bad = torch.randn(5, 2, dtype=dtype), torch.randn(5, 2, dtype=dtype)
    bad[3, 1] = value
    statistics = gathered(bad, rows, bad)
    assert statistics.skipped == 2
    assert_equals_numpy(statistics, rows.double().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_largest_numbers_are_finite(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    statistics = gathered(torch.tensor([[largest, 1.0], [-largest, 2.0]], dtype=dtype))
    assert (statistics.skipped, statistics.count) == (0, 2)
    center, scale = statistics.center_scale("range", (-1.0, 1.0), 0.0, torch.float64)
    assert center.tolist() == [0.0, 1.5]
    assert scale.tolist() == [1 / largest, 2.0]


def test_reset_forgets_all_but_the_skipped_batches() -> None:
    statistics = gathered(torch.randn(3, 2), torch.zeros(0, 2))
    statistics.reset()
    assert (statistics.count, statistics.skipped) == (0, 1)
    rows = torch.randn(4, 2)
    statistics.add(rows)
    assert_equals_numpy(statistics, rows.double().numpy())


def test_no_graph_is_kept() -> None:
    statistics = gathered(torch.randn(3, 2, requires_grad=True))
    tensors = (statistics.mean, statistics.m2, statistics.minimum, statistics.maximum)
    assert not any(t.requires_grad for t in tensors)


def test_center_and_scale_by_hand() -> None:
    # Feature 0: -1, 0, 4, range 5; feature 1: 10, 12, 14, range 4.
    statistics = gathered(torch.tensor([[-1.0, 10.0], [0.0, 12.0], [4.0, 14.0]]))
    center, scale = statistics.center_scale("range", (0.0, 3.0), 0.05)
    torch.testing.assert_close(scale, torch.tensor([3 / 5.5, 3 / 4.4], dtype=torch.float64))
    torch.testing.assert_close(center, torch.tensor([-1.25, 9.8], dtype=torch.float64))  # minimum less 5 % of the range
    center, scale = statistics.center_scale("std", (-1.0, 1.0), 0.05)
    deviation = torch.tensor([math.sqrt(14 / 3), math.sqrt(8 / 3)], dtype=torch.float64)  # of the population
    torch.testing.assert_close(center, torch.tensor([1.0, 12.0], dtype=torch.float64))
    torch.testing.assert_close(scale, 1 / (3 * deviation))


@pytest.mark.parametrize("mode", ["range", "std"])
@pytest.mark.parametrize("value", [0.0, -3.5, 1e9, 1e-9])
def test_a_constant_feature_gets_scale_1_and_the_middle(mode: str, value: float) -> None:
    statistics = gathered(torch.tensor([[value, 0.0], [value, 1.0], [value, 2.0]], dtype=torch.float64))
    center, scale = statistics.center_scale(mode, (0.5, 2.5), 0.05)
    assert scale[0] == 1.0
    assert (value - center[0]).item() == pytest.approx(1.5, abs=1e-6)


def test_a_constant_that_the_mean_rounds() -> None:
    statistics = gathered(*[torch.full((7, 2), 0.1, dtype=torch.float64)] * 9)
    for mode in ("range", "std"):
        center, scale = statistics.center_scale(mode, (-1.0, 1.0), 0.05)
        assert scale.tolist() == [1.0, 1.0]
        assert center.tolist() == [0.1, 0.1]


@pytest.mark.parametrize("mode", ["range", "std"])
@pytest.mark.parametrize(
    ("dtype", "width", "constant"),
    [
        (torch.float16, 1e-6, True),
        (torch.float16, 1e-2, False),
        (torch.float32, 1e-6, False),
        (torch.float32, 1e-42, True),
    ],
    ids=str,
)
def test_a_scale_that_its_dtype_cannot_hold_is_1(mode: str, dtype: torch.dtype, width: float, constant: bool) -> None:
    statistics = gathered(torch.tensor([[0.0, 0.0], [width, 1.0]], dtype=torch.float64))
    _, scale = statistics.center_scale(mode, (-1.0, 1.0), 0.05, dtype)
    assert torch.isfinite(scale.to(dtype)).all()
    assert (scale[0].item() == 1.0) is constant


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_deviations_whose_squares_leave_float64(size: float) -> None:
    rows = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) * size
    center, scale = gathered(rows, features=1).center_scale("std", (-3.0, 3.0), 0.0, torch.float64)
    assert center.tolist() == [0.0]
    assert scale.item() * size == pytest.approx(3**0.5)  # as of evenly spread data


def test_without_a_group_all_reduce_does_nothing() -> None:
    statistics, rows = FeatureStatistics(2), torch.randn(6, 2)
    statistics.add(rows)
    statistics.all_reduce(None)
    assert_equals_numpy(statistics, rows.double().numpy())


def rows_of(rank: int) -> Tensor:
    """What each of three processes sees: 5 rows, none, 1 row far away."""
    return (torch.arange(12.0).view(6, 2).square() * torch.tensor([1.0, -1e3]))[[slice(5), slice(0), slice(5, 6)][rank]]


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    statistics = FeatureStatistics(2)
    statistics.all_reduce(dist.group.WORLD)
    assert statistics.count == 0
    statistics.add(rows_of(rank))
    pair = dist.new_group([0, 2])
    alone = copy.deepcopy(statistics)
    alone.all_reduce(pair if rank != 1 else None)
    statistics.all_reduce(dist.group.WORLD)
    torch.save({"all": statistics, "pair": alone}, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_three_processes_get_the_statistics_of_the_whole(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_worker, (str(tmp_path),), nprocs=3)
    ranks: list[dict[str, FeatureStatistics]] = [
        torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(3)
    ]
    rows = torch.cat([rows_of(rank) for rank in range(3)]).double().numpy()  # rank 1 has none
    assert_equals_numpy(ranks[0]["all"], rows)
    assert_equals_numpy(ranks[2]["pair"], rows)
    assert ranks[1]["pair"].count == 0
    assert [r["all"].skipped for r in ranks] == [0, 1, 0]
    for other in ranks[1:]:
        for name in ("mean", "m2", "minimum", "maximum"):
            assert torch.equal(getattr(other["all"], name), getattr(ranks[0]["all"], name)), name
