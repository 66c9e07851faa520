"""show, ls, cat: looking into one version without writing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.context import Context
from mstore.errors import Corrupt, NotFound
from mstore.history.show import cat, file_of, manifest_of, show
from mstore.objects import Commit, CommitId, Manifest, ManifestFile, Segment, Time, blob_id
from mstore.store.transaction import Transaction
from tests.conftest import contents


def test_a_version_in_full(repo: Repository) -> None:
    id = repo.resolve("main")
    repo.note("main", metrics={"late": 1.0})
    details = show(repo.context, id)
    assert details.entry.refs == ("HEAD", "main") and details.entry.metrics["late"] == 1.0
    assert details.manifest == manifest_of(repo.context, id) == repo.manifest("main")
    assert [note.payload["metrics"] for note in details.notes] == [{"late": 1.0}]
    with pytest.raises(NotFound):
        show(repo.context, CommitId(bytes(32)))


def test_a_file_that_is_not_there_is_met_with_what_is_near(repo: Repository) -> None:
    manifest = repo.manifest("main")
    assert file_of(manifest, "adapter_config.json").role == "adapter"
    with pytest.raises(NotFound) as met:
        file_of(manifest, "adaptor_config.json")
    assert met.value.hint == "near it: adapter_config.json, adapter_model.safetensors"
    with pytest.raises(NotFound) as met:
        file_of(manifest, "zzz")
    assert "mstore ls" in str(met.value.hint)


def test_a_file_streams_as_it_was_committed(repo: Repository, tmp_path: Path) -> None:
    id = repo.resolve("other")
    for path, content in contents(tmp_path / "out").items():
        assert b"".join(bytes(part) for part in cat(repo.context, id, path)) == content
    with pytest.raises(NotFound, match="no file 'absent'"):
        cat(repo.context, id, "absent")


def test_what_was_forgotten_is_not_there_and_says_since_when(repo: Repository) -> None:
    id = repo.resolve("main~1")
    repo.forget("training-state", branch="main")
    with pytest.raises(NotFound, match=r"trainer_state\.json of \w+ was forgotten on \d{4}-\d\d-\d\d"):
        cat(repo.context, id, "trainer_state.json")


@pytest.mark.parametrize(
    ("segments", "content"),
    [
        ([(0, 10)], b"0123456789"),
        ([(0, 4)], b"0123"),
        ([(3, 4)], b"3456"),
        ([(0, 2), (8, 2), (0, 10)], b"01890123456789"),
        ([(10, 0)], b""),
        ([], b""),
    ],
)
def test_a_file_is_the_ranges_of_its_segments(
    place: Context, segments: list[tuple[int, int]], content: bytes
) -> None:
    id = _commit_of(place, b"0123456789", segments)
    assert b"".join(bytes(part) for part in cat(place, id, "f")) == content


@pytest.mark.parametrize("segments", [[(0, 11)], [(3, 8)], [(0, 11), (0, 1)]])
def test_a_segment_beyond_its_blob_is_corrupt(place: Context, segments: list[tuple[int, int]]) -> None:
    id = _commit_of(place, b"0123456789", segments)
    with pytest.raises(Corrupt):
        list(cat(place, id, "f"))


def _commit_of(place: Context, blob: bytes, segments: list[tuple[int, int]]) -> CommitId:
    """A version of one file that is cut like this."""
    cut = tuple(Segment(blob_id(blob), offset, length) for offset, length in segments)
    manifest = Manifest((ManifestFile("f", "other", sum(s.length for s in cut), cut),))
    commit = Commit((), manifest.id, "Ada", Time(0, 0), "", {}, {})
    with Transaction(place.store, threads=1) as transaction:
        transaction.put_bytes(blob)
        transaction.put(manifest)
        transaction.put(commit)
        transaction.publish()
    return commit.id
