"""A listing of versions on a terminal."""

from __future__ import annotations

import click

from mstore.cli import log_text
from tests.unit.render.entries import entries


def test_a_table_is_for_a_terminal() -> None:
    shown = entries(("a", ()), metrics={"loss": 1.5})
    with click.Context(click.Command("log")):
        head, row = log_text.table(shown, ("id", "message", "loss"), chosen=False)
    assert click.unstyle(head).split() == ["id", "message", "loss"]
    assert click.unstyle(row).split() == [shown[0].id.short, "a", "1.5"]
