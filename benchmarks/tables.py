"""Write the tables of README and docs from the results.

python benchmarks/tables.py [--check]

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; NAME is a key of TABLES below.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Sequence

import _bench_tables as bench
import _fit_table
import _mutants_table
import _pde_table
import _which_basis_text as which_basis
from _markdown import ROOT, read, read_study, table, where
from _which_basis import Results

BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def initialisation() -> str:
    """Variances by norm and depth."""
    _, rows = read("initialisation")
    depths = sorted({row["depth"] for row in rows})
    body = []
    for norm in dict.fromkeys(row["norm"] for row in rows):
        cells = {row["depth"]: row for row in rows if row["norm"] == norm}
        body.append(
            [norm]
            + [f"{cells[d]['activation_variance']:.2f}" for d in depths]
            + [f"{cells[d]['gradient_variance_ratio']:.2g}" for d in depths]
        )
    head = ["norm", *(f"Var y, depth {d}" for d in depths), *(f"gradient ratio, depth {d}" for d in depths)]
    return table(head, body, "Width 256, medians of three seeds; `python benchmarks/initialisation.py`.")


def base_input() -> str:
    """Test losses by what the base branch sees, on two tables."""
    _, rows = read("base_input")
    body = []
    for family in dict.fromkeys(row["basis"] for row in rows):
        for seen in dict.fromkeys(row["base_input"] for row in rows):
            cells = [row for row in rows if (row["basis"], row["base_input"]) == (family, seen)]
            body.append(
                [family, seen]
                + [f"{row['loss_at_start']:.2g}" for row in cells]
                + [f"{row['test_loss']:.2g}" for row in cells]
            )
    units = list(dict.fromkeys(row["second_column"] for row in rows))
    head = ["basis", "base_input", *(f"start, {u}" for u in units), *(f"test, {u}" for u in units)]
    return table(head, body, f"Medians of {rows[0]['seeds']} seeds; `python benchmarks/base_input.py`.")


def cpu_layer(name: str = "cpu_layer", options: str = "") -> str:
    """Step and inference time of [784, 256, 10] at batch 64."""
    machine, rows = read(name)
    reference = next((r["step"]["median_ms"] for r in rows if r["subject"] == "original FasterKAN"), None)
    body = [
        [
            row["subject"],
            f"{row['parameters']:,}",
            f"{row['step']['median_ms']:.2f} ({row['step']['p20_ms']:.2f} to {row['step']['p80_ms']:.2f})",
            "" if reference is None else f"{reference / row['step']['median_ms']:.2f}",
            f"{row['inference']['median_ms']:.2f}",
        ]
        for row in rows
    ]
    head = [
        "[784, 256, 10], batch 64",
        "parameters",
        "step ms (p20 to p80)",
        "step of the original / this step",
        "inference ms",
    ]
    return table(head, body, where(machine, f"python benchmarks/cpu_layer.py --original CHECKOUT{options}"))


def plain_swap(widths: Sequence[list[int]] | None = None) -> str:
    """What KANLinear costs where nn.Linear stood, as ratios, on two processors."""
    files = [read(f"plain_swap_{maker}") for maker in ("amd", "intel")]
    body = []
    for row in files[0][1]:
        if widths is not None and row["swapped"] not in widths:
            continue
        cells = [str(row["layers"]), row["subject"], f"{row['parameters']:,}"]
        for _, rows in files:
            mine = {r["subject"]: r for r in rows if r["swapped"] == row["swapped"]}
            for what in ("step", "inference"):
                times = [mine[name][what]["median_ms"] for name in (row["subject"], "nn.Linear")]
                cells.append(f"{times[0]:.2f} ({times[0] / times[1]:.1f})")
        body.append(cells)
    head = ["widths", "layers", "parameters", "AMD: step ms", "inference ms", "Intel: step ms", "inference ms"]
    notes = "; ".join(where(machine, "python benchmarks/plain_swap.py") for machine, _ in files)
    return table(head, body, f"In brackets: by that of nn.Linear. Batch 256. {notes}")


def memory() -> str:
    """Peak of a training step of [1024, 1024, 1024] at batch 8192."""
    machine, rows = read("memory")
    body = [
        [
            row["subject"],
            f"{row['peak_mib']:.0f}",
            f"{row['resident_rise_mib']:.0f}",
            f"{row['step']['median_ms'] / 1e3:.2f}",
        ]
        for row in rows
    ]
    head = ["[1024, 1024, 1024], batch 8192, float32", "allocated, MiB", "resident, MiB", "step s"]
    return table(head, body, where(machine, "python benchmarks/memory.py --original CHECKOUT"))


def rswaf_forms() -> str:
    """Time and error of three ways to compute the basis."""
    machine, rows = read("rswaf_forms")
    body = [
        [f"{r['rows']} x {r['inputs']}, K = {r['K']}", r["form"], f"{r['median_ms']:.3f}", f"{r['rms_error']:.1e}"]
        for r in rows
    ]
    head = ["shape", "form", "ms", "RMS error, float32"]
    return table(head, body, where(machine, "python benchmarks/rswaf_forms.py"))


def mnist() -> str:
    """The runs of `make mnist`."""
    machine, rows = read("mnist")
    body = [
        [
            str(row["seed"]),
            f"{100 * row['test_accuracy']:.2f} %",
            f"{100 * row['validation_accuracy']:.2f} %",
            f"{row['training_seconds']:.1f} s",
            f"{row['seconds_to_milestone']:.1f} s",
        ]
        for row in rows
    ]
    mean = statistics.mean(row["test_accuracy"] for row in rows)
    body.append(["mean", f"{100 * mean:.2f} %", "", "", ""])
    head = ["seed", "test accuracy", "validation", "training", "validation passed 97.72 % after"]
    return table(head, body, where(machine, "python benchmarks/mnist.py"))


def matmul_precision() -> str:
    """Step time by torch's float32 precision."""
    machine, rows = read("matmul_precision")
    body = [[r["subject"], r["precision"], f"{r['median_ms']:.2f}", f"{r['product_error']:.1e}"] for r in rows]
    head = ["[784, 256, 10], batch 256", "precision", "step ms", "relative error of a product"]
    return table(head, body, where(machine, "python benchmarks/matmul_precision.py"))


