"""What is needed: from names down to the last blob."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.context import Context
from mstore.errors import NotFound
from mstore.history.reachability import Reachability, Root, check_complete, reachability_of, roots
from mstore.objects import Commit, CommitId, Manifest, ManifestFile, ObjectId, Segment, Time, blob_id
from mstore.store.temp_roots import temp_root_record
from mstore.store.transaction import Transaction

ANCIENT_NS = 0


def _roots(repo: Repository, since: int | None = None) -> dict[ObjectId, tuple[str, bool]]:
    return {root.id: (root.why, root.required) for root in roots(repo.context, logged_since_ns=since)}


def test_refs_and_head_are_roots_that_must_be_there(repo: Repository) -> None:
    repo.make_tag("v1", "main~3", message="said")
    value = repo.store.refs.read("tags/v1")
    assert value is not None
    found = _roots(repo)
    assert found[repo.resolve("main")] == ("main", True)
    assert found[repo.resolve("other")] == ("other", True)
    assert found[value.target] == ("v1", True), "the tag's object, not what it names"
    repo.checkout("main~1", force=True)
    assert _roots(repo)[repo.resolve("main~1")] == ("HEAD", True)


def test_reflogs_keep_what_moved_since_and_it_may_be_gone(repo: Repository) -> None:
    tip = repo.resolve("other")
    repo.delete_branch("other")
    assert tip not in _roots(repo)
    assert _roots(repo, ANCIENT_NS)[tip] == ("the reflog of other", False)
    assert tip not in _roots(repo, 2**62)


def test_a_running_command_keeps_what_it_told(repo: Repository) -> None:
    blob = blob_id(b"about to be used")
    with repo.store.backend.open_temp_roots() as told:
        told.add(temp_root_record(blob, 0))
        assert any(why == "a running command" for why, _ in _roots(repo).values())
    assert not any(why == "a running command" for why, _ in _roots(repo).values())


def test_a_version_needs_its_files_and_its_parents(repo: Repository) -> None:
    reachable = reachability_of(repo.context, logged_since_ns=None)
    versions = {entry.id for entry in repo.log(all=True)}
    assert reachable.commits == versions and versions <= reachable.objects
    for id in versions:
        manifest_id = repo.store.commit(id).manifest
        assert manifest_id in reachable.objects
        for file in repo.store.manifest(manifest_id).files:
            assert file.objects <= reachable.objects
            if file.role == "training-state":
                assert {s.blob for s in file.segments} <= reachable.training_state


def test_notes_and_tags_are_needed_with_what_they_stand_on(repo: Repository) -> None:
    repo.note("main", metrics={"a": 1.0})
    repo.note("main", metrics={"b": 2.0})
    repo.make_tag("v1", "main", message="said")
    reachable = reachability_of(repo.context, logged_since_ns=None)
    kinds = [id.kind_name for id in reachable.objects]
    assert (kinds.count("note"), kinds.count("tag")) == (2, 1)


def test_what_is_to_be_forgotten_is_not_needed(repo: Repository) -> None:
    id = repo.resolve("main")
    lone = Reachability(repo.store, {id: frozenset({"training-state"})})
    lone.add(Root(id, "main", required=True))
    state = repo.manifest("main").by_path["trainer_state.json"]
    assert not state.objects & lone.objects
    reachable = reachability_of(repo.context, logged_since_ns=None)
    assert state.objects <= reachable.objects


def test_a_missing_object_stops_whoever_would_remove_anything(repo: Repository) -> None:
    gone = CommitId(bytes(32))
    reachable = Reachability(repo.store)
    with pytest.raises(NotFound) as met:
        reachable.add(Root(gone, "main", required=True))
    assert str(met.value.hint).startswith("needed by main; `mstore fsck`")
    reachable.add(Root(gone, "a reflog", required=False))
    assert reachable.objects == set()
    with pytest.raises(NotFound):
        reachable.add(Root(blob_id(b"nowhere"), "main", required=True))


def test_a_version_named_by_its_id_must_be_whole(repo: Repository) -> None:
    for revision in ("main", "other", "main~2"):
        check_complete(repo.context, repo.resolve(revision))
    with pytest.raises(NotFound, match="is no longer whole"):
        check_complete(repo.context, CommitId(bytes(32)))


def test_a_version_that_lost_a_blob_is_not_whole(place: Context) -> None:
    lost = Segment(blob_id(b"lost"), 0, 4)
    manifest = Manifest((ManifestFile("f", "other", 4, (lost,)),))
    commit = Commit((), manifest.id, "Ada", Time(0, 0), "", {}, {})
    with Transaction(place.store, threads=1) as transaction:
        transaction.put(manifest)
        transaction.put(commit)
        transaction.publish()
    with pytest.raises(NotFound, match="gc removed blob") as met:
        check_complete(place, commit.id)
    assert met.value.hint == "no branch or tag kept it"
