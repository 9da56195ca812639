"""The `--help` page of the program and of each command, as a terminal of 80 columns shows it."""

from __future__ import annotations

import re

import pytest
import typer

from fasterkan.cli.program import app

PROGRAM = typer.main.get_command(app)
COMMANDS = {"fasterkan": PROGRAM, **{f"fasterkan {name}": command for name, command in PROGRAM.commands.items()}}


@pytest.fixture(params=COMMANDS, ids=lambda name: name.replace(" ", "-"))
def name(request):
    return request.param


@pytest.fixture
def page(name, monkeypatch, capsys):
    """The text of the page. It is not asked for with a CliRunner, which has a width of its own."""
    monkeypatch.setenv("COLUMNS", "80")
    app([*name.split()[1:], "--help"], prog_name="fasterkan", standalone_mode=False)
    return capsys.readouterr().out


def flat(text: str) -> str:
    return " ".join(text.split())


def paragraphs(text: str) -> list[str]:
    return [flat(part.replace("\b", "")) for part in re.split("\n(?:\b?\n)+", text.strip())]


def test_no_escapes(page):
    assert "\\" not in page
    assert [character for character in page if not character.isprintable() and character != "\n"] == []


def test_lines_have_at_most_80_columns(page):
    assert [line for line in page.splitlines() if len(line) > 80] == []


def test_no_name_is_broken_at_a_hyphen(page):
    assert [line for line in page.splitlines() if line.endswith("-")] == []


def test_paragraphs_stay_apart(name, page):
    shown = paragraphs(page)
    assert [text for text in paragraphs(COMMANDS[name].help) if text not in shown] == []


def test_examples_stand_on_lines_of_their_own(name, page):
    written = re.findall(r"(?m)^  (fasterkan .*)$", COMMANDS[name].help)
    block = page.partition("  Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert written
    assert block == [f"    {example}" for example in written]
    assert all(example.startswith(f"{name} ") for example in written)


def test_commands_in_the_text_are_whole(page):
    command = r'pip install "fasterkan\[\w+\]"'
    assert len(re.findall(command, page)) == len(re.findall(command, flat(page)))


def test_exit_codes_are_said_once(page):
    assert len(re.findall(r"(?i)\bexit codes?\b", page)) == 1


def test_every_option_says_what_its_value_means(name):
    texts = {p.name: flat(p.help or "") for p in COMMANDS[name].params}
    assert {option: text for option, text in texts.items() if not re.fullmatch(r"\S+ .*[.\])]", text)} == {}
