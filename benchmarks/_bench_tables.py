"""The tables of `fasterkan bench`: docs/bench.md, docs/presets.md and README."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from _markdown import read, table, where

SMALL = {
    "gpu-mnist": "[784, 256, 10], B 64, eager",
    "gpu-mnist-graph": "the same as a CUDA graph",
    "gpu-mnist-graph-1024": "B 1024, CUDA graph",
    "gpu-flat": "[1000, 1000, 1], B 100, K 10, eager",
}
WIDE = {
    "gpu-square-fp32": "float32",
    "gpu-square-tf32": "TF32",
    "gpu-square-bf16": "bf16",
    "gpu-square-bf16-compiled": "bf16, compiled",
}
FIRST = {
    "mnist": "CPU, eager",
    "mnist-compiled": "CPU, compiled",
    "gpu-mnist-graph": "GPU, CUDA graph",
    "gpu-square-bf16": "GPU, eager",
    "gpu-square-bf16-compiled": "GPU, compiled",
}
README = {
    "mnist": "CPU, [784, 256, 10], batch 64",
    "square": "CPU, [1024, 1024, 1024], batch 256",
    "gpu-square-bf16-compiled": "H100, [1024, 1024, 1024], batch 8192, bf16, compiled",
}
MLP = "MLP, equal parameters"


def cells(*names: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows of results files by task and subject; MLPs from the cells of the family FasterKAN."""
    found = {}
    for row in (row for name in names for row in read(name)[1]):
        if row["family"] == "FasterKAN" or not row["subject"].startswith("MLP"):
            found[row["task"], row["subject"]] = row
    return found


def subject(row: dict[str, Any]) -> str:
    """Return its name, ours in bold."""
    return f"**{row['subject']}**" if row["ours"] else str(row["subject"])


def bench_table(task: str, name: str = "bench_cpu") -> str:
    """One task of `fasterkan bench`: every subject beside the MLP of its cell."""
    machine, rows = read(name)
    rows = [row for row in rows if row["task"] == task]
    body, mlps = [], []
    for row in rows:
        if "failed" in row:
            body.append([row["subject"], *[""] * 6, row["failed"].partition(": ")[2]])
            continue
        marks = []
        if (found := row.get("exactness")) and found["wrong"]:
            worst = {"values": found["values"], "dx": found["input_gradient"], "dW": found["parameter_gradient"]}
            limits = {"values": 1e-3, "dx": 1e-4, "dW": 1e-4}
            marks = [f"wrong {key} ({error:.0e})" for key, error in worst.items() if error and error > limits[key]]
        if found and found["values"] is not None and found["reason"]:
            marks.append(found["reason"])
        cells = [
            f"**{row['subject']}**" if row["ours"] else row["subject"],
            f"{row['parameters']:,}",
            f"{row['parameters_per_edge']:.1f}",
            f"{row['forward']['median']:.2f}",
            f"{row['step']['median']:.2f}",
            f"{row['step_ratio']['median']:.2f} ({row['step_ratio']['p20']:.2f} to {row['step_ratio']['p80']:.2f})",
            f"{row['peak_mib']:.0f}" if "peak_mib" in row else "",
            ", ".join(marks),
        ]
        if row["subject"].startswith("MLP"):
            if row["family"] == "FasterKAN":
                mlps.append(cells)
        else:
            body.append(cells)
    head = ["", "parameters", "per edge", "forward ms", "step ms", "step / MLP's (p20 to p80)", "MiB", ""]
    note = f"{machine['cpu']}, {machine['threads']} threads, {machine['device']}, PyTorch {machine['torch']}; "
    command = (
        f"`fasterkan bench --task {task} --peers PEERS`. The MLP of each cell has the parameters of its first row."
    )
    return table(head, body + mlps, note + command)


