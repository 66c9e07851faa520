"""Damage: every single byte of a small store, action × place; found, named, never served."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import MStoreError
from mstore.maintain.check_packs import check_pack_file
from mstore.maintain.findings import Findings
from mstore.workspace import Head
from tests.conftest import contents, write_model


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for seed in (1, 2):
        write_model(tmp_path / "out", seed=seed, elements=1500)
        repo.commit(message=f"version {seed}", metrics={"loss": 1.0 / seed})
    repo.note("HEAD", metrics={"late": 1.0})
    repo.close()
    return repo


def _fresh(root: Path) -> Repository:
    shutil.rmtree(root / ".mstore/cache", ignore_errors=True)
    return mstore.open(root)


def _packs(root: Path) -> list[Path]:
    return sorted((root / ".mstore/store/packs").rglob("*.pack"))


def test_every_flipped_byte_of_every_pack_is_found(repository: Repository, tmp_path: Path) -> None:
    """All of them, by the check of the pack; one in fifty by a whole fsck and by reads."""
    right = contents(tmp_path / "out")
    total = 0
    for pack in _packs(tmp_path):
        original = pack.read_bytes()
        pack.chmod(0o644)
        name, store = bytes.fromhex(pack.stem), _fresh(tmp_path).store
        for place in range(len(original)):
            damaged = bytearray(original)
            damaged[place] ^= 0x10
            pack.write_bytes(damaged)
            findings = Findings()
            check_pack_file(store, name, findings, quick=False)
            assert findings.problems, f"byte {place} of {pack.name}"
            if total % 50 == 0:
                repo = _fresh(tmp_path)
                assert not repo.fsck().ok
                for file in right:
                    # The right bytes or an error, never wrong ones.
                    with contextlib.suppress(MStoreError):
                        assert repo.read_file("main", file) == right[file]
                repo.close()
            total += 1
        store.close()
        pack.write_bytes(original)
    assert total == sum(p.stat().st_size for p in _packs(tmp_path)) > 5000
    assert _fresh(tmp_path).fsck().ok


def test_quick_finds_flips_of_stored_bytes(repository: Repository, tmp_path: Path) -> None:
    pack = max(_packs(tmp_path), key=lambda p: p.stat().st_size)
    original = pack.read_bytes()
    pack.chmod(0o644)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(original), 60):
        damaged = bytearray(original)
        damaged[place] ^= 1
        pack.write_bytes(damaged)
        repo = _fresh(tmp_path)
        assert not repo.fsck(quick=True).ok, f"byte {place}"
        repo.close()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"tail")


def _delete(path: Path) -> None:
    path.unlink()


def _swap(path: Path) -> None:
    other = next(p for p in path.parent.parent.rglob("*.pack") if p != path)
    path.write_bytes(other.read_bytes())


ACTIONS: list[Callable[[Path], None]] = [_cut, _halve, _empty, _zero, _grow, _delete, _swap]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_actions_on_packs(
    repository: Repository, tmp_path: Path, action: Callable[[Path], None], which: int
) -> None:
    pack = _packs(tmp_path)[which]
    pack.chmod(0o644)
    action(pack)
    repo = _fresh(tmp_path)
    found = repo.fsck()
    assert not found.ok
    if action is not _delete:
        assert any(pack.name[:12] in p.where for p in found.problems), found.problems
    # The rest is readable: whatever has no problem of its own comes back right.
    for entry in _walk(repo):
        for path in ("config.json", "model.safetensors"):
            try:
                repo.read_file(entry, path)
            except MStoreError:
                continue


def _walk(repo: Repository) -> list[str]:
    try:
        return [e.id.hex for e in repo.log()]
    except MStoreError:
        return []


@pytest.mark.parametrize("action", [_cut, _empty, _zero, _grow])
def test_actions_on_refs(
    repository: Repository, tmp_path: Path, action: Callable[[Path], None]
) -> None:
    """Bad input 36: fsck says so, and offers the value that the reflog has."""
    before = repository.resolve("main")
    action(tmp_path / ".mstore/store/refs/heads/main")
    repo = _fresh(tmp_path)
    found = repo.fsck()
    (problem,) = [p for p in found.problems if p.where == "refs/heads/main"]
    assert problem.hint is not None and before.hex in problem.hint
    assert f"branch -f main {before.short}" in problem.hint
    repo.workspace.set_head(Head(commit=before))  # type: ignore[union-attr]
    repo.make_branch("main", before, force=True)
    assert repo.resolve("main") == before
    assert repo.fsck().ok


def test_what_is_affected_is_named(repository: Repository, tmp_path: Path) -> None:
    repo = _fresh(tmp_path)
    pack = max(_packs(tmp_path), key=lambda p: p.stat().st_size)
    frames = repo.store.footer(bytes.fromhex(pack.stem))
    frame = max(frames, key=lambda f: f.stored_size)
    raw = bytearray(pack.read_bytes())
    raw[frame.block_offsets[0] + 5] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(raw)
    repo.close()
    found = _fresh(tmp_path).fsck()
    uses = [use for p in found.problems for use in p.affects]
    assert any("model.safetensors tensor 'embed.weight'" in use for use in uses), found.problems
