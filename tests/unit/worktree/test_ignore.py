"""Which files of a model directory are left out of commits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pathspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.errors import InvalidInput
from mstore.worktree.ignore import DEFAULTS, IGNORE_FILE, rules_for


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [
        ("model.safetensors", False, False),
        (".mstore", True, True),
        ("checkpoint-12", True, True),
        ("deep/checkpoint-12", True, True),
        ("checkpoint-12", False, False),
        ("runs", True, True),
        ("runs", False, False),
        ("a.tmp", False, True),
        ("a.tmp", True, True),
        ("deep/.DS_Store", False, True),
        ("a.lock.json", False, False),
        ("notes~", False, True),
    ],
)
def test_defaults_hold_with_and_without_a_file_of_rules(
    tmp_path: Path, path: str, is_folder: bool, left_out: bool
) -> None:
    assert rules_for(tmp_path)(path, is_folder) is left_out
    (tmp_path / IGNORE_FILE).write_text("# nothing of ours\n")
    assert rules_for(tmp_path)(path, is_folder) is left_out


NAMES = st.sampled_from(
    ["a", "a.tmp", "runs", "x~", ".git", "checkpoint-1", "wandb.json", ".cache", "b.swp"]
)


@given(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.booleans())
def test_the_short_way_and_the_full_grammar_agree(path: str, is_folder: bool) -> None:
    """A path whose folders are kept: the scan asks about those first."""
    plain = rules_for(Path("/nonexistent"))
    full = pathspec.GitIgnoreSpec.from_lines(DEFAULTS)
    above = path.split("/")[:-1]
    if not any(plain("/".join(above[:i]), True) for i in range(1, len(above) + 1)):
        assert plain(path, is_folder) == full.match_file(path + "/" * is_folder)


def test_later_lines_take_back_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / IGNORE_FILE).write_text("*.txt\n!keep.txt\n!runs/\n/root.json\n")
    rules = rules_for(tmp_path)
    assert rules("a.txt", False) and rules("deep/a.txt", False) and not rules("keep.txt", False)
    assert not rules("runs", True) and rules("wandb", True)
    assert rules("root.json", False) and not rules("deep/root.json", False)


def _link(path: Path) -> None:
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda path: path.mkdir(), "is a folder or special file"),
        (os.mkfifo, "is a FIFO"),
        (_link, "is a symbolic link"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (lambda path: path.write_bytes(b"a\n" * (1 << 20)), "is larger than"),
        (lambda path: path.write_text("!"), "a pattern cannot be read"),
    ],
)
def test_a_file_of_rules_that_cannot_be_read_is_refused_and_named(
    tmp_path: Path, make: Callable[[Path], object], rule: str
) -> None:
    make(tmp_path / IGNORE_FILE)
    with pytest.raises(InvalidInput, match=rule) as met:
        rules_for(tmp_path)
    assert met.value.where == str(tmp_path / IGNORE_FILE)
