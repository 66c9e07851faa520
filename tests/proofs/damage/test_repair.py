"""fsck --repair: what is whole is kept, what is damaged is put aside, what is lost is fetched."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.objects import CommitId
from mstore.store.pack import read_footer, scan_frames
from mstore.store.pack_keys import name_of_key
from tests.conftest import contents, save_tensors, write_model


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(60_000).astype(np.float32)
    for version in range(3):
        write_model(tmp_path / "out", seed=version, elements=3000)
        save_tensors(tmp_path / "out/second.safetensors", {"w": weight})
        repo.commit(message=f"v{version}", metrics={"loss": 1.0})
        weight = weight * (1 + rng.standard_normal(60_000).astype(np.float32) * 1e-4)
    repo.note("HEAD", metrics={"late": 1.0})
    repo.make_tag("v", message="a tag")
    shutil.copytree(repo.store.path, tmp_path / "backup")
    return repo


def _packs(repo: Repository) -> list[Path]:
    return sorted(repo.store.path.glob("packs/*/*.pack"), key=lambda p: p.stat().st_size)


def _damage(path: Path, place: int, content: bytes = b"\xff\x00\xff") -> None:
    path.chmod(0o644)
    damaged = bytearray(path.read_bytes())
    place %= len(damaged)
    changed = bytes(b ^ 0xA5 for b in damaged[place : place + len(content)])
    damaged[place : place + len(content)] = changed
    path.write_bytes(damaged)


def _versions(repo: Repository) -> dict[CommitId, dict[str, bytes]]:
    return {
        e.id: {f.path: repo.read_file(e.id, f.path) for f in repo.manifest(e.id).files}
        for e in repo.log()
    }


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.8, 0.97, 0.9999])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_with_a_backup_all_comes_back(
    repo: Repository, tmp_path: Path, place: float, which: int
) -> None:
    before = _versions(repo)
    pack = _packs(repo)[which]
    _damage(pack, int(place * pack.stat().st_size))
    assert not repo.fsck().ok
    repaired = repo.repair(source=tmp_path / "backup")
    assert repaired.found.ok and repaired.done, repaired.found.problems
    assert (repo.store.path / "quarantine" / pack.name).exists()
    assert _versions(mstore.open(tmp_path)) == before
    # Repairing what is whole changes nothing.
    again = repo.repair(source=tmp_path / "backup")
    assert again.found.ok and again.done == ()


def test_without_a_backup_the_rest_stays_readable(repo: Repository, tmp_path: Path) -> None:
    before = _versions(repo)
    segments = repo.manifest("HEAD~2").by_path["second.safetensors"].segments
    blob = max(segments, key=lambda s: s.length).blob
    location = repo.store.catalog.find(blob)[0]
    _, frames = read_footer(repo.store.backend, location.pack)
    pack = repo.store.path / f"packs/{location.pack[:1].hex()}/{location.pack.hex()}.pack"
    _damage(pack, frames[location.frame].block_offsets[0] + 50)
    repaired = repo.repair()
    assert not repaired.found.ok
    text = "\n".join(u for p in repaired.found.problems for u in p.affects)
    assert "second.safetensors tensor 'w'" in text
    for id, files in before.items():
        for path, content in files.items():
            if path != "second.safetensors":
                assert repo.read_file(id, path) == content
    packs = _packs(repo)
    assert repo.repair().done == () and _packs(repo) == packs, "a second repair has nothing to do"
    # The backup turns up later.
    assert repo.repair(source=tmp_path / "backup").found.ok
    assert _versions(repo) == before


def test_a_lost_pack_comes_from_a_backup_with_all_its_history(repo: Repository, tmp_path: Path) -> None:
    before = _versions(repo)
    for pack in _packs(repo):
        pack.unlink()
    repaired = repo.repair(source=tmp_path / "backup")
    assert repaired.found.ok, repaired.found.problems
    assert _versions(mstore.open(tmp_path)) == before
    assert repo.log()[0].metrics["late"] == 1.0


def test_a_cut_pack_is_read_from_its_front(repo: Repository) -> None:
    pack = _packs(repo)[-1]
    name = name_of_key(f"packs/{pack.parent.name}/{pack.name}")
    assert name is not None
    _, frames = read_footer(repo.store.backend, name)
    found = list(scan_frames(repo.store.backend, name))
    assert [(f.offset, f.head, f.table) for f in found] == [(f.offset, f.head, f.table) for f in frames]
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[: frames[-1].offset + 9])
    assert [f.head for f in scan_frames(repo.store.backend, name)] == [f.head for f in frames[:-1]]
    repo.store.backend.close()
    repaired = repo.repair()
    assert any(f"{len(frames) - 1} of {len(frames) - 1} objects" in line for line in repaired.done)


@pytest.mark.parametrize("content", [b"", b"\0" * 90, b"mstore-ref-1 torn"])
def test_a_damaged_ref_takes_what_its_reflog_has(repo: Repository, content: bytes) -> None:
    at = repo.resolve("main")
    (repo.store.path / "refs/heads/main").write_bytes(content)
    assert not repo.fsck().ok
    repaired = repo.repair()
    assert repaired.found.ok and repo.resolve("main") == at
    assert repo.reflog("main")[0].move.action == "fsck"


def test_a_damaged_reflog_loses_the_damaged_records_alone(repo: Repository) -> None:
    (segment,) = (repo.store.path / "logs/heads/main").iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + b"torn" + lines[1][20:] + lines[2])
    assert not repo.fsck().ok
    assert repo.repair().found.ok
    assert segment.read_bytes() == lines[0] + lines[2]
    (aside,) = (repo.store.path / "quarantine/logs/heads/main").iterdir()
    assert b"torn" in aside.read_bytes()


def test_what_lies_in_the_trash_is_not_lost(repo: Repository) -> None:
    name = repo.store.catalog.find(repo.resolve("main"))[0].pack
    repo.store.soft_delete([name])
    assert repo.fsck().ok
    assert repo.store.trash() == {}


def test_on_the_command_line(mstore: Any, workshop: Path) -> None:
    mstore("init")
    write_model(workshop / "out", seed=1)
    mstore("commit", "out", "-m", "one")
    shutil.copytree(workshop / ".mstore/store", workshop / "backup")
    (pack,) = workshop.glob(".mstore/store/packs/*/*.pack")
    _damage(pack, 3000)
    assert "DAMAGED" in mstore("fsck", code=4)[1]
    assert "cannot be --quick" in mstore("fsck", "--repair", "--quick", code=2)[2]
    assert "no store" in mstore("fsck", "--from", "nowhere", code=3)[2]
    _, out, _ = mstore("fsck", "--repair", code=4)
    assert "repaired: pack" in out and "needed by" in out
    _, out, _ = mstore("fsck", "--from", "backup")
    assert "took 1 object from" in out and "all well" in out
    files = contents(workshop / "out")
    mstore("checkout", "HEAD", "--to", "again")
    assert contents(workshop / "again") == files
