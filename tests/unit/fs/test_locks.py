"""Kernel locks on files: who may do something, and whether an owner is alive."""

from __future__ import annotations

from pathlib import Path

from mstore.fs.locks import locks_work


def test_here_locks_work(tmp_path: Path) -> None:
    assert locks_work(tmp_path)
    assert not locks_work(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
