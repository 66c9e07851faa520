"""JSON on stdout: one object a command, strict, its lists element by element, fields as chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import click
import pytest

from mstore.cli.json_output import choose_fields, json_line, show_json, show_json_list
from mstore.errors import NotFound, UsageError
from mstore.render.json import SCHEMA


@pytest.fixture
def log_command() -> Iterator[click.Context]:
    """The context of a running `log`."""
    with click.Context(click.Command("log")) as context:
        yield context


def test_an_object_is_strict_and_has_the_number_of_its_schema(
    log_command: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    show_json({"a": math.nan, "b": b"\xff", "c": "é"})
    out = capsys.readouterr().out
    assert out.isascii() and json.loads(out) == {"schema": SCHEMA, "a": "NaN", "b": "ff", "c": "é"}
    assert json.loads(json_line({"x": 1})) == {"schema": SCHEMA, "x": 1} and "\n" not in json_line(
        {"x": "\n"}
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_comes_an_element_a_line_and_is_one_object(
    log_command: click.Context, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    show_json_list("versions", ({"id": str(i)} for i in range(count)), branch="main")
    out = capsys.readouterr().out
    assert json.loads(out) == {
        "schema": SCHEMA,
        "branch": "main",
        "versions": [{"id": str(i)} for i in range(count)],
    }
    assert len(out.splitlines()) == (count + 2 if count else 1)


def test_where_the_first_element_fails_nothing_was_printed(
    log_command: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        raise NotFound("gone")
        yield {}

    with pytest.raises(NotFound):
        show_json_list("versions", broken())
    assert capsys.readouterr().out == ""


def test_fields_are_chosen_by_name(
    log_command: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    choose_fields(" id , metrics,", {})
    show_json_list("versions", [{"id": "x", "metrics": {}, "message": "m"}])
    assert json.loads(capsys.readouterr().out)["versions"] == [{"id": "x", "metrics": {}}]


def test_a_field_that_is_none_is_met_with_what_is_near(log_command: click.Context) -> None:
    with pytest.raises(UsageError, match="there is no field 'metric'") as met:
        choose_fields("metric", {})
    assert str(met.value.hint).startswith("near it: metrics")
    with pytest.raises(UsageError) as met:
        choose_fields("zzz", {})
    assert str(met.value.hint).startswith("its fields: ")


@pytest.mark.parametrize(
    ("command", "given", "field"),
    [
        ("ls", {"tensors": True}, "dtype"),
        ("gc", {"dry_run": True}, "branch_bytes"),
        ("fsck", {"dry_run": True}, "lost"),
        ("branch", {"name": "x"}, "name"),
        ("branch", {}, "current"),
    ],
)
def test_the_form_of_a_command_says_which_fields_there_are(
    command: str, given: dict[str, Any], field: str
) -> None:
    with click.Context(click.Command(command)):
        choose_fields(field, given)
        with pytest.raises(UsageError):
            choose_fields("tensor_count,nothing", given)
