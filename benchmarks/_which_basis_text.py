"""Sentences and tables about the results of studies/which_basis.py, true whatever the figures are."""

from __future__ import annotations

import math

from _which_basis import DEFAULT, EQUAL, Results, is_mlp

COMMAND = "python studies/which_basis.py"
Table = tuple[list[str], list[list[str]], str]


def shown(results: Results, task: str, error: float) -> str:
    """Return an error as text: per cent of wrong labels for images, else a plain number."""
    if not math.isfinite(error):
        return "diverged"
    return f"{100 * error:.2f} %" if results.tasks[task] == "images" else f"{error:.3g}"


def names(some: list[str]) -> str:
    """Return "`A`, `B` and `C`"."""
    quoted = [name if is_mlp(name) else f"`{name}`" for name in some]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def times(ratio: float) -> str:
    """Return a ratio as "1.25 times"."""
    if not math.isfinite(ratio):
        return "infinitely many times"
    return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:.0f} times"


def answer(results: Results) -> str:
    """Return the short answer: the best over all tasks, the default's place, the best of each group, and the MLP."""
    ranks = results.average_place()
    order = [name for name in ranks if name in results.bases]
    first, (mean, low, high) = order[0], ranks[order[0]]
    near = [f"`{name}` ({ranks[name][0]:.1f})" for name in order[1:] if ranks[name][0] <= high]
    wins = sum(results.best(task) == first for task in results.telling)
    overall = [
        f"Over {len(results.telling)} tasks, `{first}` has the best average place among the {len(order)} bases: "
        f"{mean:.1f} (with single seeds {low:.1f} to {high:.1f}). It is the best basis on {wins} of these tasks.",
        f"Also within that range: {', '.join(near)}." if near else "No other basis is within that range.",
    ]
    if first != DEFAULT:
        place = ordinal(order.index(DEFAULT) + 1)
        overall.append(f"The default, `{DEFAULT}`, is {place}: its average place is {ranks[DEFAULT][0]:.1f}.")
    groups = []
    for group in results.groups:
        best, *near = group_best(results, group)
        errors = results.group_errors(group)
        ratio = errors[EQUAL][0] / errors[best][0]
        level = f", level with {names(near)}" if near else ""
        groups.append(f"- For {group}: `{best}`{level}. The error of the {EQUAL} is {times(ratio)} that of `{best}`.")
    return "\n\n".join([" ".join(overall), "\n".join(groups), mlp(results)]) + "\n"


def ordinal(place: int) -> str:
    """Return 1st, 2nd, 3rd, 4th ... of a number below 21."""
    return f"{place}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(place, 'th') }"


def group_best(results: Results, group: str) -> list[str]:
    """Return the basis of the lowest error in a group and those whose median is within its range over seeds."""
    errors = {name: error for name, error in results.group_errors(group).items() if name in results.bases}
    best = min(errors, key=lambda name: errors[name][0])
    near = [name for name in errors if errors[name][0] <= errors[best][2]]
    return sorted(near, key=lambda name: errors[name][0])


def mlp(results: Results) -> str:
    """Return where the MLP of the default's size is better than every basis, and than the default."""
    cells = results.cells
    over_all = [task for task in results.telling if cells[task][EQUAL].median < cells[task][results.best(task)].median]
    over_default = [task for task in results.telling if cells[task][EQUAL].median < cells[task][DEFAULT].median]
    text = (
        f"The MLP with as many parameters as `{DEFAULT}` is better than every basis on {listed(over_all)}, "
        f"and better than `{DEFAULT}` on {listed(over_default)}. Its average place among the bases would be "
        f"{results.average_place()[EQUAL][0]:.1f}."
    )
    ratios = [
        own[EQUAL].step["median_ms"] / own[DEFAULT].step["median_ms"]
        for own in cells.values()
        if own[EQUAL].step and own[DEFAULT].step
    ]
    if ratios:
        text += f" Its step takes {min(ratios):.2f} to {max(ratios):.2f} times as long as that of `{DEFAULT}`."
    return text


def listed(tasks: list[str]) -> str:
    """Return "a, b, c", or "no task"."""
    return ", ".join(tasks) or "no task"


