"""What the pages show is true: their Python runs, their commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
FENCE = re.compile(r"^(?P<skip><!-- no-run -->\s*\n)?```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```\s*$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block: its language, its text and the line on which the text starts."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, but those after a `<!-- no-run -->` line."""
    found = (m for m in FENCE.finditer(page) if not m["skip"])
    return [Block(m["language"], m["text"], page.count("\n", 0, m.start("text")) + 1) for m in found]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in a shell block, without prompts, comments and variable settings."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||[;|]", line.removeprefix("$ ")):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words = words[1:]
            if words:
                yield words


def shell_commands(page: str) -> Iterator[list[str]]:
    """The commands of a page's shell blocks."""
    for block in blocks(page):
        if block.language in {"bash", "console", "sh", "shell"}:
            yield from commands(block.text)


def unknown_targets(words: list[str], makefile: str) -> list[str]:
    """The targets of a `make` command that the Makefile does not have."""
    targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
    return [target for target in targets if not re.search(rf"(?m)^{re.escape(target)}:", makefile)]


def complaint(words: list[str], command) -> str | None:
    """What is wrong with a `fasterkan` command line, by the tree of its commands; nothing is run."""
    rest, arguments, path = list(words[1:]), 0, words[0]
    while rest:
        word, rest = rest[0], rest[1:]
        if word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            if name == "--help":
                continue
            options = [p for p in command.params if name in (*p.opts, *p.secondary_opts) and name.startswith("-")]
            if not options:
                return f"{path} has no option {name}"
            if not value and not getattr(options[0], "is_flag", False):
                rest = rest[options[0].nargs :]
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"{path} has no command {word}"
            command, path = command.commands[word], f"{path} {word}"
        else:
            arguments += 1
    places = [p.nargs for p in command.params if p.param_type_name == "argument"]
    if -1 not in places and arguments > sum(places):
        return f"{path} takes {sum(places)} arguments, not {arguments}"
    return None


@pytest.fixture(scope="module")
def tree():
    """The command tree of the `fasterkan` program."""
    from fasterkan.cli import app

    return typer.main.get_command(app)


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_python_blocks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in blocks(path.read_text()):
        if block.language == "python":
            source = "\n" * (block.line - 1) + block.text  # so that a traceback shows the page's line
            exec(compile(source, str(path), "exec"), namespace)


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=page_id)
def test_make_targets_exist(path):
    makefile = (ROOT / "Makefile").read_text()
    made = [words for words in shell_commands(path.read_text()) if words[0] == "make"]
    assert [target for words in made for target in unknown_targets(words, makefile)] == []


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=page_id)
def test_fasterkan_commands_exist(path, tree):
    called = [words for words in shell_commands(path.read_text()) if Path(words[0]).name == "fasterkan"]
    assert [said for words in called if (said := complaint(words, tree))] == []


def test_the_makefiles_fasterkan_commands_exist(tree):
    lines = re.findall(r"(?m)^\t\S*/fasterkan (.*)$", (ROOT / "Makefile").read_text())
    assert [said for line in lines if (said := complaint(["fasterkan", *shlex.split(line)], tree))] == []
    assert len(lines) > 0


def test_readme_shows_python_and_the_two_commands():
    page = (ROOT / "README.md").read_text()
    made = {word for words in shell_commands(page) if words[0] == "make" for word in words[1:]}
    assert {"mnist", "test"} <= made
    assert [block.language for block in blocks(page)].count("python") >= 1


def test_readme_is_at_most_150_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def example_tree():
    """A program with one group, one command, an option with a value, a flag and one argument."""
    app, train = typer.Typer(), typer.Typer()

    @app.command("info")
    def info(run: str) -> None: ...

    @train.command("mnist")
    def mnist(seed: int = 0, quiet: bool = False) -> None: ...

    app.add_typer(train, name="train")
    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fasterkan train mnist --seed 1 --quiet", None),
        ("fasterkan train mnist --seed=1 --no-quiet", None),
        ("fasterkan train --help", None),
        ("fasterkan info runs/a", None),
        ("fasterkan info runs/a runs/b", "fasterkan info takes 1 arguments, not 2"),
        ("fasterkan train cifar", "fasterkan train has no command cifar"),
        ("fasterkan train mnist --sede 1", "fasterkan train mnist has no option --sede"),
    ],
)
def test_complaint(line, said):
    assert complaint(shlex.split(line), example_tree()) == said


def test_blocks_and_commands_of_a_page():
    python = "text\n```python\nx = 1\n```\n<!-- no-run -->\n```python\nboom\n```\n"
    page = python + "```bash\n$ SEED=1 make a \\\n  b # why\n```\n"
    assert blocks(page) == [Block("python", "x = 1\n", 3), Block("bash", "$ SEED=1 make a \\\n  b # why\n", 10)]
    assert list(shell_commands(page)) == [["make", "a", "b"]]
    assert unknown_targets(["make", "a", "b", "SEED=1"], "a: c\n\techo\n") == ["b"]
