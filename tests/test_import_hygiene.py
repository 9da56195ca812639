"""The layers of the house, and an import that leaves no trace."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
FILES = sorted((SOURCE / "fasterkan").rglob("*.py"))

# A layer imports itself and what has a smaller number. Of the root, private modules (_version, ...) serve everyone.
LAYERS = {
    "bases": 0,
    "ops": 1,
    "nn": 2,
    "testing": 3,  # beside the others: they may not import it (see `imports_that_break_the_rule`)
    "models": 3,
    "data": 4,
    "diagnosis": 5,
    "vision": 4,
    "fitting": 5,
    "train": 5,
    "interpret": 6,
    "export": 7,
    "sklearn": 8,
    "bench": 8,
    "cli": 8,
    "__main__": 9,
    "fasterkan": 9,
    "fasterkan_basis": 9,
    "fasterkan_layers": 9,
    "feature_extractor": 9,
}
APPLICATIONS = {"sklearn", "bench", "cli"}
ORIGINALS = {"fasterkan", "fasterkan_basis", "fasterkan_layers", "feature_extractor"}
"""Modules under the original's import paths: for its scripts, nothing here imports them."""


def module_name(path: Path) -> str:
    """`src/fasterkan/ops/__init__.py` is `fasterkan.ops`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of each import, those inside functions too; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def imports_that_break_the_rule(text: str, module: str, *, is_package: bool = False) -> list[str]:
    """The imports of a module's text that go to the right, or round through the root package."""
    own = module.split(".")[1] if "." in module else ""
    package = module if is_package else module.rpartition(".")[0]
    broken = []
    for line, name in imported(ast.parse(text), package):
        parts = name.split(".")
        if parts[0] != "fasterkan" or (len(parts) > 1 and parts[1].startswith("_")):
            continue
        layer = parts[1] if len(parts) > 1 else ""
        if own == "":
            allowed = layer in LAYERS and layer not in APPLICATIONS | ORIGINALS | {"testing"}
        elif layer == own:
            allowed = True
        elif own.startswith("_") and own not in LAYERS:
            allowed = False
        elif layer not in LAYERS:  # the root's own names: only for those who stand outside
            allowed = own in APPLICATIONS
        else:
            allowed = layer != "testing" and LAYERS[layer] <= LAYERS[own] and {own, layer} != {"testing", "models"}
        if not allowed:
            broken.append(f"{module}:{line} imports {name}")
    return broken


