"""Versions as lines: aligned, or one each."""

from __future__ import annotations

from mstore.render.log import fact_line, listing_lines, one_line
from tests.unit.render.entries import entries


def test_lines_are_aligned_and_columns_without_anything_left_out() -> None:
    shown = entries(("a longer message", (1,)), ("short", ()), metrics={"loss": 1.5})
    lines = list(listing_lines(iter(shown), ("id", "message", "loss", "nothing"), chosen=False))
    assert lines[0].split() == ["id", "message", "loss"]
    assert len({line.rindex("1.5") for line in lines[1:]}) == 1
    chosen = list(listing_lines(iter(shown), ("id", "nothing"), chosen=True))
    assert chosen[0].split() == ["id", "nothing"]


def test_one_line_has_id_names_and_what_is_wrong() -> None:
    health = {"health": {"not_finite": "x"}}
    (entry,) = entries(("one\x1b\nmore", ()), refs=("HEAD", "main"), metadata=health)
    assert one_line(entry) == f"{entry.id.short} (HEAD, main) ! NaN · one\\x1b"


def test_facts_that_the_message_says_are_not_said_twice() -> None:
    (entry,) = entries(("step 3 · loss 1.5", ()), metrics={"loss": 1.5, "eval_loss": 2.0})
    assert fact_line(entry).endswith("loss 1.5  eval loss 2")