def products() -> str:
    """The two products of rows with the weight, in both forms."""
    machine, rows = read("products")
    cells = {(tuple(row["shape"]), row["form"], row["what"]): row for row in rows}
    body = [
        [
            f"{n} x {c}, {o} outputs",
            *(f"{cells[(n, c, o), form, what]['median_ms']:.2f}" for what in ("y", "dphi") for form in forms),
            *(f"{cells[(n, c, o), form, 'y']['error']:.0e}" for form in forms),
        ]
        for forms in (("product", "convolution"),)
        for n, c, o in dict.fromkeys(tuple(row["shape"]) for row in rows)
    ]
    head = [
        "rows x functions",
        "y by product, ms",
        "y by convolution, ms",
        "dphi by product, ms",
        "dphi by convolution, ms",
    ]
    head += ["error of y by product", "error of y by convolution"]
    return table(head, body, where(machine, "python benchmarks/products.py"))


def chunk_size() -> str:
    """Step time by chunk, on the CPU and on a GPU."""
    columns = {}
    for device in ("cpu", "cuda"):
        _, rows = read(f"chunk_size_{device}")
        columns[device] = {row["chunk_mib"]: row["median_ms"] for row in rows}
    body = [[f"{c} MiB", f"{columns['cpu'][c]:.0f}", f"{columns['cuda'][c]:.1f}"] for c in columns["cpu"]]
    head = ["chunk of the basis", "two CPU cores, ms", "one H100, ms"]
    return table(
        head, body, "One [1024, 1024] layer, batch 8192, float32; `python benchmarks/chunk_size.py --device DEVICE`."
    )


def volver_epoch() -> str:
    """One epoch of FasterKANvolver, ours and the original's loop."""
    machine, rows = read("volver_epoch")
    body = [
        [row["subject"], f"{row['epoch_seconds']:.1f} s", f"{100 * row['validation_accuracy']:.2f} %"] for row in rows
    ]
    head = ["FasterKANvolver [64, 10], MNIST", "one epoch of training", "validation after it"]
    return table(head, body, where(machine, "python benchmarks/volver_epoch.py --original CHECKOUT"))


def mnist_gpu() -> str:
    """The GPU recipes on MNIST, and what the original reports."""
    _, rows = read("mnist_gpu")
    published = {
        "FasterKANvolver [64, 10]": "99.582 %",
        "FasterKANvolver [64, 32, 16, 10]": "99.502 %",
        "FasterKAN [784, 256, 10]": "97.72 %",
    }
    body = []
    for subject in dict.fromkeys(row["subject"] for row in rows):
        runs = [row for row in rows if row["subject"] == subject]
        test, validation = ([100 * run[f"{part}_accuracy"] for run in runs] for part in ("test", "validation"))
        seconds = statistics.mean(run["training_seconds"] for run in runs)
        body.append(
            [
                subject,
                str(runs[0]["epochs"]),
                f"{statistics.mean(test):.2f} % ({', '.join(f'{one:.2f}' for one in test)})",
                f"{statistics.mean(validation):.2f} %",
                f"{seconds:.0f} s",
                published[subject],
            ]
        )
    head = ["network", "epochs", "test accuracy, mean (seeds 0, 1, 2)", "validation", "training", "original's test"]
    note = f"{rows[0]['device']}, PyTorch {rows[0]['torch']}; `python benchmarks/mnist_gpu.py`"
    return table(head, body, note)


