"""gc frees what nothing needs, really, and nothing else; whoever leans on something keeps it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mstore
from mstore.api.repository import Repository
from mstore.backend import Entry
from mstore.backend.local import LocalBackend
from mstore.errors import Conflict, Corrupt, NotFound, ObjectRemoved, StorageFailed, UsageError
from mstore.maintain import gc as module
from mstore.maintain.gc import GcPlan
from mstore.maintain.gc_run import GcResult
from mstore.objects import CommitId, ManifestFile, ManifestId, ObjectId
from mstore.store import Store
from mstore.store.blob_source import BlobSource
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.conftest import contents, save_tensors, write_model

DAY_NS = 86_400 * 10**9


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Three versions on main, and a branch `try` of three more that begins at the first."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    ids = []
    for seed in range(3):
        write_model(tmp_path / "out", seed=seed)
        ids.append(repo.commit(message=f"main {seed}").id)
    for seed in range(10, 13):
        write_model(tmp_path / "out", seed=seed)
        start = str(ids[0]) if seed == 10 else None
        repo.commit(tmp_path / "out", message=f"try {seed}", branch="try", start=start)
    repo.checkout("main", force=True)
    return repo


def _bytes_on_disk(repo: Repository) -> int:
    return sum(p.stat().st_size for p in repo.store.path.rglob("*") if p.suffix in (".pack", ".tmp"))


def _later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    real = time.time_ns()

    class Clock:
        @staticmethod
        def time_ns() -> int:
            return real + int(days * DAY_NS)

        @staticmethod
        def time() -> float:
            return (real + days * DAY_NS) / 1e9

    monkeypatch.setattr(module, "time", Clock)
    monkeypatch.setattr("mstore.maintain.gc_run.time", Clock)
    monkeypatch.setattr("mstore.store.trash.time", Clock)


def _readable(repo: Repository, *revisions: str) -> None:
    for revision in revisions:
        for file in repo.manifest(revision).files:
            assert len(repo.read_file(revision, file.path)) == file.size_bytes


def test_what_a_name_reaches_is_never_planned(repo: Repository) -> None:
    assert not repo.plan_gc() and not repo.plan_gc(now=True)
    assert repo.gc(now=True).removed == 0
    _readable(repo, "main", "main~2", "try", "try~2")


def test_a_deleted_branch_is_kept_by_its_reflog_for_thirty_days(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = repo.resolve("try")
    repo.delete_branch("try")
    assert not repo.plan_gc()
    _later(monkeypatch, 29)
    assert not repo.plan_gc()
    _later(monkeypatch, 31)
    plan = repo.plan_gc()
    assert [c.message for c in plan.commits] == ["try 10", "try 11", "try 12"]
    assert {c.branch for c in plan.commits} == {"try"} == set(plan.branches())
    assert plan.commits[-1].id == tip
    assert sum(c.freed_bytes for c in plan.commits) == plan.freed_bytes > 0
    # Into the trash, then after a day off the disk.
    before = _bytes_on_disk(repo)
    done = repo.gc(plan)
    assert done.removed == 3 and done.freed_bytes == 0 and done.trash_bytes > plan.freed_bytes
    assert _bytes_on_disk(repo) == before
    _later(monkeypatch, 33)
    done = repo.gc()
    assert done.freed_bytes >= plan.freed_bytes and done.trash_bytes == 0
    assert _bytes_on_disk(repo) == before - done.freed_bytes
    assert repo.fsck().ok
    _readable(repo, "main", "main~1", "main~2")


def test_now_frees_what_it_says(repo: Repository) -> None:
    repo.delete_branch("try")
    plan = repo.plan_gc(now=True)
    before = _bytes_on_disk(repo)
    done = repo.gc(plan)
    assert done.freed_bytes == before - _bytes_on_disk(repo) >= plan.freed_bytes > before * 0.4
    assert repo.fsck().ok and not repo.plan_gc(now=True)


def test_undo_of_what_is_gone_is_refused_and_changes_nothing(repo: Repository) -> None:
    repo.delete_branch("try")
    repo.gc(now=True)
    with pytest.raises(NotFound, match="no longer whole"):
        repo.undo()
    assert list(repo.branches()) == ["main"]
    assert repo.fsck().ok


@pytest.fixture
def away(repo: Repository, tmp_path: Path) -> Iterator[tuple[Store, Store, CommitId]]:
    """A store in which every pack was put away, one that has not noticed, and a commit in both."""
    at = repo.store.path
    mine = Store.at(at, catalog_path=lambda id: tmp_path / "mine.sqlite")
    other = Store.at(at, catalog_path=lambda id: tmp_path / "other.sqlite")
    tip = repo.resolve("main")
    other.manifest(other.commit(tip).manifest)  # Its footer is kept in memory.
    mine.soft_delete(mine.pack_names())
    assert mine.pack_names() == []
    yield mine, other, tip
    assert mine.pack_names() and repo.fsck().ok
    mine.close()
    other.close()


def test_a_reader_whose_pack_went_under_its_eyes_finds_it_in_the_trash(
    away: tuple[Store, Store, CommitId],
) -> None:
    """It had read the pack before: a copy that went is asked for again once it is back."""
    _, reader, tip = away
    assert isinstance(reader.backend, LocalBackend)
    reader.backend.close()  # An open pack can be read wherever it lies.
    assert reader.manifest(reader.commit(tip).manifest).files


@pytest.mark.parametrize("ask", ["get", "lacks", "short"])
def test_what_another_fetches_between_two_looks_is_found(
    away: tuple[Store, Store, CommitId], monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """In the trash while the packs were looked at, in its place while the trash was."""
    mine, other, tip = away
    for missing in range(2):  # Asked for what is nowhere, the catalog was made anew already.
        with pytest.raises(NotFound):
            mine.get(ManifestId(bytes([missing]) * 32))
    assert mine.pack_names() == []
    fetch = mine._fetch

    def late(wanted: Callable[[ObjectId], bool]) -> None:
        other.undelete(lambda id: True)
        assert not other.trash()
        fetch(wanted)

    monkeypatch.setattr(mine, "_fetch", late)
    if ask == "get":
        assert mine.get(tip)
    elif ask == "lacks":
        assert mine.lacks([(tip, 255)]) == []
    else:
        assert mine.commits_beginning_with(tip.hex[:12]) == [tip]


@pytest.mark.parametrize("was", ["known", "listed"])
def test_a_look_during_which_an_object_moved_to_a_folder_seen_before_is_not_the_last(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was: str
) -> None:
    """repack writes it there and takes the old pack away, while a reader is between the two."""
    at = repo.store.path
    store = Store.at(at, catalog_path=lambda id: tmp_path / "own.sqlite")
    tip = repo.resolve("main")
    packs = {path: path.read_bytes() for path in at.glob("packs/*/*.pack")}
    holder = next(at / pack_key(r.pack) for r in store.copies(tip))
    assert repo.repack().written == 1
    (merged,) = at.glob("packs/*/*.pack")
    seen_first, seen_last = sorted((holder, merged))
    packs[merged] = merged.read_bytes()
    seen_first.unlink(missing_ok=True)
    seen_last.write_bytes(packs[seen_last])
    store.rebuild()
    assert store.has(tip)
    if was == "listed":
        store.catalog.reset()
        assert isinstance(store.backend, LocalBackend)
        store.backend.close()  # An open pack can be read even when it is gone.
    listed = store.backend.list

    def moving(folder: str) -> Iterator[Entry]:
        before = list(listed(folder))
        if at / folder == seen_last.parent and seen_last.exists():
            seen_first.write_bytes(packs[seen_first])
            seen_last.unlink()
        return iter(before if was == "listed" else list(listed(folder)))

    monkeypatch.setattr(store.backend, "list", moving)
    store.refresh()
    assert not seen_last.exists() and store.has(tip)
    store.close()


@pytest.mark.parametrize("ask", ["undo", "branch", "short", "checkout"])
def test_what_lies_in_the_trash_comes_back_when_asked_for(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ask: str
) -> None:
    tip = repo.resolve("try")
    files = {f.path: repo.read_file("try", f.path) for f in repo.manifest("try").files}
    repo.delete_branch("try")
    _later(monkeypatch, 31)
    assert repo.gc().removed == 3
    assert not repo.store.catalog.has(tip)
    if ask == "undo":
        repo.undo()
    elif ask == "branch":
        repo.make_branch("again", tip)
    elif ask == "short":
        assert repo.resolve(tip.hex[:9]) == tip
    repo.checkout(tip, to=tmp_path / "back")
    assert contents(tmp_path / "back") == files
    assert repo.fsck().ok


def test_a_detached_head_is_kept_even_from_another_workspace(repo: Repository, tmp_path: Path) -> None:
    other = mstore.init(tmp_path / "other", store=repo.store.path, model_dir=tmp_path / "other/out")
    tip = repo.resolve("try")
    other.checkout(str(tip))
    assert other.head is not None and other.head.commit == tip
    repo.delete_branch("try")
    assert not repo.plan_gc(now=True)
    other.checkout("main")
    assert len(repo.plan_gc(now=True).commits) == 3


def test_a_refused_commit_is_kept_for_thirty_days(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstore.errors import RefMoved
    from mstore.store.refs import Refs

    real = Refs.move

    def first_somebody_else(self: Refs, name: str, *args: object, **named: object) -> object:
        monkeypatch.setattr(Refs, "move", real)
        write_model(tmp_path / "else", seed=77)
        repo.commit(tmp_path / "else", message="first", by_hand=False)
        return real(self, name, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Refs, "move", first_somebody_else)
    write_model(tmp_path / "out", seed=78)
    with pytest.raises(RefMoved) as refused:
        repo.commit(message="second")
    assert refused.value.hint is not None
    short = refused.value.hint.split("stored as ")[1].split(";")[0]
    assert not repo.plan_gc().commits
    assert repo.log(short)[0].message == "second"
    _later(monkeypatch, 31)
    (dead,) = repo.plan_gc().commits
    assert dead.message == "second" and dead.branch == "main"


def test_notes_of_what_goes_go(repo: Repository) -> None:
    tip = repo.resolve("try")
    repo.note("try", metrics={"late": 1.0})
    repo.note("main", metrics={"late": 2.0})
    repo.delete_branch("try")
    repo.gc(now=True)
    assert list(repo.store.refs.names("notes")) == [repo.resolve("main").hex] != [tip.hex]
    assert repo.log("main")[0].metrics["late"] == 2.0


# -- packs


def _drift(repo: Repository, folder: Path, versions: int, *, branch: str) -> None:
    rng = np.random.default_rng(5)
    weight = rng.standard_normal(200_000).astype(np.float32)
    for version in range(versions):
        save_tensors(folder / "model.safetensors", {"w": weight, "n": np.arange(3000) + version})
        start = "" if version == 0 else None
        repo.commit(folder, message=f"v{version}", branch=branch, start=start)
        weight = weight * (1 + rng.standard_normal(200_000).astype(np.float32) * 1e-4)


def test_a_base_that_one_delta_needs_is_let_go(repo: Repository, tmp_path: Path) -> None:
    _drift(repo, tmp_path / "drift", 2, branch="drift")
    wanted = repo.read_file("drift", "model.safetensors")
    blob = max(repo.manifest("drift").by_path["model.safetensors"].segments, key=lambda s: s.length)
    assert repo.store.link_of(blob.blob)[0] == 1
    # A root with the last version's tree alone.
    repo.checkout("drift", to=tmp_path / "last")
    repo.commit(tmp_path / "last", branch="only", start="", allow_empty=True)
    repo.delete_branch("drift")
    before = repo.store.stored_bytes()
    plan = repo.plan_gc(now=True)
    assert plan.rewritten_packs
    done = repo.gc(plan)
    assert done.written and repo.store.stored_bytes() < before
    assert repo.store.link_of(blob.blob) == (0, None)
    assert repo.read_file("only", "model.safetensors") == wanted
    assert repo.fsck().ok and not repo.plan_gc(now=True).freed_bytes


def test_a_base_that_many_deltas_need_stays(repo: Repository, tmp_path: Path) -> None:
    _drift(repo, tmp_path / "drift", 1, branch="drift")
    base = repo.resolve("drift")
    weight = np.frombuffer(memoryview(repo.read_tensor("drift", "w").buffer), np.float32)
    for number in range(3):
        rng = np.random.default_rng(number)
        near = weight * (1 + rng.standard_normal(weight.size).astype(np.float32) * 1e-4)
        save_tensors(tmp_path / "near/model.safetensors", {"w": near})
        repo.commit(tmp_path / "near", branch=f"near{number}", start="", base=str(base), by_hand=False)
    repo.delete_branch("drift")
    repo.gc(now=True)
    for number in range(3):
        assert memoryview(repo.read_tensor(f"near{number}", "w").buffer).nbytes == weight.nbytes
    assert repo.fsck().ok


def test_small_packs_become_one(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    for seed in range(20):
        write_model(tmp_path / "out", seed=seed)
        repo.commit(tmp_path / "out", message=f"v{seed}")
    files = [repo.read_file(e.id, "model.safetensors") for e in repo.log()]
    plan = repo.plan_gc()
    assert len(plan.merged_packs) >= 19 and plan.freed_bytes == 0
    done = repo.gc(plan)
    assert done.written == 1 and len(repo.store.pack_names()) <= 2
    assert done.trash_bytes == 0, "all of it is stored elsewhere, so none waits in the trash"
    assert [repo.read_file(e.id, "model.safetensors") for e in repo.log()] == files
    assert repo.fsck().ok and not repo.plan_gc()


def test_geometry() -> None:
    def merged(*sizes: int) -> int:
        return len(module._to_merge({bytes([i]): s << 10 for i, s in enumerate(sizes)}))

    assert merged(*[10] * 7) == 0
    assert merged(*[10] * 8) == 8
    assert merged(*[10] * 8, 161) == 8
    assert merged(*[10] * 8, 159) == 9
    assert merged(*[1 << i for i in range(0, 30, 2)]) == 0


def test_training_state_stays_in_packs_of_its_own(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    for seed in range(9):
        folder = write_model(tmp_path / "out", seed=seed)
        (folder / "optimizer.pt").write_bytes(os.urandom(20_000))
        repo.commit(folder)
    repo.gc()
    assert len(repo.store.pack_names()) == 2
    manifest = repo.manifest("HEAD")
    packs = {
        f.role: {repo.store.catalog.find(s.blob)[0].pack for s in f.segments} for f in manifest.files
    }
    assert packs["training-state"].isdisjoint(packs["weights"])


# -- beside running commands


def _lean_on_dead(repo: Repository) -> tuple[Store, ObjectId, bytes]:
    """Another process's view of the store, and a blob that only the deleted branch has."""
    segments = repo.manifest("try").by_path["model.safetensors"].segments
    blob = max(segments, key=lambda s: s.length).blob
    content = repo.store.get(blob)
    repo.delete_branch("try")
    return Store.at(repo.store.path), blob, content


