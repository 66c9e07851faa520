"""Values of options: what is read, and what is refused with the words that were typed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.cli.params import REVISION, SIDE, read_metrics, read_pairs
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ((), {}),
        (
            ("a=1", "b=text", 'c={"d": [1]}', "e=", "f=x=y", "a=2"),
            {"a": 2, "b": "text", "c": {"d": [1]}, "e": "", "f": "x=y"},
        ),
        (
            ("n=null", "t=true", "z=01", "deep=" + "[" * 100_000),
            {"n": None, "t": True, "z": "01", "deep": "[" * 100_000},
        ),
    ],
)
def test_metadata_is_json_where_it_reads_as_json(pairs: tuple[str, ...], found: dict[str, Any]) -> None:
    assert read_pairs(pairs) == found


@pytest.mark.parametrize("pair", ["a", "=1", ""])
def test_a_pair_without_a_name_or_a_value_is_refused(pair: str) -> None:
    with pytest.raises(click.UsageError, match="must be KEY=VALUE"):
        read_pairs((pair,))
    with pytest.raises(click.UsageError, match="must be NAME=NUMBER"):
        read_metrics((pair,))


@given(st.floats())
def test_any_number_that_python_writes_is_a_metric(value: float) -> None:
    (found,) = read_metrics((f"x={value}",)).values()
    assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize("text", ["", "1,5", "0x10", "1_000", " 1", "1 ", "nans", "e5", ".", "١"])
def test_what_python_would_forgive_is_no_number_here(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a number"):
        read_metrics((f"x={text}",))


@pytest.mark.parametrize("text", ["1", "+1.", "-.5e-3", "INF", "NaN", "-infinity", "1E5"])
def test_numbers_as_people_write_them(text: str) -> None:
    assert str(read_metrics((f"x={text}",))["x"]) == str(float(text))


def test_a_revision_is_completed_by_branches_and_tags(mstore: Run, place: Path) -> None:
    mstore("branch", "more")
    mstore("tag", "milestone")
    context = click.Context(click.Command("show"))
    parameter = click.Argument(["rev"])
    found = REVISION.shell_complete(context, parameter, "m")
    assert sorted(item.value for item in found) == ["main", "milestone", "more"]
    assert [item.value for item in SIDE.shell_complete(context, parameter, "mi")] == ["milestone"]


def test_a_completion_that_fails_says_nothing(workshop: Path) -> None:
    context = click.Context(click.Command("show"))
    assert REVISION.shell_complete(context, click.Argument(["rev"]), "") == []


def test_fields_need_json(mstore: Run, place: Path) -> None:
    assert "add --json" in mstore("log", "--fields", "id", code=2)[2]
