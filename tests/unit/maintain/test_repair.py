"""Repair: what is whole is kept, what is damaged is put aside, what is lost may come from elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import Conflict
from mstore.maintain.repair import plan_repair, run_repair
from mstore.objects import (
    Commit,
    CommitId,
    Kind,
    LayoutId,
    Manifest,
    ManifestFile,
    ManifestId,
    Time,
    object_id,
)
from mstore.store import Store
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.conftest import write_model


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two versions."""
    repo = mstore.init(tmp_path / "here")
    for seed in (1, 2):
        repo.commit(write_model(tmp_path / "out", seed=seed, elements=3000), message=f"v{seed}")
    return repo


def _damage_a_blob(repo: Repository) -> Path:
    """Flip a byte in the largest object of the largest pack."""
    path = max(repo.store.path.rglob("*.pack"), key=lambda path: path.stat().st_size)
    name = bytes.fromhex(path.stem)
    frame = max(repo.store.footer(name), key=lambda frame: frame.stored_size)
    content = bytearray(path.read_bytes())
    content[frame.block_offsets[0] + 10] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    return path


def test_a_sound_store_needs_nothing(repo: Repository) -> None:
    plan = plan_repair(repo.context)
    assert not plan and plan.found.ok
    done = run_repair(repo.context, plan)
    assert done.found.ok


def test_whole_objects_of_a_damaged_pack_are_kept(repo: Repository) -> None:
    path = _damage_a_blob(repo)
    plan = plan_repair(repo.context)
    (pack,) = plan.packs
    assert pack.pack.hex() == path.stem and len(pack.whole) == pack.objects - 1
    assert len(plan.lost) == 1 and plan.lost[0].hex in json.dumps(plan.to_dict())
    assert "would keep 6 of 7 objects" in str(plan)
    run_repair(repo.context, plan)
    assert not path.exists() and (repo.store.path / pack.quarantine).exists()
    assert [e.message for e in repo.log()] == ["v2", "v1"]
    assert not repo.fsck().ok, "what is lost is still lost"


def test_what_is_lost_comes_from_a_store_that_has_it(repo: Repository, tmp_path: Path) -> None:
    shutil.copytree(repo.store.path, tmp_path / "copy")
    _damage_a_blob(repo)
    source = Store.at(tmp_path / "copy")
    plan = plan_repair(repo.context, source=source)
    assert plan.lost == () and len(plan.fetched) == 1
    run_repair(repo.context, plan, source=source)
    assert repo.fsck().ok


def test_a_ref_gets_what_its_reflog_has(repo: Repository) -> None:
    tip = repo.resolve("main")
    (ref,) = repo.store.path.glob("refs/heads/main*")
    ref.write_bytes(b"noise")
    plan = plan_repair(repo.context)
    assert [(r.ref, r.target) for r in plan.refs] == [("heads/main", tip)]
    run_repair(repo.context, plan)
    assert repo.resolve("main") == tip and repo.fsck().ok


def test_a_plan_of_a_store_that_changed_is_refused(repo: Repository) -> None:
    path = _damage_a_blob(repo)
    plan = plan_repair(repo.context)
    path.unlink()
    with pytest.raises(Conflict):
        run_repair(repo.context, plan)


@pytest.mark.parametrize("kind", [Kind.MANIFEST, Kind.LAYOUT, Kind.COMMIT])
def test_what_another_store_has_as_noise_too_stays_lost(
    repo: Repository, tmp_path: Path, kind: Kind
) -> None:
    """Its id and its sums are right: whoever wrote it can compute those."""
    noise = object_id(kind, b"noise")
    with repo.store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add_bytes(noise, b"noise")
        upload.publish(pack_key(writer.seal()))
    files = (ManifestFile("f", "other", 0, (), noise if isinstance(noise, LayoutId) else None),)
    manifest = Manifest(files)
    parents = (noise,) if isinstance(noise, CommitId) else ()
    commit = Commit(
        parents, noise if isinstance(noise, ManifestId) else manifest.id, "Ada", Time(0, 0), "planted"
    )
    with Transaction(repo.store, threads=1) as transaction:
        transaction.put(manifest)
        transaction.put(commit)
        transaction.publish()
    repo.store.refs.move("heads/planted", commit.id, repo.context.move("test", ""), expected=None)
    shutil.copytree(repo.store.path, tmp_path / "copy")
    plan = plan_repair(repo.context, source=Store.at(tmp_path / "copy"))
    assert plan.lost == (noise,) and plan.fetched == () and not plan
