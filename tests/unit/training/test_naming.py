"""Branch names of runs: always legal, never in anybody's way."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.objects import folded
from mstore.training.naming import branch_name, free_name, wanted_name


def legal(name: str) -> bool:
    """docs/format.md section 7, written a second time."""
    if name in ("HEAD", "@") or ".." in name or "@{" in name:
        return False
    if re.search(r'[\s~^:?*\[\\"<>|\x00-\x1f\x7f]', name):
        return False
    return all(
        p and p[0] not in ".-" and not p.endswith((".", ".lock")) and len(p.encode()) <= 255
        for p in name.split("/")
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("out", "out"),
        ("lr=2e-4", "lr=2e-4"),
        ("exp/lr 1", "exp/lr-1"),
        ("../up", "up"),
        ("-x", "x"),
        ("a..b", "a.b"),
        ("x.lock", "x"),
        ("x.lock.lock.", "x"),
        ("HEAD", "run"),
        ("@", "run"),
        ("", "run"),
        ("///", "run"),
        ("a@{1}", "a@-1}"),
        ("run\x1b[1m\r", "run--1m"),
        ("naïve", "naïve"),
        ("\udcff", "run"),
    ],
)
def test_any_text_gives_a_legal_name(text: str, name: str) -> None:
    assert branch_name(text) == name
    assert legal(name)


@given(st.text())
def test_every_text_gives_a_legal_name(text: str) -> None:
    assert legal(branch_name(text))


def test_name_is_the_argument_then_the_runs_then_the_folders() -> None:
    assert wanted_name("mine", "theirs", "/tmp/out") == "mine"
    assert wanted_name(None, "theirs", "/tmp/out") == "theirs"
    assert wanted_name(None, None, "/tmp/out/") == "out"
    # Older versions of transformers put the path there themselves.
    assert wanted_name(None, "/tmp/out", "/tmp/out/") == "out"
    assert wanted_name(None, "./a/b", "a/b") == "b"


@pytest.mark.parametrize(
    ("wanted", "taken", "free"),
    [
        ("r8", [], "r8"),
        ("r8", ["r4"], "r8"),
        ("r8", ["r8"], "r8-2"),
        ("r8", ["r8", "r8-2", "r8-3"], "r8-4"),
        ("r8", ["R8"], "r8-2"),  # a disk that ignores case has one file for both
        ("out", ["out/run-0"], "out-2"),
        ("out/run-0", ["out"], "out-2/run-0"),
        ("out/run-0", ["out/run-0"], "out/run-0-2"),
        ("out/run-1", ["out/run-0"], "out/run-1"),
        ("a/b/c", ["a/b"], "a/b-2/c"),
    ],
)
def test_a_name_that_stands_in_the_way_gets_a_number(wanted: str, taken: list[str], free: str) -> None:
    assert free_name(wanted, taken) == free


_parts = st.sampled_from(["a", "A", "b", "a-2"])
_names = st.lists(_parts, min_size=1, max_size=3).map("/".join)


@given(_names, st.lists(_names, max_size=8))
def test_a_free_name_collides_with_nothing(wanted: str, taken: list[str]) -> None:
    name = folded(free_name(wanted, taken))
    for other in map(folded, taken):
        assert name != other
        assert not name.startswith(f"{other}/")
        assert not other.startswith(f"{name}/")