def forbidden_statements(text: str, module: str) -> list[str]:
    """Calls of print, and handlers that catch everything; one that tidies up and raises again may."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            found.append(f"{module}:{node.lineno} prints")
        if isinstance(node, ast.ExceptHandler) and ast.unparse(node.body[-1]) != "raise":
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or getattr(kind, "id", "") in {"Exception", "BaseException"} for kind in kinds):
                found.append(f"{module}:{node.lineno} catches everything")
    return found


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_leftwards(path):
    broken = imports_that_break_the_rule(path.read_text(), module_name(path), is_package=path.name == "__init__.py")
    assert broken == []


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_print_and_no_catch_all(path):
    assert forbidden_statements(path.read_text(), module_name(path)) == []


def test_every_part_of_the_package_has_a_layer():
    parts = {module_name(path).split(".")[1] for path in FILES if path.parent != SOURCE / "fasterkan"}
    parts |= {path.stem for path in FILES if path.parent == SOURCE / "fasterkan"}
    assert {part for part in parts if not part.startswith("_")} - set(LAYERS) == set()


@pytest.mark.parametrize(
    ("module", "text", "broken"),
    [
        ("ops.dispatch", "from ..nn import KANLinear", "1 imports fasterkan.nn.KANLinear"),
        ("bases.rswaf", "import fasterkan.ops", "1 imports fasterkan.ops"),
        ("nn.linear", "def f():\n    from fasterkan import KAN", "2 imports fasterkan.KAN"),
        ("nn.linear", "import fasterkan.testing", "1 imports fasterkan.testing"),
        ("testing.layer", "from fasterkan.models import KAN", "1 imports fasterkan.models.KAN"),
        ("_check", "from .nn import norms", "1 imports fasterkan.nn.norms"),
        ("nn.linear", "import torch\nfrom ..bases import RSWAF\nfrom .._check import positive", None),
        ("cli.train", "import fasterkan as fk\nfrom ..data import mnist", None),
        ("cli.train", "from ..fasterkan import FasterKANLayer", "1 imports fasterkan.fasterkan.FasterKANLayer"),
        ("fasterkan", "from .models import FasterKAN\nfrom .nn import KANLinear", None),
        ("fasterkan", "from fasterkan import KAN", "1 imports fasterkan.KAN"),
    ],
)
def test_the_layer_rule_sees(module, text, broken):
    name = f"fasterkan.{module}"
    assert imports_that_break_the_rule(text, name) == ([f"{name}:{broken}"] if broken else [])


def test_the_layer_rule_sees_the_root_import_an_application():
    text = "from .cli import main\nfrom .nn import KANLinear\nfrom .fasterkan import FasterKANLayer"
    broken = imports_that_break_the_rule(text, "fasterkan", is_package=True)
    assert broken == [
        "fasterkan:1 imports fasterkan.cli.main",
        "fasterkan:3 imports fasterkan.fasterkan.FasterKANLayer",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("print(1)", ["m:1 prints"]),
        ("try:\n    f()\nexcept Exception:\n    g()", ["m:3 catches everything"]),
        ("try:\n    f()\nexcept (ValueError, BaseException):\n    g()", ["m:3 catches everything"]),
        ("try:\n    f()\nexcept:\n    g()", ["m:3 catches everything"]),
        ("try:\n    f()\nexcept BaseException:\n    g()\n    raise", []),
        ("try:\n    f()\nexcept (OSError, ValueError):\n    console.print(1)", []),
    ],
)
def test_the_statement_rule_sees(text, found):
    assert forbidden_statements(text, "m") == found


# Circles, doors and private names.


def module_graph() -> dict[str, set[str]]:
    """Which modules each module imports, anywhere in its text; `from package import name` counts as the package."""
    modules = {module_name(path): path for path in FILES}
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for _, target in imported(ast.parse(path.read_text()), package):
            found = target if target in modules else target.rpartition(".")[0]
            if found in modules and found != name:
                graph[name].add(found)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of modules that import each other, each in alphabetical order (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in graph[node]:
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in order:
            visit(node)
    return found


def private_names(text: str) -> list[str]:
    """Names of torch with a part that begins with one underscore, such as torch._C, by attribute or by import."""
    found = []
    for node in ast.walk(ast.parse(text)):
        parts: list[str] = []
        if isinstance(node, ast.Attribute):
            parts = ast.unparse(node).split(".")
            if parts[0] in {"nn", "F", "forward_ad"}:
                parts = ["torch", *parts]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            parts = next((a.name.split(".") for a in node.names if a.name.startswith("torch.")), [])
        if parts[:1] == ["torch"] and any(p.startswith("_") and not p.startswith("__") for p in parts):
            found.append(".".join(parts))
    return found


def test_no_module_imports_itself_round_a_circle():
    assert circles(module_graph()) == []


def test_the_circle_rule_sees():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_function_hides_a_module(path):
    name = module_name(path)
    if name == "fasterkan" or path.stem == "__main__":
        return
    if name.startswith("fasterkan.ops.triton."):
        pytest.importorskip("triton", reason="triton is not installed")
    module = importlib.import_module(name)
    parent, _, leaf = name.rpartition(".")
    assert getattr(sys.modules[parent], leaf) is module, f"{name} cannot be reached: its package has another {leaf}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_private_names_of_torch_stand_in_one_module(path):
    found = private_names(path.read_text())
    assert bool(found) == (module_name(path) == "fasterkan._torch"), found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import torch\ntorch._C.f(1)", True),
        ("from torch._functorch import x", True),
        ("from torch.nn.modules.batchnorm import _NormBase", True),
        ("from torch import nn\nnn.modules.batchnorm._NormBase", True),
        ("import torch._dynamo", True),
        ("import torch\ntorch.__version__", False),
        ("self._torch.f()", False),
    ],
)
def test_the_rule_of_private_names_sees(text, found):
    assert bool(private_names(text)) == found


# Torch and the others come first: what they load or change is theirs. The rest is what `import fasterkan` adds.
PROBE = """
import json, logging, os, random, sys, warnings
import numpy, safetensors.torch, torch

def state():
    return {
        "torch's random state": torch.get_rng_state().tolist(),
        "NumPy's random state": repr(numpy.random.get_state()),
        "Python's random state": repr(random.getstate()),
        "default dtype": str(torch.get_default_dtype()),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "matmul precision": torch.get_float32_matmul_precision(),
        "grad mode": torch.is_grad_enabled(),
        "root log handlers": len(logging.getLogger().handlers),
        "warning filters": len(warnings.filters),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }

modules, before = set(sys.modules), state()
import fasterkan
after = state()
sys.stderr.write(json.dumps({
    "modules": sorted(set(sys.modules) - modules),
    "changed": [name for name in before if before[name] != after[name]],
}))
"""
HEAVY = {
    "PIL",
    "hypothesis",
    "matplotlib",
    "pandas",
    "pytest",
    "rich",
    "scipy",
    "sympy",
    "torch._inductor",
    "triton",
    "typer",
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """A fresh interpreter that imports fasterkan in an empty home: what it printed, added and left behind."""
    home = tmp_path_factory.mktemp("home")
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))
    env = {**os.environ, **places, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "error", "-c", PROBE]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stderr), "printed": done.stdout, "files": [str(p) for p in home.rglob("*")]}


def test_import_loads_nothing_heavy(probe):
    assert [name for name in probe["modules"] if any(name == h or name.startswith(f"{h}.") for h in HEAVY)] == []


def test_import_prints_nothing(probe):
    assert probe["printed"] == ""


def test_import_creates_no_files(probe):
    assert probe["files"] == []


def test_import_changes_no_global_state(probe):
    assert probe["changed"] == []
