"""repack keeps every object and every reader right."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.codec import BLOCK_LOG2, Codec, encode_block
from mstore.maintain import pack_removal as removal
from mstore.maintain.pack_removal import check_pack
from mstore.maintain.repack import repack
from mstore.objects import blob_id
from mstore.store import Store, temporary_roots_of
from mstore.store.blob_encoder import MAX_CHAIN
from mstore.store.frame import FrameHead
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.temp_roots import temp_root_record
from tests.unit.maintain.conftest import drifting


def _check(repo: Repository, kept: list[dict[str, bytes]], root: Path) -> None:
    assert repo.fsck().ok
    for entry, files in zip(reversed(repo.log()), kept, strict=True):
        for path, content in files.items():
            assert repo.read_file(entry.id, path) == content


def test_commits_are_deltas_of_their_parents(tmp_path: Path) -> None:
    repo, kept = drifting(tmp_path)
    raw = sum(len(c) for files in kept for c in files.values())
    assert repo.store.stored_bytes() < 0.75 * raw
    usage = repo.du("HEAD")
    (group,) = [g for g in usage.commits[0].groups if g.name == "w"]
    assert group.delta_bytes == group.stored_bytes > 0
    assert group.raw_bytes == group.new_bytes == 800_000
    assert usage.raw_bytes == raw and usage.versions == 5
    assert usage.pack_bytes == repo.store.stored_bytes()
    # The last version is leant on by nobody; the first by the second.
    assert usage.commits[0].protected_bytes == 0 and usage.commits[0].freed_bytes > 0
    assert repo.du("HEAD~4").commits[0].protected_bytes > 0
    _check(repo, kept, tmp_path)


def test_chains_are_bounded(tmp_path: Path) -> None:
    repo, kept = drifting(tmp_path, versions=12, size=20_000)
    depths = [f.head.depth for n in repo.store.pack_names() for f in repo.store.footer(n)]
    assert 1 <= max(depths) <= MAX_CHAIN
    # A full chain is followed by a delta against its first blob, not by a blob stored whole.
    whole = [f for n in repo.store.pack_names() for f in repo.store.footer(n) if f.head.width == 4]
    assert sum(f.head.depth == 0 for f in whole) == 1
    _check(repo, kept, tmp_path)


def test_repack_merges_and_keeps_everything(tmp_path: Path) -> None:
    repo, kept = drifting(tmp_path, versions=8)
    repo.note("HEAD", metrics={"m": 1.0})
    objects = {f.head.id for n in repo.store.pack_names() for f in repo.store.footer(n)}
    before = len(repo.store.pack_names())
    done = repo.repack()
    assert done.worth and done.removed == before and done.written == 1
    assert done.after_bytes == repo.store.stored_bytes() <= done.before_bytes
    assert {f.head.id for n in repo.store.pack_names() for f in repo.store.footer(n)} == objects
    _check(repo, kept, tmp_path)
    again = repo.repack()
    assert not again.worth
    _check(repo, kept, tmp_path)


def test_repack_gives_bases_to_what_was_stored_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstore.commit import execute as module

    monkeypatch.setattr(module, "_delta_bases", lambda *arguments: None)
    monkeypatch.setattr(Store, "find_similar", lambda *arguments: None)
    repo, kept = drifting(tmp_path)
    done = repo.repack()
    assert done.after_bytes < 0.9 * done.before_bytes
    _check(repo, kept, tmp_path)


@pytest.mark.parametrize("other", ["is at work", "is done"])
def test_a_pack_that_somebody_leans_on_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """A delta that comes, or came, while repack ran names a depth that only an old copy has."""
    from mstore.commit import execute as commit

    # Stored without bases, so that repack gives the tip a larger depth than it had.
    monkeypatch.setattr(commit, "_delta_bases", lambda *arguments: None)
    monkeypatch.setattr(Store, "find_similar", lambda *arguments: None)
    repo, kept = drifting(tmp_path, versions=3)
    store = repo.store
    tip = max(repo.manifest("HEAD").by_path["model.safetensors"].segments, key=lambda s: s.length).blob
    content = bytearray(store.get(tip))
    content[0] ^= 1
    depth, _ = store.link_of(tip)
    assert depth is not None

    from mstore.maintain import repack as module

    original = check_pack
    running = ExitStack()

    def meanwhile(opened, name):
        original(opened, name)
        if other == "is at work":
            running.enter_context(store.backend.open_temp_roots()).add(temp_root_record(tip, depth))
            return
        base = store.get(tip)
        block = encode_block(bytes(content), width=4, is_float=True, base=base)
        head = FrameHead(blob_id(content), len(content), Codec.DELTA, 4, BLOCK_LOG2, depth + 1, tip)
        with store.backend.put_new() as upload:
            writer = PackWriter(upload)
            writer.add(head, [block])
            upload.publish(pack_key(writer.seal()))

    monkeypatch.setattr(module, "check_pack", meanwhile)
    # Of several who lean on one blob (repack itself is one), the most demanding counts.
    monkeypatch.setattr(
        removal,
        "temporary_roots_of",
        lambda backend: iter(sorted(temporary_roots_of(backend), key=lambda roots: roots[1])),
    )
    with running:
        assert repack(repo.context).kept
        assert store.lacks([(tip, depth)]) == []
    if other == "is done":
        assert store.get(blob_id(content)) == bytes(content)
    _check(repo, kept, tmp_path)


def test_what_cannot_be_encoded_better_is_left_and_said(tmp_path: Path) -> None:
    repo, _ = drifting(tmp_path, versions=8, size=2000)
    assert repo.repack().worth
    packs = sorted(tmp_path.rglob("*.pack"))
    again = repo.repack()
    assert not again.worth and sorted(tmp_path.rglob("*.pack")) == packs
    assert str(again).endswith("nothing to gain, nothing changed")