def warnings(results: Results) -> str:
    """Return what went wrong: tasks on which nothing was learned, bases no better than a constant, divergence."""
    lines = []
    for task in results.tasks:
        good = results.better_than_constant(task)
        bad = [name for name in results.networks if name not in good]
        constant = f"a constant output (error {shown(results, task, results.constant(task))})"
        if not good:
            lines.append(
                f"- {task}: no network is better than {constant} in all seeds. The averages leave this task out."
            )
        elif bad:
            lines.append(f"- {task}: in at least one seed, these are not better than {constant}: {names(bad)}.")
    lines += [
        f"- {task}: {names([name])} diverged in {count} of {len(results.seeds)} seeds."
        for (task, name), count in results.diverged().items()
    ]
    return "\n".join(lines or ["Every network is better than a constant output, on every task."]) + "\n"


def best(results: Results) -> Table:
    """Each task's best basis, who is level with it, and the MLP of the default's size."""
    body = []
    for task, group in results.tasks.items():
        first, *near = results.level(task)
        cells = results.cells[task]
        timed = {name: cells[name].step["median_ms"] for name in (first, *near) if cells[name].step}
        body.append(
            [
                task,
                group,
                f"`{first}` {shown(results, task, cells[first].median)}",
                names(near) if near else "none",
                f"`{min(timed, key=timed.__getitem__)}`" if timed else "",
                shown(results, task, cells[DEFAULT].median),
                shown(results, task, cells[EQUAL].median),
            ]
        )
    head = ["task", "", "best basis, error", "within its range over seeds", "fastest of these", f"`{DEFAULT}`", EQUAL]
    return head, body, f"Test errors, medians of {len(results.seeds)} seeds; `{COMMAND}`"


def ranks(results: Results) -> Table:
    """The places of all networks on all tasks."""
    places = {task: results.ranks(task) for task in results.tasks}
    body = [
        [
            names([name]),
            f"{mean:.1f} ({low:.1f} to {high:.1f})",
            *(str(places[task][name]) for task in results.tasks),
        ]
        for name, (mean, low, high) in results.average_place().items()
    ]
    head = ["", "average place (range over seeds)", *results.tasks]
    note = "1 is the lowest median error. An MLP's place is where it would stand among the bases."
    if left := [task for task in results.tasks if task not in results.telling]:
        note += f" Not in the average: {listed(left)}."
    return head, body, note


def losses(results: Results) -> Table:
    """The tasks on which something was learned and the default basis is not the best."""
    body = []
    for task in results.telling:
        first, cells = results.best(task), results.cells[task]
        if first == DEFAULT:
            continue
        ratio = cells[DEFAULT].median / cells[first].median
        level = "yes" if DEFAULT in results.level(task) else "no"
        cost = ""
        if (ours := cells[DEFAULT].step) and (other := cells[first].step):
            cost = times(other["median_ms"] / ours["median_ms"])
        body.append([task, f"{results.ranks(task)[DEFAULT]}", f"`{first}`", times(ratio), level, cost])
    head = ["task", f"place of `{DEFAULT}`", "best basis", f"error of `{DEFAULT}` / error of the best"]
    head += ["within the range of the best", f"step of the best / step of `{DEFAULT}`"]
    return head, body or [["none", "", "", "", "", ""]], f"`{COMMAND}`"


def everything(results: Results) -> str:
    """Return a table for each task: every network's error, step and size, the lowest error first."""
    parts = []
    for task, cells in results.cells.items():
        lines = [
            "| | error, median (min to max) | step ms (p20 to p80) | parameters | functions per edge |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, cell in sorted(cells.items(), key=lambda item: item[1].median):
            error = shown(results, task, cell.median)
            low, high = (shown(results, task, value).removesuffix(" %") for value in (cell.low, cell.high))
            step = cell.step
            time = f"{step['median_ms']:.2f} ({step['p20_ms']:.2f} to {step['p80_ms']:.2f})" if step else ""
            functions = results.functions[name]
            line = [names([name]), f"{error} ({low} to {high})", time, f"{cell.parameters:,}", f"{functions or ''}"]
            lines.append("| " + " | ".join(line) + " |")
        constant = shown(results, task, results.constant(task))
        parts.append(f"### {task}\n\n" + "\n".join(lines) + f"\n\nA constant output has an error of {constant}.\n")
    return "\n".join(parts)
