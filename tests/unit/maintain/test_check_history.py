"""History checked from its tips: each object that is lost or damaged, and who needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.maintain.check_history import check_commits
from mstore.maintain.findings import Findings
from mstore.objects import (
    Commit,
    CommitId,
    Kind,
    LayoutId,
    Manifest,
    ManifestFile,
    ManifestId,
    Segment,
    Time,
    object_id,
)
from mstore.store import Store
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.conftest import write_model

NOWHERE = CommitId(bytes(32))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Three versions."""
    repo = mstore.init(tmp_path)
    for seed in (1, 2, 3):
        repo.commit(write_model(tmp_path / "out", seed=seed, elements=20_000), message=f"v{seed}")
    return repo


def _checked(store: Store, *tips: CommitId, **found: Any) -> tuple[Findings, int]:
    findings = Findings(**found)
    return findings, check_commits(store, [(id, f"tip {id.short}") for id in tips], findings)


def _file(path: str, segment: Segment, *, layout: LayoutId | None = None) -> ManifestFile:
    return ManifestFile(path, "other", segment.length, (segment,), layout)


def _stored(store: Store, *files: ManifestFile, manifest: ManifestId | None = None) -> CommitId:
    """A version of these files, or of a manifest that there is none of."""
    made = Manifest(files)
    commit = Commit((), manifest or made.id, "Ada", Time(0, 0), "planted")
    with Transaction(store, threads=1) as transaction:
        if manifest is None:
            transaction.put(made)
        transaction.put(commit)
        transaction.publish()
    return commit.id


def test_each_version_is_counted_once(repo: Repository) -> None:
    main, before = repo.resolve("main"), repo.resolve("main~1")
    findings, count = _checked(repo.store, main, before, main)
    assert count == 3 and findings == Findings()


def test_a_missing_commit_is_named_with_who_needs_it(repo: Repository) -> None:
    findings, _ = _checked(repo.store, NOWHERE)
    (problem,) = findings.problems
    assert problem.where == f"commit {NOWHERE.short}" and f"tip {NOWHERE.short}" in problem.what
    assert findings.lost == {NOWHERE}


def test_a_missing_parent_is_needed_by_its_child(repo: Repository) -> None:
    commit = Commit((NOWHERE,), Manifest(()).id, "Ada", Time(0, 0), "planted")
    with Transaction(repo.store, threads=1) as transaction:
        transaction.put(Manifest(()))
        transaction.put(commit)
        transaction.publish()
    findings, _ = _checked(repo.store, commit.id)
    (problem,) = findings.problems
    assert problem.where == f"commit {NOWHERE.short}" and f"commit {commit.id.short}" in problem.what


def test_a_missing_manifest_is_named_with_its_commit(repo: Repository) -> None:
    gone = ManifestId(bytes(32))
    id = _stored(repo.store, manifest=gone)
    findings, _ = _checked(repo.store, id)
    (problem,) = findings.problems
    assert problem.where == f"manifest {gone.short}" and id.short in problem.what
    assert findings.lost == {gone}


def test_a_damaged_blob_is_told_once_with_each_version_and_tensor(repo: Repository) -> None:
    """The blob of a file that all versions share, and that of a tensor that one has."""
    main = repo.resolve("main")
    manifest = repo.store.manifest(repo.store.commit(main).manifest)
    (weights,) = (file for file in manifest.files if file.path == "model.safetensors")
    (shared,) = (file for file in manifest.files if file.path == "tokenizer.json")
    layout = repo.store.layout(weights.layout) if weights.layout is not None else None
    assert layout is not None
    largest = max(weights.segments, key=lambda segment: segment.length)
    blob = shared.segments[0].blob
    findings, _ = _checked(repo.store, main, bad={blob: "is torn", largest.blob: "is torn"})
    by_where = {problem.where: problem for problem in findings.problems}
    assert set(by_where) == {blob.label, largest.blob.label} and findings.lost == {blob, largest.blob}
    assert by_where[blob.label].what == "is torn"
    assert len(by_where[blob.label].affects) == 3
    (tensor,) = by_where[largest.blob.label].affects
    assert tensor.startswith(f"{main.short}:model.safetensors") and "embed.weight" in tensor


def test_of_many_that_need_an_object_the_first_are_named(repo: Repository, tmp_path: Path) -> None:
    blob = repo.store.manifest(repo.store.commit(repo.resolve("main")).manifest).files[0].segments[0]
    files = [_file(f"f{n:02}", blob) for n in range(25)]
    findings, _ = _checked(repo.store, _stored(repo.store, *files), bad={blob.blob: "is torn"})
    (problem,) = findings.problems
    assert len(problem.affects) == 21 and problem.affects[-1] == "and 5 more"


def test_an_object_in_the_trash_comes_back(repo: Repository) -> None:
    repo.store.soft_delete(repo.store.pack_names())
    findings, count = _checked(repo.store, repo.resolve("main"))
    assert count == 3 and findings.problems == [] and repo.store.trash() == {}


def test_bytes_beyond_the_end_of_a_blob_are_named(repo: Repository) -> None:
    blob = repo.store.manifest(repo.store.commit(repo.resolve("main")).manifest).files[0].segments[0]
    segment = Segment(blob.blob, 1, blob.length)
    id = _stored(repo.store, _file("f", segment))
    findings, _ = _checked(repo.store, id)
    (problem,) = findings.problems
    assert problem.where.startswith("manifest ") and blob.blob.short in problem.what
    assert id.short in problem.what


@pytest.mark.parametrize("whole", [True, False], ids=["its id", "another id"])
def test_a_layout_that_cannot_be_read_is_named(repo: Repository, whole: bool) -> None:
    """Stored byte for byte, it may still be none: whoever wrote it can compute its id and sums.

    A quick check knows its sums alone.
    """
    id = object_id(Kind.LAYOUT, b"noise") if whole else LayoutId(bytes(32))
    assert isinstance(id, LayoutId)
    with repo.store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add_bytes(id, b"noise")
        upload.publish(pack_key(writer.seal()))
    repo.store.refresh()
    blob = repo.store.manifest(repo.store.commit(repo.resolve("main")).manifest).files[0].segments[0]
    commit = _stored(repo.store, _file("f", blob, layout=id))
    findings, _ = _checked(repo.store, commit, good={id})
    (problem,) = findings.problems
    assert problem.where == id.label and problem.affects == (f"{commit.short}:f",)
    assert findings.lost == {id}
