"""fsck: everything in the store is what was stored, and all there; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.maintain.fsck import FsckResult, fsck
from tests.conftest import write_model
from tests.plans import everything


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two versions, a tag with a message, and a note."""
    repo = mstore.init(tmp_path)
    for seed in (1, 2):
        repo.commit(write_model(tmp_path / "out", seed=seed, elements=3000), message=f"v{seed}")
    repo.make_tag("v1", "main~1", message="said")
    repo.note("main", metrics={"late": 1.0})
    return repo


def _rewrite(path: Path, change: Callable[[bytearray], object]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.chmod(0o644)
    path.write_bytes(content)


def _flip(path: Path, position: int) -> None:
    _rewrite(path, lambda content: content.__setitem__(position, content[position] ^ 1))


def _whats(result: FsckResult) -> str:
    return "\n".join(f"{p.where}: {p.what}" for p in result.problems)


def test_a_sound_store_is_counted_and_left_as_it_is(repo: Repository, tmp_path: Path) -> None:
    before = everything(tmp_path)
    told: list[str] = []
    for quick in (False, True):
        found = fsck(repo.context, quick=quick, progress=lambda what, done, total: told.append(what))
        assert found.ok and found.warnings == () and found.quick is quick
        assert (found.commits, found.packs) == (2, 4) and found.objects >= 10 and found.bytes_read > 0
    assert told and everything(tmp_path) == before


@pytest.mark.parametrize("quick", [True, False])
def test_a_flipped_byte_of_a_pack_names_the_pack_and_who_needs_it(
    repo: Repository, quick: bool
) -> None:
    largest = max(repo.store.path.rglob("*.pack"), key=lambda path: path.stat().st_size)
    _flip(largest, 5000)
    found = fsck(repo.context, quick=quick)
    assert not found.ok and largest.stem[:12] in _whats(found)
    assert any(problem.affects for problem in found.problems)


def test_a_pack_that_is_gone_is_missed_by_its_versions(repo: Repository) -> None:
    max(repo.store.path.rglob("*.pack"), key=lambda path: path.stat().st_size).unlink()
    found = fsck(repo.context)
    assert not found.ok and found.problems
    assert any(
        "model.safetensors" in text for p in found.problems for text in (p.what, p.where, *p.affects)
    )


def test_a_torn_ref_and_a_torn_reflog_are_named(repo: Repository) -> None:
    (ref,) = repo.store.path.glob("refs/heads/main*")
    _rewrite(ref, lambda content: content.__delitem__(slice(5, None)))
    found = fsck(repo.context)
    assert "main" in _whats(found)
    (log,) = (p for p in repo.store.path.glob("logs/tags/**/*") if p.is_file())
    _flip(log, 10)
    assert "v1" in _whats(fsck(repo.context))


def test_a_file_that_is_no_pack_is_unusual_and_harmless(repo: Repository) -> None:
    folder = next(repo.store.path.rglob("*.pack")).parent
    (folder / "notes.txt").write_text("mine")
    found = fsck(repo.context)
    assert found.ok
    assert any("notes.txt" in p.where for p in found.warnings)
