"""Pictures by their data: places, curves, labels and opacity."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from itertools import pairwise

import matplotlib.text
import pytest
import torch

import fasterkan as fk
from fasterkan.interpret.plot._layout import BOX, NODE_GAP, _near, lay_out
from fasterkan.train import EpochMetrics, TrainResult


@pytest.fixture
def net():
    return fk.KAN([3, 2, 1], norm=None, dtype=torch.float64)


@pytest.fixture
def rows():
    return torch.rand(200, 3, dtype=torch.float64) * 2 - 1


def by_gid(figure, start):
    """The artists of a picture whose gid starts with a word, by the rest of it."""
    artists = [a for a in figure.axes[0].get_children() if str(a.get_gid()).startswith(start + " ")]
    return {str(a.get_gid()).removeprefix(start + " "): a for a in artists}


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_every_edge_has_its_curve_in_a_box_on_its_line(net, rows):
    figure = fk.plot.network(net, rows)
    curves, boxes = by_gid(figure, "curve"), by_gid(figure, "box")
    edges = {f"{e.layer}:{e.input}:{e.output}": e for e in fk.edges(net, rows, points=61)}
    assert set(curves) == set(boxes) == set(edges)
    for name, edge in edges.items():
        x, y = (torch.as_tensor(part) for part in curves[name].get_data())
        frame = boxes[name].get_bbox()
        assert frame.x0 < x.min() and x.max() < frame.x1 and frame.y0 < y.min() and y.max() < frame.y1
        scaled = (y - y.min()) / (y.max() - y.min())
        torch.testing.assert_close(scaled, (edge.values - edge.values.min()) / (edge.values.max() - edge.values.min()))
        nodes = by_gid(figure, "node")
        start, end = by_gid(figure, "line in")[name], by_gid(figure, "line out")[name]
        at = [nodes[f"{edge.layer}:{edge.input}"], nodes[f"{edge.layer + 1}:{edge.output}"]]
        assert (start.get_xdata()[0], start.get_ydata()[0]) == (at[0].get_xdata()[0], at[0].get_ydata()[0])
        assert (end.get_xdata()[1], end.get_ydata()[1]) == (at[1].get_xdata()[0], at[1].get_ydata()[0])
        assert start.get_ydata()[1] == end.get_ydata()[0] == pytest.approx((frame.y0 + frame.y1) / 2)
        assert at[0].get_xdata()[0] < start.get_xdata()[1] <= frame.x0
        assert frame.x1 <= end.get_xdata()[0] < at[1].get_xdata()[0]


def test_opacity_follows_importance(net, rows):
    with torch.no_grad():
        net.layers[0].weight[:, 1] *= 1e-3
    lines = by_gid(fk.plot.network(net, rows), "line in")
    edges = [e for e in fk.edges(net, rows) if e.layer == 0]
    by_alpha = sorted(edges, key=lambda e: lines[f"0:{e.input}:{e.output}"].get_alpha())
    assert by_alpha == sorted(edges, key=lambda e: e.total)
    assert lines[f"0:{by_alpha[-1].input}:{by_alpha[-1].output}"].get_alpha() == 1
    assert lines["0:1:0"].get_alpha() < 0.2


def test_names_of_inputs_and_outputs(net, rows):
    assert texts(fk.plot.network(net, rows)) == ["x1", "x2", "x3", "y1"]
    named = fk.plot.network(net, rows, inputs=["a", "b", "c"], outputs=["price"], title="A net")
    assert texts(named) == ["a", "b", "c", "price", "A net"]
    with pytest.raises(ValueError, match="2 names for 3 columns"):
        fk.plot.network(net, rows, inputs=["a", "b"])


@pytest.mark.parametrize("widths", [[2, 1, 1], [2, 5, 1], [5, 5, 5], [8, 1], [1, 12], [3, 3, 3, 3]], ids=str)
def test_boxes_and_nodes_do_not_touch(widths):
    net = fk.KAN(widths, norm=None)
    edges = fk.edges(net, torch.rand(50, widths[0]))
    layout = lay_out(edges, [], len(widths) - 1)
    assert len(layout.boxes) == len(edges)
    for column in range(len(widths) - 1):
        heights = sorted(y for (layer, _, _), (_, y) in layout.boxes.items() if layer == column)
        assert all(b - a > BOX[1] for a, b in pairwise(heights))
        assert heights[0] >= BOX[1] / 2 - 1e-9 and heights[-1] <= layout.height - BOX[1] / 2 + 1e-9
    for column in range(len(widths)):
        heights = sorted(y for (layer, _), (_, y) in layout.nodes.items() if layer == column)
        assert all(b - a > 0.3 for a, b in pairwise(heights))
        assert heights[0] >= -1e-9 and heights[-1] <= layout.height + 1e-9


def test_nodes_that_would_leave_the_picture_are_pushed_up_to_its_edge():
    places = {}
    here = [(1, 0), (1, 1), (1, 2)]
    _near(places, here, {0: 0.3, 1: 0.25, 2: 0.2}, x=1.0, height=3.0)
    heights = [places[node][1] for node in here]
    assert heights[-1] == pytest.approx(BOX[1] / 2)
    assert [a - b for a, b in pairwise(heights)] == pytest.approx([NODE_GAP, NODE_GAP])
    _near(places, here, {0: 2.5, 1: 1.5, 2: 0.5}, x=1.0, height=3.0)
    assert [places[node][1] for node in here] == [2.5, 1.5, 0.5], "they stay beside their boxes where there is room"


def test_a_node_is_beside_the_middle_of_its_boxes():
    edges = fk.edges(fk.KAN([4, 1, 3], norm=None), torch.rand(50, 4))
    layout = lay_out(edges, [], 2)
    first = [y for (layer, _, _), (_, y) in layout.boxes.items() if layer == 0]
    assert layout.nodes[1, 0][1] == pytest.approx(sum(first) / 4)
    for output in range(3):
        assert layout.nodes[2, output][1] == pytest.approx(layout.boxes[1, 0, output][1])


def test_one_edge_of_each_layer_is_drawn_in_any_case():
    net = fk.KAN([2, 3, 2], norm=None, dtype=torch.float64)
    figure = fk.plot.network(net, torch.rand(50, 2, dtype=torch.float64), max_edges=1)
    assert sorted(name[0] for name in by_gid(figure, "curve")) == ["0", "1"]
    assert texts(figure)[-1] == "2 of 12 edges: those between the 1 most important nodes of each layer"


def test_wide_networks_show_the_most_important_and_say_so():
    net, x = fk.KAN([30, 40, 2], norm=None, dtype=torch.float64), torch.rand(300, 30, dtype=torch.float64)
    with torch.no_grad():
        net.layers[0].weight[:, 5:] *= 1e-3
    figure = fk.plot.network(net, x, max_edges=40)
    shown = by_gid(figure, "curve")
    assert 20 <= len(shown) <= 40
    assert texts(figure)[-1].startswith(f"{len(shown)} of 1,280 edges: those between the")
    assert {name.split(":")[1] for name in shown if name.startswith("0:")} <= set("01234")
    lines = by_gid(figure, "line in")
    assert {name.split(":")[2] for name in lines if name[0] == "0"} == {
        name.split(":")[1] for name in lines if name[0] == "1"
    }


def test_pruned_networks_show_what_is_left(rows):
    net = fk.KAN([2, 2, 1], norm=None, dtype=torch.float64)
    net.take_inputs(torch.tensor([0, 2]), 3)
    net.layers[0].set_mask(torch.tensor([[True, False], [True, True]]))
    figure = fk.plot.network(net, rows, inputs=["a", "gone", "c"])
    assert set(by_gid(figure, "curve")) == {"0:0:0", "0:0:1", "0:2:1", "1:0:0", "1:1:0"}
    assert texts(figure) == ["a", "c", "y1"]


def test_layer_norm_is_refused(rows):
    with pytest.raises(ValueError, match=r'LayerNorm.*norm="feature"'):
        fk.plot.network(fk.KAN([3, 4, 1], norm="layer").double(), rows)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_figures_are_written_without_pyplot(net, rows, tmp_path, suffix):
    fk.plot.network(net, rows).savefig(tmp_path / f"net.{suffix}")
    head = (tmp_path / f"net.{suffix}").read_bytes()[:200]
    assert (b"PNG" if suffix == "png" else b"<svg" if b"<svg" in head else b"<?xml") in head
    assert "matplotlib.pyplot" not in sys.modules


def test_an_edge_with_its_band_and_histogram(net, rows):
    edge = fk.edges(net, rows, net(rows).detach() + 0.1 * torch.randn(200, 1))[0]
    figure = fk.plot.edge(edge)
    above, below = figure.axes
    (curve,) = [line for line in above.lines if line.get_gid() == "curve"]
    assert torch.equal(torch.as_tensor(curve.get_ydata()), edge.values)
    (band,) = [c for c in above.collections if c.get_gid() == "band"]
    low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()
    assert low == pytest.approx(float((edge.values - 2 * edge.band).min()))
    assert high == pytest.approx(float((edge.values + 2 * edge.band).max()))
    assert [bar.get_height() for bar in below.patches] == edge.histogram.tolist()
    assert below.get_xlabel() == "x1" and above.get_title().startswith("x1 -> h1.1: ")
    assert (
        len(
            fk.plot.edge(
                fk.edges(
                    net,
                )[0]
            ).axes
        )
        == 1
    )
    with pytest.raises(TypeError, match=r"must be one of fk\.edges"):
        fk.plot.edge(3)


def test_bootstrap_bands_are_drawn():
    net, x = fk.KAN([1, 1], fk.BSpline(3), norm="feature", dtype=torch.float64), torch.rand(40, 1, dtype=torch.float64)
    y = x[:, 0] ** 2 + 0.1 * torch.randn(40)
    fk.fit(net, x, y, starts=1, grids=None, iterations=5, progress=False)
    found = fk.bootstrap_bands(net, x, y, draws=2, points=21)
    (edge,) = fk.edges(net, x, bands=found, points=21)
    (band,) = [c for c in fk.plot.edge(edge).axes[0].collections if c.get_gid() == "band"]
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(float((edge.values + 2 * found[0][:, 0, 0]).max()))


def test_an_edge_that_is_constant_is_a_straight_line_in_its_box(rows):
    """Its centred values are nothing but rounding."""
    net = fk.KAN([3, 1], fk.Monomial(2), norm=None, dtype=torch.float64)
    with torch.no_grad():
        net.layers[0].weight[0, 1] = torch.tensor([1e6 / 3, 0.0, 0.0])
    curve = by_gid(fk.plot.network(net, rows), "curve")["0:1:0"]
    assert len(set(curve.get_ydata().tolist())) == 1


def test_bars_of_importance(net, rows):
    worth = fk.importance(net, rows)
    figure = fk.plot.importance(worth, names=["a", "b", "c"], top=2)
    shares = sorted(worth.inputs.tolist(), reverse=True)[:2]
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx(shares)
    best = "abc"[int(worth.inputs.argmax())]
    assert figure.axes[0].get_yticklabels()[0].get_text() == best
    assert figure.axes[0].get_ylim() == (1.5, -0.5), "half a bar of room at both ends"
    assert texts(figure)[-1] == "the 2 most important of 3 inputs"
    assert len(fk.plot.importance(net, rows).axes[0].patches) == 3
    with pytest.raises(ValueError, match="give the rows X"):
        fk.plot.importance(net)


def test_where_no_output_varies_bars_and_maps_are_drawn_and_a_line_says_why(net, rows):
    with torch.no_grad():
        net.layers[1].weight.zero_()
    figure = fk.plot.importance(net, rows)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0, 0, 0]
    assert texts(figure)[-1] == "no output varies over X, so all shares are 0"
    fk.plot.importance(net, rows, image=(1, 3)).savefig(io.BytesIO())


@pytest.mark.parametrize("name", ["a$^$", "$x$", "$", "a_b^c", "", "two\nlines"], ids=repr)
def test_names_and_titles_are_drawn_as_they_are(net, rows, name):
    """A dollar sign is no start of a formula."""
    names, edge = [name, "b", "c"], fk.edges(net, rows)[0]
    figures = [
        fk.plot.network(net, rows, inputs=names, outputs=[name], title=name),
        fk.plot.importance(net, rows, names=names, title=name),
        fk.plot.importance(net, rows, image=(1, 3), title=name),
        fk.plot.edge(edge, xlabel=name, title=name),
        fk.plot.training(TrainResult(epochs(3)), title=name),
    ]
    for figure in figures:
        figure.savefig(io.BytesIO(), format="svg")
        shown = [t for t in figure.findobj(matplotlib.text.Text) if name and t.get_text() == name]
        assert all(not t.get_parse_math() for t in shown) and (shown or not name)


def test_a_map_of_importance_for_images():
    net = fk.KAN([12, 2], norm=None)
    worth = fk.importance(net, torch.rand(100, 12))
    figure = fk.plot.importance(worth, image=(3, 4))
    torch.testing.assert_close(
        torch.as_tensor(figure.axes[0].images[0].get_array().data), worth.inputs.view(3, 4).sqrt()
    )
    with pytest.raises(ValueError, match="has 6 pixels, there are 12"):
        fk.plot.importance(worth, image=(2, 3))


def epochs(count):
    return tuple(
        EpochMetrics(n, 10 * n, 2.0 / n, 0.1, 1.5 / n, 0.5 + 0.1 * n, 1.0, float(n), float(n))
        for n in range(1, count + 1)
    )


def test_training_from_a_result_a_folder_and_a_file(tmp_path):
    lines = [json.dumps(vars(m)) for m in epochs(4)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    for source in (TrainResult(epochs(4)), tmp_path, tmp_path / "metrics.jsonl"):
        loss, accuracy = fk.plot.training(source, title="a run").axes
        drawn = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
        assert drawn == {"training": [2.0, 1.0, 2 / 3, 0.5], "validation": [1.5, 0.75, 0.5, 0.375]}
        assert list(accuracy.lines[0].get_ydata()) == pytest.approx([60, 70, 80, 90])
        assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss (nats)")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (None, "metrics.jsonl is missing"),
        ("{not json", "does not hold a run's metrics"),
        ('{"epoch": 1}', "does not hold a run's metrics"),
        ("", "no epoch was finished"),
    ],
    ids=["missing", "torn", "fields", "empty"],
)
def test_bad_sources_of_training(tmp_path, write, words):
    if write is not None:
        (tmp_path / "metrics.jsonl").write_text(write)
    with pytest.raises(ValueError, match=words):
        fk.plot.training(tmp_path)
    with pytest.raises(TypeError, match="got int"):
        fk.plot.training(3)


def test_without_matplotlib_the_message_has_the_command():
    code = """
import sys
sys.modules["matplotlib"] = sys.modules["matplotlib.figure"] = None
import torch, fasterkan as fk
try:
    fk.plot.network(fk.KAN([2, 1], norm=None), torch.rand(10, 2))
except ImportError as error:
    assert 'pip install "fasterkan[plot]"' in str(error), error
else:
    raise SystemExit("no error")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
