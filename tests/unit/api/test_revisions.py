"""What a user typed, read without any store."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.revisions import parse, parse_side
from mstore.errors import UsageError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, which is home too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_side_is_a_folder_if_it_can_be_nothing_else() -> None:
    assert parse_side("./main") == Path("./main")
    assert parse_side("~/out") == Path.home() / "out"


def test_a_side_that_may_be_a_version_is_one_whatever_lies_here() -> None:
    Path("main").mkdir()
    assert parse_side("main") == parse("main") and str(parse_side("main~1")) == "main~1"


def test_what_is_no_revision_is_a_folder_if_it_is_there() -> None:
    with pytest.raises(UsageError):
        parse("x~y")
    with pytest.raises(UsageError):
        parse_side("x~y")
    Path("x~y").mkdir()
    assert parse_side("x~y") == Path("x~y")
    with pytest.raises(UsageError):
        parse("x~y")
