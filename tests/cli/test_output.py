"""What people see: errors and hints, plans, lines, and what is said where JSON was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

from mstore.cli import output


@pytest.fixture(autouse=True)
def _text_again() -> Iterator[None]:
    """No test finds JSON asked for, or leaves it so."""
    output.ask_for_json(False)
    yield
    output.ask_for_json(False)


def test_a_failure_is_an_error_and_a_hint_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.fail("corrupt", 4, "a\x1b[31mb\nc", "look") == 4
    out, err = capsys.readouterr()
    assert out == "" and click.unstyle(err) == "error: a\\x1b[31mb\nc\nhint: look\n"


def test_under_json_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.ask_for_json(True)
    assert output.fail("corrupt", 4, "a\x1b\nb", None) == 4
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    error = json.loads(err)["error"]
    assert error == {"code": "corrupt", "exit": 4, "message": "a\x1b\nb", "hint": None}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (["log", "--json"], True),
        (["log", "--json=x"], True),
        (["log", "--", "--json"], False),
        (["log", "--jsonx"], False),
        ([], False),
    ],
)
def test_what_was_typed_tells_whether_json_is_wanted(typed: list[str], wanted: bool) -> None:
    assert output.wants_json(typed) is wanted
    output.ask_for_json(True)
    assert output.wants_json(typed)


def test_warnings_and_hints_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.warn("a\u202e")
    output.hint("b")
    out, err = capsys.readouterr()
    assert out == "" and click.unstyle(err) == "warning: a\\u202e\nhint: b\n"


def test_a_plan_is_shown_as_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    class Plan:
        def __str__(self) -> str:
            return "would do\nit\x1b"

        def to_dict(self) -> dict[str, Any]:
            return {"x": 1}

    output.show_plan(Plan(), as_json=False)
    assert capsys.readouterr().out == "would do\nit\\x1b\n"
    with click.Context(click.Command("x")):
        output.show_plan(Plan(), as_json=True)
    assert json.loads(capsys.readouterr().out)["x"] == 1


def test_lines_are_printed_as_they_come_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.page(iter(["a", "b"]))
    assert capsys.readouterr().out == "a\nb\n"
    assert output.terminal_width() == 1000


def test_progress_is_shown_to_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with output.progress() as told:
        assert told is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(output, "_PATIENCE_SECONDS", 0.0)
    with output.progress() as told:
        told("storing", 1, 2)
        told("storing", 2, 2)
        told("writing", 1, 1)