class _Bytes:
    name = "memory"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


def _source(content: bytes) -> BlobSource:
    return BlobSource(_Bytes(content), ((0, len(content)),), 4, True)


def test_what_a_transaction_told_stays(repo: Repository) -> None:
    writer, blob, content = _lean_on_dead(repo)
    with Transaction(writer) as transaction:
        transaction.store_blobs([_source(content)])
        transaction.publish()
        # Published, and no ref names it yet.
        repo.gc(now=True)
        assert writer.get(blob) == content
    assert repo.store.get(blob) == content
    repo.gc(now=True)
    with pytest.raises(NotFound):
        Store.at(repo.store.path).get(blob)


def test_a_transaction_finds_what_went_before_it_told(repo: Repository) -> None:
    writer, blob, content = _lean_on_dead(repo)
    with Transaction(writer) as transaction:
        transaction.store_blobs([_source(content)])
        repo.gc(now=True)
        with pytest.raises(ObjectRemoved, match=r"removed from the store"):
            transaction.publish()
    assert repo.fsck().ok
    with Transaction(writer) as transaction:
        transaction.store_blobs([_source(content)])
        transaction.publish()
        assert writer.get(blob) == content


def test_a_transaction_fetches_from_the_trash(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, blob, content = _lean_on_dead(repo)
    _later(monkeypatch, 31)
    with Transaction(writer) as transaction:
        transaction.store_blobs([_source(content)])
        assert repo.gc().removed == 3
        transaction.publish()
        assert writer.get(blob) == content


def test_a_commit_begins_again_where_gc_was_faster(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.checkout("try", to=tmp_path / "copy")
    files = contents(tmp_path / "copy")
    repo.delete_branch("try")
    real = Transaction.publish
    calls: list[GcResult] = []

    def publish(self: Transaction) -> tuple[bytes, ...]:
        if not calls:
            calls.append(mstore.open(tmp_path).gc(now=True))
        return real(self)

    monkeypatch.setattr(Transaction, "publish", publish)
    made = repo.commit(tmp_path / "copy", message="again", by_hand=False)
    assert calls[0].removed
    assert {f.path: repo.read_file(made.id, f.path) for f in made_files(repo, made.id)} == files
    assert repo.fsck().ok


def test_a_note_on_a_version_that_gc_took_meanwhile_is_refused(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = repo.resolve("try")
    repo.delete_branch("try")
    real = Transaction.publish
    calls: list[GcResult] = []

    def publish(self: Transaction) -> tuple[bytes, ...]:
        if not calls:
            calls.append(mstore.open(repo.store.path.parent.parent).gc(now=True))
        return real(self)

    monkeypatch.setattr(Transaction, "publish", publish)
    with pytest.raises(ObjectRemoved, match=f"commit {tip.short} was removed"):
        repo.note(tip, metrics={"late": 1.0})
    assert calls[0].removed
    assert not list(repo.store.refs.names("notes")) and repo.fsck().ok


def made_files(repo: Repository, id: CommitId) -> tuple[ManifestFile, ...]:
    return repo.manifest(id).files


def test_what_became_needed_after_the_plan_stays(repo: Repository) -> None:
    tip = repo.resolve("try")
    repo.delete_branch("try")
    plan = repo.plan_gc(now=True)
    repo.make_branch("saved", tip)
    done = repo.gc(plan)
    assert done.undeleted == 3 and done.removed == 0
    _readable(repo, "saved", "saved~2")
    assert repo.fsck().ok


def test_two_at_once_are_told(repo: Repository) -> None:
    repo.delete_branch("try")
    plan = repo.plan_gc(now=True)
    other = mstore.open(repo.store.path.parent.parent)
    with other.store.backend.lock("gc"):
        # flock is by open file, so another hold of this process is another owner.
        with pytest.raises(Conflict, match="another gc or repack"):
            repo.gc(plan)
        with pytest.raises(Conflict, match="another gc or repack"):
            repo.repack()
    assert repo.gc(plan).removed == 3


# -- refusals


def test_a_damaged_store_is_left_as_it_is(repo: Repository) -> None:
    repo.delete_branch("try")
    (repo.store.path / "refs/heads/main").write_bytes(b"")
    before = sorted(repo.store.path.rglob("*.pack"))
    with pytest.raises(Corrupt):
        repo.plan_gc(now=True)
    assert sorted(repo.store.path.rglob("*.pack")) == before


def test_a_pack_that_is_missing_stops_it(repo: Repository) -> None:
    repo.delete_branch("try")
    needed = max(repo.store.path.rglob("*.pack"), key=lambda p: p.stat().st_size)
    names = {repo.store.catalog.find(f)[0].pack.hex() for f in [repo.resolve("main")]}
    (victim,) = [p for p in repo.store.path.rglob("*.pack") if p.stem in names]
    victim.unlink()
    assert needed
    with pytest.raises((Corrupt, NotFound)):
        repo.plan_gc(now=True)


def test_a_read_only_store(repo: Repository) -> None:
    plan = repo.plan_gc()
    repo.store.backend.read_only = True
    with pytest.raises(StorageFailed, match="read-only"):
        repo.gc(plan)


def test_an_older_writer_is_kept_out_from_the_first_removal_on(repo: Repository) -> None:
    """A writer that tells nobody what it leans on must not write beside gc."""
    path = repo.store.path / "store.json"
    plain = json.loads(path.read_text())
    plain["features"]["write"] = ["refs-1"]
    del plain["sum"]
    path.write_text(json.dumps(plain))
    old = mstore.open(repo.store.path.parent.parent)
    assert not old.store.read_only
    old.delete_branch("try")
    old.gc(now=True)
    assert json.loads(path.read_text())["features"]["write"] == ["leans-1", "refs-1"]


def test_on_the_command_line(mstore: Callable[..., Any], workshop: Path) -> None:
    mstore("init")
    for seed in range(2):
        write_model(workshop / "out", seed=seed)
        mstore("commit", "out", "-m", f"v{seed}", *(["--branch", "try"] if seed else []))
    _, out, _ = mstore("gc", "--yes")
    assert "all of it needed" in out
    mstore("branch", "-d", "try")
    assert "--yes runs it" in mstore("gc", code=UsageError.exit_code)[2]
    _, out, _ = mstore("gc", "--now", "--dry-run")
    assert "would remove 1 version " in out and "v1" in out
    assert "(was on try)" in out and "would free" in out
    packs = sorted(workshop.rglob("*.pack"))
    shown = json.loads(mstore("gc", "--now", "--dry-run", "--json")[1])
    assert shown["branch_bytes"].keys() == {"try"} and shown["versions"][0]["branch"] == "try"
    assert sorted(workshop.rglob("*.pack")) == packs
    done = json.loads(mstore("gc", "--now", "--yes", "--json")[1])
    assert done["freed_bytes"] > 0 and len(list(workshop.rglob("*.pack"))) == 1
    assert isinstance(GcPlan(), GcPlan)


@pytest.mark.parametrize("what", ["parent", "known files"])
def test_what_a_commit_takes_for_there_is_missed_where_gc_was_faster(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    known = write_model(tmp_path / "known", seed=2)  # as `main` has it
    (known / "extra.bin").write_bytes(os.urandom(5000))
    monkeypatch.setattr("mstore.workspace.statcache.GRAIN_NS", 0)
    tip = repo.commit(known, branch="extra", message="x").id
    repo.delete_branch("extra")
    (known / "new.txt").write_text("a manifest of its own")
    folder: Path | None = known
    start = "main"
    if what == "parent":
        folder, start = write_model(tmp_path / "fresh", seed=99), tip.hex
    publish = Transaction.publish
    collected: list[int] = []

    def after_gc(self: Transaction) -> tuple[bytes, ...]:
        if not collected:
            with mstore.open(workspace=tmp_path) as other:
                collected.append(other.gc(now=True).freed_bytes)
        return publish(self)

    monkeypatch.setattr(Transaction, "publish", after_gc)
    try:
        repo.commit(folder, branch="new", start=start, message="new", by_hand=False)
    except NotFound:
        assert what == "parent" and "new" not in repo.branches()
        folder = None
    monkeypatch.undo()
    assert collected[0] > 0
    repo.close()
    with mstore.open(workspace=tmp_path) as fresh:
        assert fresh.fsck().ok
        if folder is not None:
            fresh.checkout("new", to=tmp_path / "back")
            assert contents(tmp_path / "back") == contents(folder)


@pytest.mark.parametrize("verb", ["gc", "repack"])
def test_what_reads_back_wrong_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for seed in range(12):
        write_model(tmp_path / "out", seed=seed)
        repo.commit(message=f"{seed}")
    files = [repo.read_file(e.id, "model.safetensors") for e in repo.log()]
    publish = Transaction.publish

    def damaged(self: Transaction) -> tuple[bytes, ...]:
        names = publish(self)
        for path in repo.store.path.rglob("*.pack"):
            if path.stem in {name.hex() for name in names}:
                content = bytearray(path.read_bytes())
                content[len(content) // 3] ^= 1
                path.chmod(0o600)
                path.write_bytes(content)
        return names

    monkeypatch.setattr(Transaction, "publish", damaged)
    with pytest.raises(Corrupt):
        getattr(repo, verb)()
    monkeypatch.undo()
    with mstore.open(workspace=tmp_path) as fresh:
        assert [fresh.read_file(e.id, "model.safetensors") for e in fresh.log()] == files