def presets() -> str:
    """Each preset beside the project it stands for: step, memory, and the loss after equal steps."""
    machine, rows = read("bench_cpu")
    cells = {(row["task"], row["family"], row["subject"]): row for row in rows if "failed" not in row}
    pairs = {
        "FasterKAN": ("FasterKAN", "faster-kan"),
        "FastKAN": ("fk.FastKAN", "fast-kan"),
        "efficient-KAN": ("fk.EfficientKAN", "efficient-kan"),
        "pykan": ("fk.PyKAN", "pykan"),
        "ChebyKAN": ("fk.ChebyKAN", "ChebyKAN"),
        "KAL-Net": ("fk.KALNet", "torchkan KAL-Net"),
        "Wav-KAN": ("fk.WavKAN", "Wav-KAN"),
        "FourierKAN": ("fk.FourierKAN", "FourierKAN"),
        "ReLU-KAN": ("fk.ReLUKAN", "ReLU-KAN"),
        "RBF-KAN": ("fk.RBFKAN", "RBF-KAN"),
    }
    body = []
    for family, (ours, theirs) in pairs.items():
        line = [f"`{ours}`"]
        for task in ("mnist", "flat"):
            a, b = cells.get((task, family, ours)), cells.get((task, family, theirs))
            if a is None or b is None:
                line += ["", "not run", ""]
                continue
            line += [
                f"{a['step']['median']:.1f} / {b['step']['median']:.1f}",
                f"{b['step_ratio']['median'] / a['step_ratio']['median']:.2f}",
                f"{a['peak_mib']:.0f} / {b['peak_mib']:.0f}",
            ]
        body.append(line)
    head = ["preset", "step ms, ours / theirs", "times as fast", "MiB, ours / theirs"]
    head += ["[1000, 1000, 1], step ms", "times as fast", "MiB"]
    note = where({**machine, "vector": machine["device"]}, "fasterkan bench --task mnist --task flat --peers PEERS")
    return table(head, body, f"[784, 256, 10], batch 64, K 8, and [1000, 1000, 1], batch 100, K 10. {note}")


def bench_peers() -> str:
    """The other projects and how to get them."""
    from fasterkan.bench import FAMILIES, PEERS

    _, rows = read("bench_cpu")
    versions = {row["subject"]: row["version"] for row in rows if "version" in row}
    body = [
        [family.name, f"[{name}]({PEERS[name].source})", f"`{PEERS[name].how}`", versions.get(name, "not measured")]
        for family in FAMILIES.values()
        for name in family.peers
    ]
    return table(["family", "project", "how to get it", "measured here"], body, "`fasterkan bench --list`")


def bench_losses(name: str = "bench_cpu") -> str:
    """The tasks in which another subject than ours has the fastest step or forward; projects marked wrong left out."""
    _, rows = read(name)
    body = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task and "failed" not in row]
        for what in ("step", "forward"):
            ratio = f"{what}_ratio"
            ours = min((row for row in own if row["ours"]), key=lambda row: row[ratio]["median"])
            better = [
                row
                for row in own
                if not row["ours"]
                and row["subject"] != "MLP, equal FLOPs"
                and not row.get("exactness", {}).get("wrong")
                and row[ratio]["median"] < ours[ratio]["median"]
            ]
            best = {row["subject"]: row for row in sorted(better, key=lambda row: -row[ratio]["median"])}
            if best:
                faster = ", ".join(f"{n} {row[ratio]['median']:.2f}" for n, row in reversed(best.items()))
                body.append([task, what, f"{ours['subject']} {ours[ratio]['median']:.2f}", faster])
    head = ["task", "", "our fastest", "faster"]
    return table(head, body, "Each time is divided by that of the MLP with equal parameters in the same cell.")


def bench_gpu(tasks: dict[str, str]) -> str:
    """Several tasks of the GPU beside each other: step and its ratio to the MLP of the cell."""
    machine, _ = read("bench_gpu")
    found = cells("bench_gpu")
    names = {name: row for (task, name), row in found.items() if task in tasks and not name.startswith("MLP, equal F")}
    body = []
    for name in sorted(names, key=lambda n: n.startswith("MLP")):
        line = [subject(names[name])]
        for task in tasks:
            row = found.get((task, name))
            if row is None:
                line.append("not run")
            elif "failed" in row:
                line.append("does not fit" if row["failed"].startswith("MemoryError") else "fails")
            else:
                wrong = ", wrong" if row.get("exactness", {}).get("wrong") else ""
                line.append(f"{row['step']['median']:.2f} ({row['step_ratio']['median']:.2f}{wrong})")
        body.append(line)
    note = f"{machine['device']}, PyTorch {machine['torch']}; step ms (divided by that of the MLP in its cell); "
    return table(["", *tasks.values()], body, note + "`fasterkan bench --suite gpu --peers PEERS`")


def bench_first() -> str:
    """Milliseconds of the very first step: imports of kernels, choice of algorithms, compilation, capture."""
    found = cells("bench_cpu", "bench_gpu")
    body = [
        [
            subject(found["mnist", name]),
            *(f"{row['first_call_ms']:,.0f}" if (row := found.get((task, name))) else "" for task in FIRST),
        ]
        for name in ("FasterKAN", "KAN", "faster-kan", MLP)
    ]
    note = "The first row of each column also contains the time for what CUDA loads only once."
    return table(["", *FIRST.values()], body, note)


