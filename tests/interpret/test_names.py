"""Names of inputs and outputs: they belong to the network, and all tables and pictures use them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import fasterkan as fk

from ..seeds import seed_of

INPUTS, OUTPUTS = ("flow", "heat of the oven", "idle"), ("yield",)


class Frame:
    """A table that gives its columns as a data frame does."""

    def __init__(self, values, columns):
        self.values, self.columns = np.asarray(values), columns

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


class Series(Frame):
    """A column with a name."""

    def __init__(self, values, name):
        self.values, self.name = np.asarray(values), name


@pytest.fixture
def rows():
    return torch.rand(120, 3, dtype=torch.float64) * 2 - 1


@pytest.fixture
def net(rows):
    net = fk.KAN([3, 2, 1], fk.BSpline(4), norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(rows)
    net.set_names(INPUTS, OUTPUTS)
    return net.eval()


def names_of(net):
    return net.input_names, net.output_names


def through_a_file(net, rows, folder):
    return fk.from_pretrained(net.save_pretrained(folder))


def refined(net, rows, folder):
    net.refine(8)
    net.update_grid(rows)
    return net


def fitted(net, rows, folder):
    fk.fit(net, rows, rows[:, 0] ** 2, starts=1, grids=(3, 6), iterations=5, progress=False)
    return net


def pruned(net, rows, folder):
    return fk.prune(net, rows, net(rows).detach(), keep=0.3, tolerance=0.5).net


def merged(net, rows, folder):
    y = rows[:, 0] ** 2
    fk.fit(net, rows, y, starts=1, grids=None, iterations=10, progress=False)
    report = fk.prune(net, rows, y)
    assert report.removed_inputs == (1, 2) and len(report.widths_after) == 2
    assert "inputs gone heat of the oven, idle" in str(report)
    return fk.from_pretrained(report.net.save_pretrained(folder))


@pytest.mark.parametrize(
    "change",
    [
        through_a_file, refined, fitted, pruned, merged,
        lambda net, rows, folder: copy.deepcopy(net), lambda net, rows, folder: net.float(),
        lambda net, rows, folder: fk.KAN.from_specs([layer.spec for layer in net.layers]),
        lambda net, rows, folder: (net.fold(), net)[1],
    ],
    ids=["saved", "refined", "fitted", "pruned", "merged-and-saved", "copied", "float32", "from-specs", "folded"],
)  # fmt: skip
def test_names_survive(net, rows, tmp_path, change):
    assert names_of(change(net, rows, tmp_path)) == (INPUTS, OUTPUTS)


def test_names_of_hidden_nodes_are_cut_with_the_nodes(net, rows):
    net.layers[0].set_names(INPUTS, ["warm", "cold"])
    net.layers[1].set_names(["warm", "cold"], OUTPUTS)
    with torch.no_grad():
        net.layers[1].weight[:, 0] = 0
        net.layers[1].base_weight[:, 0] = 0
    small = fk.prune(net, rows, net(rows).detach(), layers=False, inputs=False, edges=False).net
    assert [(layer.input_names, layer.output_names) for layer in small.layers] == [
        (INPUTS, ("cold",)),
        (("cold",), OUTPUTS),
    ]


def test_names_stay_with_the_columns_that_a_layer_takes():
    layer = fk.KANLinear(2, 1, norm=None)
    layer.set_names(["a", "b"])
    layer.take_inputs([1, 3], 5)
    assert layer.input_names == ("x1", "a", "x3", "b", "x5")
    layer.take_inputs([0, 1], 2)
    assert layer.input_names == ("a", "b")
    layer.set_names()
    layer.take_inputs([1, 3], 5)
    assert layer.input_names is None


def test_edges_have_the_names_of_the_network(net, rows):
    found = [edge.name for edge in fk.edges(net, rows)]
    assert found[:4] == ["flow -> h1.1", "heat of the oven -> h1.1", "idle -> h1.1", "flow -> h1.2"]
    assert found[-2:] == ["h1.1 -> yield", "h1.2 -> yield"]
    assert str(fk.edges(net, rows)[1]).startswith("heat of the oven -> h1.1 on ")
    named = fk.edges(net, rows, names=["a", "b", "c"], outputs=["y"])
    assert [named[n].name for n in (0, -1)] == ["a -> h1.1", "h1.2 -> y"]
    net.set_names()
    assert [fk.edges(net, rows)[n].name for n in (0, -1)] == ["x1 -> h1.1", "h1.2 -> y1"]
    with pytest.raises(ValueError, match="edges: 2 names for 3 columns"):
        fk.edges(net, rows, names=["a", "b"])
    with pytest.raises(ValueError, match="edges: 2 names for 1 columns"):
        fk.edges(net, rows, outputs=["a", "b"])


def test_names_of_removed_columns_are_left_out(net, rows):
    small = fk.KAN([2, 1], norm=None, dtype=torch.float64)
    small.take_inputs(torch.tensor([0, 2]), 3)
    small.set_names(INPUTS)
    assert [edge.name for edge in fk.edges(small, rows)] == ["flow -> y1", "idle -> y1"]


def test_tables_of_importance_have_the_names_of_the_network(net, rows):
    worth = fk.importance(net, rows)
    assert worth.names == INPUTS and {name for name, _ in worth.ranking()} == set(INPUTS)
    lines = str(worth).splitlines()[1:4]
    assert {line[:16].strip() for line in lines} == set(INPUTS) and len({line.index(" %") for line in lines}) == 1


def test_pictures_have_the_names_of_the_network(net, rows):
    texts = [t.get_text() for t in fk.plot.network(net, rows).axes[0].texts]
    assert texts == [*INPUTS, *OUTPUTS]
    labels = [t.get_text() for t in fk.plot.importance(net, rows).axes[0].get_yticklabels()]
    assert set(labels) == set(INPUTS)
    edge = fk.edges(net, rows)[1]
    above, below = fk.plot.edge(edge).axes
    assert (above.get_ylabel(), below.get_xlabel()) == ("f(x)", "heat of the oven")
    above, below = fk.plot.edge(edge, xlabel="heat / K", ylabel="$effect").axes
    assert (above.get_ylabel(), below.get_xlabel()) == ("$effect", "heat / K")


@pytest.mark.parametrize(
    "y", [Series(np.zeros(30), "price"), Frame(np.zeros((30, 1)), ["price"])], ids=["series", "frame"]
)
def test_a_fit_takes_the_names_of_a_data_frame(y):
    x = np.random.default_rng(seed_of()).random((30, 2))
    net = fk.KAN([2, 1], fk.BSpline(3), norm="feature")
    fk.fit(net, Frame(x, ["a", "b"]), y, starts=1, grids=None, iterations=2, progress=False)
    assert names_of(net) == (("a", "b"), ("price",))
    fk.fit(net, x, np.zeros(30), starts=0, iterations=2, progress=False)
    fk.fit(net, Frame(x, [0, 1]), Series(np.zeros(30), None), starts=0, iterations=2, progress=False)
    assert names_of(net) == (("a", "b"), ("price",)), "tables without names change nothing"
    fk.fit(net, Frame(x, ["c", "d"]), np.zeros(30), starts=0, iterations=2, progress=False)
    assert names_of(net) == (("c", "d"), ("price",))


def test_a_fit_of_another_module_with_a_data_frame():
    whole = torch.nn.Sequential(fk.KAN([2, 1], fk.BSpline(3), norm="feature"))
    x = np.random.default_rng(seed_of()).random((30, 2))
    fk.fit(whole, Frame(x, ["a", "b"]), x[:, 0], starts=1, grids=None, iterations=2, progress=False)
    assert names_of(whole[0]) == (None, None)


def test_one_name_for_a_whole_array_names_no_column(rows):
    stored = Series(rows, "/table/x")  # as a data set in an HDF5 file
    net = fk.KAN([3, 1], fk.BSpline(3), norm="feature", dtype=torch.float64)
    fk.fit(net, stored, rows[:, 0], starts=1, iterations=2, progress=False)
    assert names_of(net) == (None, None)