def equal_losses() -> str:
    """From the same imported weights: losses after equal steps."""
    _, rows = read("equal_losses")
    body = [
        [
            row["peer"],
            row["form"],
            f"{row['output_difference']:.0e}",
            f"{row['first_loss'][0]:.4f}",
            f"{row['last_loss'][0]:.4f} / {row['last_loss'][1]:.4f}",
        ]
        for row in rows
    ]
    head = ["project", "its network", "outputs differ by", "first loss", "last ten losses, theirs / ours"]
    return table(
        head, body, "AdamW on MNIST, batches of 64, 100 steps; `python benchmarks/equal_losses.py --peers PEERS`"
    )


def basis_properties() -> str:
    """What the bases are, at their defaults."""
    _, rows = read("basis_properties")

    def power(value: float) -> str:
        return "singular" if value > 1e15 else f"{value:.1f}" if value < 1000 else f"{value:.0e}"

    body = [
        [
            f"`{row['basis']}`",
            str(row["K"]),
            f"[{row['grid_range'][0]:g}, {row['grid_range'][1]:g}]",
            row["support"],
            {-1: "jumps", 0: "C0", 4: "smooth"}.get(row["smoothness"], f"C{row['smoothness']}"),
            "yes" if row["unity_error"] < 1e-9 else "no",
            power(row["condition_uniform"]),
            power(row["condition_normal"]),
            f"{row['numbers_per_edge']:.2f}".rstrip("0").rstrip("."),
        ]
        for row in rows
    ]
    head = ["basis", "K", "range", "support", "smoothness", "sums to 1"]
    head += ["condition, uniform z", "condition, z ~ N(0, 1)", "numbers per edge"]
    note = "At their defaults, in a layer of 64 x 64; condition of the Gram matrix of functions scaled to size 1."
    return table(head, body, f"{note} `python benchmarks/basis_properties.py`")


def small_function() -> str:
    """The [2, 5, 1] study."""
    _, rows = read_study("small_function")
    body = [
        [
            row["setting"],
            str(row["parameters"]),
            f"{row['median']:.4f}",
            f"{min(row['held_out']):.4f}",
            f"{max(row['held_out']):.4f}",
        ]
        for row in rows
    ]
    head = ["setting", "parameters", "test RMSE, median of 8 seeds", "best", "worst"]
    return table(head, body, "exp(sin(pi x) + y^2), Adam, 2,000 steps; `python studies/small_function.py`")


def conv() -> str:
    """Steps of 3 x 3 convolutions of 64 channels."""
    machine, rows = read("conv")
    body = [
        [
            row["subject"],
            f"{row['parameters']:,}",
            f"{row['step']['median_ms']:.0f} ({row['step']['p20_ms']:.0f} to {row['step']['p80_ms']:.0f})",
            f"{row['peak_mib']:.0f}",
        ]
        for row in rows
    ]
    head = ["3 x 3, 64 channels, 32 x 32, batch 32, float32", "parameters", "step ms (p20 to p80)", "peak MiB"]
    return table(head, body, where(machine, "python benchmarks/conv.py --torch-conv-kan CHECKOUT"))


def rswaf_bspline_function() -> str:
    """The RSWAF nearest to the cubic B-spline, for each spacing."""
    _, rows = read_study("rswaf_bspline")
    body = [
        [
            f"{row['spacing']:g}",
            f"{row['scale']:.4f}",
            f"{row['width_by_spacing'] * row['spacing']:.4f}",
            f"{row['width_by_spacing']:.4f}",
            f"{row['largest_error']:.4f}",
        ]
        for row in rows
        if row["kind"] == "function"
    ]
    head = ["spacing d", "best scale", "best width h", "h / d", "largest error"]
    return table(head, body, "The spline's own height is 0.6667. `python studies/rswaf_bspline.py`")


def rswaf_bspline_layer() -> str:
    """How well RSWAFs fit every edge of a trained spline layer."""
    _, rows = read_study("rswaf_bspline")
    rows = [row for row in rows if row["kind"] == "layer"]
    body = [
        [
            str(row["rswaf_functions"]),
            *(f"{row[key]:.4f}" for key in ("median_error", "p95_error", "largest_error")),
        ]
        for row in rows
    ]
    head = ["RSWAFs per edge", "error, median edge", "95th percentile", "worst edge"]
    inputs, outputs = rows[0]["layer"]
    note = (
        f"{rows[0]['edges']:,} edges of [{inputs}, {outputs}], {rows[0]['spline_functions']} cubic B-splines each. The "
        f"accuracy of the network on MNIST's validation images is {100 * rows[0]['validation_accuracy']:.2f} %. "
    )
    return table(head, body, note + "`python studies/rswaf_bspline.py`")


