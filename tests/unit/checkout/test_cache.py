"""`path` gives a folder that stays, read-only, until nobody uses it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from tests.conftest import contents, write_adapter


@pytest.fixture
def cached(tmp_path: Path) -> Repository:
    """Four versions of an adapter with its training state, and a cache of our own."""
    repo = mstore.init(tmp_path)
    for step in range(4):
        write_adapter(tmp_path / "out", seed=step)
        (tmp_path / "out/optimizer.pt").write_bytes(bytes([step]) * 5000)
        (tmp_path / "out/trainer_state.json").write_text(f'{{"global_step": {step}}}')
        repo.commit(tmp_path / "out", message=f"step {step}")
    return mstore.open(tmp_path, cache=tmp_path / "cache")


def test_a_path_is_the_version_read_only(cached: Repository, tmp_path: Path) -> None:
    folder = cached.path("HEAD")
    want = {f.path: cached.read_file("HEAD", f.path) for f in cached.manifest("HEAD").files}
    assert contents(folder) == want
    assert all(p.stat().st_mode & 0o222 == 0 for p in folder.rglob("*") if p.is_file())
    before = folder.stat().st_ino
    assert cached.path("main") == folder and folder.stat().st_ino == before, "written once"
    assert mstore.open(tmp_path, cache=tmp_path / "cache").path("HEAD") == folder


def test_a_folder_that_lost_a_file_is_made_again(cached: Repository, tmp_path: Path) -> None:
    folder = cached.path("HEAD")
    cached.close()
    (folder / "optimizer.pt").unlink()
    assert (cached.path("HEAD") / "optimizer.pt").exists()


def test_the_oldest_that_nobody_uses_goes(cached: Repository, tmp_path: Path) -> None:
    one = cached.path("HEAD~1")
    cached.close()
    two = cached.path("HEAD~2")
    assert one.exists()
    three = cached.path("HEAD~3", limit_bytes=1)
    assert not one.exists(), "nobody uses it"
    assert two.exists() and three.exists(), "in use, and asked for"
    cached.close()
    cached.path("HEAD", limit_bytes=1)
    assert not two.exists() and not three.exists()


def _ask(root: str, answers: Any) -> None:
    repo = mstore.open(root, cache=Path(root) / "cache")
    folder = repo.path("HEAD", limit_bytes=1)
    answers.put((str(folder), len(contents(folder))))
    repo.close()


def test_many_processes_at_once(cached: Repository, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [context.Process(target=_ask, args=(str(tmp_path), answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert len(set(found)) == 1 and found[0][1] == 4
