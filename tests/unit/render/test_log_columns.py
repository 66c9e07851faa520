"""The cells of a listing of versions, escaped; columns with nothing in them are left out."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.history.entry import LogEntry
from mstore.objects import Commit, ManifestId, Time
from mstore.render.log_columns import DEFAULT_COLUMNS, cell, names_text, rank_text, used


def _entry(
    metadata: dict[str, Any] | None = None,
    *,
    message: str = "one",
    refs: tuple[str, ...] = (),
    current: str | None = None,
    metrics: dict[str, float] | None = None,
) -> LogEntry:
    commit = Commit(
        (), ManifestId(bytes(32)), "Ada", Time.now(), message, metadata or {}, metrics or {}
    )
    return LogEntry(commit.id, commit, refs, current)


def _recorded(**recorded: Any) -> LogEntry:
    return _entry({"recorded": recorded})


@pytest.mark.parametrize(
    ("refs", "current", "shown"),
    [
        ((), None, ""),
        (("HEAD", "main", "best"), "main", "HEAD → main, best"),
        (("HEAD", "main"), None, "HEAD, main"),
        (("HEAD",), "main", "HEAD"),
        (("tag: v1\x1b",), None, "tag: v1\\x1b"),
    ],
)
def test_names(refs: tuple[str, ...], current: str | None, shown: str) -> None:
    entry = _entry(refs=refs, current=current)
    assert names_text(entry) == cell(entry, "refs") == shown


@pytest.mark.parametrize(
    ("adapter", "shown"),
    [
        ({"rank": 8, "alpha": 16.0}, "8/16"),
        ({"rank": 8}, "8"),
        ({"alpha": 2.5}, "?/2.5"),
        ({}, ""),
        ({"rank": "8\n"}, "8\\x0a"),
    ],
)
def test_rank_and_alpha(adapter: dict[str, Any], shown: str) -> None:
    entry = _recorded(adapters={"": adapter})
    assert rank_text(entry) == cell(entry, "r/alpha") == shown
    assert rank_text(_entry()) == ""


@pytest.mark.parametrize(
    ("trainer", "shown"),
    [
        ({}, ""),
        ({"global_step": 7}, "step 7"),
        ({"epoch": 2.0}, "e 2"),
        ({"epoch": 1.23456, "global_step": 7}, "e 1.23·7"),
    ],
)
def test_where_training_stood(trainer: dict[str, Any], shown: str) -> None:
    assert cell(_recorded(trainer=trainer), "epoch") == shown


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ({"not_finite": "x"}, "! NaN · one"),
        ({"untrained": "x", "frozen_changed": "y"}, "! untrained, frozen moved · one"),
        ({"new\x1b": "x"}, "! new\\x1b · one"),
        ({}, "one"),
        ("noise", "one"),
    ],
)
def test_what_is_wrong_stands_before_the_message(health: Any, shown: str) -> None:
    assert cell(_entry({"health": health}), "message") == shown


def test_other_cells_are_numbers_or_text() -> None:
    entry = _entry({"a": {"b": "x\x1b"}}, metrics={"loss": 0.123456}, message="one\nmore")
    shown = [cell(entry, name) for name in ("loss", "a.b", "nothing", "message", "age")]
    assert shown[:-1] == ["0.1235", "x\\x1b", "", "one"] and shown[-1].endswith(" ago")


def test_columns_without_anything_are_left_out() -> None:
    entries = [_entry(), _entry(metrics={"loss": 1.0})]
    assert used(entries, ("id", "refs", "age", "message", "r/alpha", "loss")) == (
        "id",
        "age",
        "message",
        "loss",
    )
    assert used([], DEFAULT_COLUMNS) == ("id", "age", "message")
