"""Conditions: what is typed after `--where`, and the versions of which it holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.api.repository import Repository
from mstore.errors import UsageError
from mstore.history.query.where import parse


def _found(repo: Repository, where: str, **options: Any) -> list[str]:
    return [e.message for e in repo.log(where=where, **options)]


@pytest.mark.parametrize(
    ("where", "messages"),
    [
        ("eval_loss < 2", ["s5", "s3"]),
        ("eval_loss <= 2 and r <= 4", ["s3", "s2"]),
        ("eval_loss == nan", ["s4"]),
        ("not eval_loss < 2 and step > 1", ["s4", "s2"]),
        ('"rewards/accuracies" > 0.35', ["s5", "s4"]),
        ("r in (8, 16) or step == 1", ["s5", "s4", "s1"]),
        ("note == 'base''line'", ["s1"]),
        ("note contains 'tun' and (step == 2 or step == 3)", ["s3", "s2"]),
        ("nothing_here == none and step < 2", None),
        ("recorded.trainer.global_step == 5", ["s5"]),
    ],
)
def test_conditions(repo: Repository, where: str, messages: list[str] | None) -> None:
    if messages is None:
        with pytest.raises(UsageError, match="no version here has 'nothing_here'"):
            _found(repo, where)
    else:
        assert _found(repo, where) == messages


@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except UsageError:
        return
    again = parse(str(condition))
    assert str(again) == str(condition)
    assert isinstance(condition.holds(lambda name: None), bool)


_CODE = "__import__('os').system('x')"


def test_nothing_is_run() -> None:
    with pytest.raises(UsageError):
        parse(_CODE)


def test_log_loads_the_language_only_for_a_condition(repo: Repository, tmp_path: Path) -> None:
    code = (
        "import sys; from mstore.cli import run; run(sys.argv[1:]);"
        " print('mstore.history.query.where' in sys.modules)"
    )
    for more, loaded in (((), "False"), (("--where", "step > 4"), "True")):
        done = subprocess.run(
            [sys.executable, "-c", code, "log", "-n", "1", *more],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == loaded