def which_basis_results() -> Results:
    """The results of studies/which_basis.py."""
    return Results(read_study("which_basis")[1])


def which_basis_times() -> str:
    """Where they were made."""
    machine, rows = read_study("which_basis")
    threads = sorted({row["threads"] for row in rows})
    return where({**machine, "threads": " or ".join(map(str, threads))}, which_basis.COMMAND) + "\n"


def prune_mnist() -> str:
    """The networks of `make mnist`, pruned to a tenth of their edges."""
    machine, rows = read("prune_mnist")
    body = []
    for row in rows:
        before, after = row["before"], row["after"]
        for name, one, shape in (
            (row["run"], before, ""),
            ("pruned", after, f" ({', '.join(map(str, [row['inputs'], *row['widths'][1:]]))})"),
        ):
            body.append(
                [
                    name + shape,
                    f"{one['edges']:,}",
                    f"{one['parameters']:,}",
                    f"{100 * one['validation_accuracy']:.2f} %",
                    f"{100 * one['test_accuracy']:.2f} %",
                    f"{one['forward']['median_ms']:.2f}",
                    f"{one['step']['median_ms']:.2f}",
                ]
            )
        speeds = [f"{before[what]['median_ms'] / after[what]['median_ms']:.2f} x" for what in ("forward", "step")]
        lost = [f"{100 * (after[f'{p}_accuracy'] - before[f'{p}_accuracy']):+.2f}" for p in ("validation", "test")]
        left = [f"{100 * after[what] / before[what]:.1f} %" for what in ("edges", "parameters")]
        body.append(["share left, change in points, times as fast", *left, *lost, *speeds])
    head = ["batch 64", "edges", "parameters", "validation", "test", "forward ms", "step ms"]
    return table(head, body, where(machine, "python benchmarks/prune_mnist.py"))


TABLES: dict[str, Callable[[], str]] = {
    "prune-mnist": prune_mnist,
    "fit": _fit_table.fit,
    "fit-outliers": _fit_table.outliers,
    "fit-in-time": _fit_table.in_time,
    "base-input": base_input,
    "initialisation": initialisation,
    "cpu-layer": cpu_layer,
    "cpu-layer-turn1": lambda: cpu_layer("cpu_layer_turn1", " --turn 1"),
    "plain-swap": plain_swap,
    "plain-swap-square": lambda: plain_swap([[512, 512, 512]]),
    "memory": memory,
    "rswaf-forms": rswaf_forms,
    "mnist": mnist,
    "mnist-gpu": mnist_gpu,
    "matmul-precision": matmul_precision,
    "chunk-size": chunk_size,
    "products": products,
    "conv": conv,
    "volver-epoch": volver_epoch,
    "basis-properties": basis_properties,
    "small-function": small_function,
    "equal-losses": equal_losses,
    "rswaf-bspline-function": rswaf_bspline_function,
    "rswaf-bspline-layer": rswaf_bspline_layer,
    "which-basis-answer": lambda: which_basis.answer(which_basis_results()),
    "which-basis-best": lambda: table(*which_basis.best(which_basis_results())),
    "which-basis-places": lambda: table(*which_basis.ranks(which_basis_results())),
    "which-basis-losses": lambda: table(*which_basis.losses(which_basis_results())),
    "which-basis-warnings": lambda: which_basis.warnings(which_basis_results()),
    "which-basis-all": lambda: which_basis.everything(which_basis_results()),
    "which-basis-machine": which_basis_times,
    "pde-answer": _pde_table.answer,
    **{f"pde-{name}": lambda name=name: _pde_table.pde(name) for name in ("poisson", "helmholtz", "burgers")},
    "mutants": _mutants_table.mutants,
    "mutants-survivors": _mutants_table.survivors,
    **bench.TABLES,
}


def filled(text: str) -> str:
    """Return the page with every table made anew."""
    return BLOCK.sub(lambda m: m[1] + TABLES[m[2]]() + m[4], text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a table is not up to date")
    args = parser.parse_args()
    stale = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        old = page.read_text()
        new = filled(old)
        if new != old:
            stale.append(page.name)
            if not args.check:
                page.write_text(new)
    if args.check and stale:
        raise SystemExit(f"tables are not up to date in {', '.join(stale)}: run make bench-tables")
    print(f"written: {', '.join(stale)}" if stale else "every table is up to date")


if __name__ == "__main__":
    main()