def bench_memory() -> str:
    """Peak memory of a step against the batch: one layer of 256 inputs and outputs, K 8."""
    found = cells("bench_cpu")
    tasks = {f"growth-N{n}": f"{n} rows" for n in (16, 256, 2048)}
    names = dict.fromkeys(name for (task, name), row in found.items() if task in tasks and "peak_mib" in row)
    body = [
        [
            subject(found["growth-N256", name]),
            *(f"{row['peak_mib']:.1f}" if "peak_mib" in (row := found.get((t, name), {})) else "" for t in tasks),
        ]
        for name in sorted(names, key=lambda n: n.startswith("MLP"))
        if name != "MLP, equal FLOPs"
    ]
    return table(["MiB", *tasks.values()], body, "`fasterkan bench --suite cpu --peers PEERS`")


def bench_repeat() -> str:
    """How far the ratios of two runs of the CPU suite lie apart."""
    again = {(r["task"], r["family"], r["subject"]): r for r in read("bench_cpu_again")[1] if "failed" not in r}
    by_task: dict[str, list[tuple[float, str]]] = {}
    for row in read("bench_cpu")[1]:
        key = row["task"], row["family"], row["subject"]
        if "failed" not in row and row["subject"] != MLP and key in again:
            change = again[key]["step_ratio"]["median"] / row["step_ratio"]["median"] - 1
            by_task.setdefault(row["task"], []).append((change, row["subject"]))
    body = []
    for task, changes in by_task.items():
        far, name = max(changes, key=lambda c: abs(c[0]))
        body.append(
            [
                task,
                str(len(changes)),
                f"{100 * statistics.median(abs(c) for c, _ in changes):.1f} %",
                str(sum(abs(c) > 0.1 for c, _ in changes)),
                f"{100 * far:+.0f} % ({name})",
            ]
        )
    head = ["task", "subjects", "median change of step / MLP's", "changed by more than a tenth", "largest change"]
    return table(head, body, "Two runs, one after the other; the second without the three slowest families.")


def bench_duration() -> str:
    """How long the suites took."""
    parts = []
    for name, told in (("bench_cpu", "The CPU suite"), ("bench_gpu", "The GPU suite, as far as it was run,")):
        seconds = {(r["task"], r["family"]): r["cell_seconds"] for r in read(name)[1] if "cell_seconds" in r}
        task, family = max(seconds, key=lambda key: seconds[key])
        parts.append(
            f"{told} measured {len(seconds)} cells in {sum(seconds.values()) / 60:.0f} minutes. The longest cell, "
            f"{task} with {family}, took {max(seconds.values()):.0f} s."
        )
    return " ".join(parts) + "\n"


def bench_readme() -> str:
    """The table of README: our networks, their originals, the MLP."""
    found = cells("bench_cpu", "bench_gpu")
    names = ("KAN", "FasterKAN", "faster-kan", "fk.FastKAN", "fast-kan", "fk.EfficientKAN", "efficient-kan")
    body = []
    for name in (*names, "KAN, BSpline", "inkan", "flashkan", MLP):
        line = [subject(found["mnist", name])]
        for task in README:
            row = found.get((task, name), {})
            line.append(f"{row['step']['median']:.2f} ({row['step_ratio']['median']:.2f})" if "step" in row else "")
        body.append([*line, "wrong" if found["mnist", name].get("exactness", {}).get("wrong") else "right"])
    cpu, gpu = read("bench_cpu")[0], read("bench_gpu")[0]
    note = (
        "Step ms (divided by that of the MLP of equal parameters beside it), 8 functions per edge. "
        f"{cpu['cpu']}, {cpu['threads']} threads, PyTorch {cpu['torch']}; "
        f"{gpu['device']}, PyTorch {gpu['torch']}; `fasterkan bench`"
    )
    return table(["", *README.values(), "gradients"], body, note)


TABLES: dict[str, Callable[[], str]] = {
    "presets": presets,
    "bench-peers": bench_peers,
    "bench-losses": bench_losses,
    "bench-losses-gpu": lambda: bench_losses("bench_gpu"),
    "bench-gpu-wide": lambda: bench_gpu(WIDE),
    "bench-gpu-small": lambda: bench_gpu(SMALL),
    "bench-first": bench_first,
    "bench-memory": bench_memory,
    "bench-repeat": bench_repeat,
    "bench-duration": bench_duration,
    "bench-readme": bench_readme,
    **{f"bench-{task}": lambda task=task: bench_table(task) for task in ("published", "mnist", "flat", "square")},
}
