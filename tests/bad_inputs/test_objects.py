"""Bad inputs 29 to 41: what lies in a store is input, too."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest
import xxhash
import zstandard

from mstore.codec import BLOCK_LOG2, Block, BlockHeader, Codec, Mode, encode_block
from mstore.errors import BadEncoding, BadPath, Corrupt, InvalidInput, MStoreError
from mstore.objects import (
    BlobId,
    Commit,
    CommitId,
    Kind,
    Layout,
    Manifest,
    ManifestFile,
    ManifestId,
    Note,
    ObjectId,
    Segment,
    Tag,
    Time,
    blob_id,
    object_id,
)
from mstore.store import Move, Store
from mstore.store.frame import FrameHead
from mstore.store.pack import PackWriter, encode_small
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.bad_inputs.stand import Unchanged, listing, numbered
from tests.conftest import contents, save_tensors, write_model

NOW = Time(1_700_000_000 * 10**9, 0)
EMPTY = Manifest(())


def write_pack(store: Store, *frames: tuple[FrameHead, list[Block]]) -> str:
    """A pack of frames that may lie, as an attacker would make it; gives its key."""
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        for head, blocks in frames:
            writer.add(head, blocks)
        key = pack_key(writer.seal())
        upload.publish(key)
    store.refresh()
    return key


def planted(id: ObjectId, content: bytes) -> tuple[FrameHead, list[Block]]:
    """A frame that says of some bytes that this is their id."""
    return encode_small(id, content)


def point(store: Store, id: ObjectId, branch: str = "planted") -> None:
    store.refs.move(f"heads/{branch}", id, Move("test", "", "Eve", NOW), force=True)


def opened(stand: Path) -> Store:
    return Store.at(stand / ".mstore/store")


def commit_of(manifest: ManifestId, message: str = "planted") -> Commit:
    return Commit((), manifest, "Eve", NOW, message)


def plant_files(
    stand: Path, files: list[ManifestFile], *blobs: bytes, raw: bytes | None = None
) -> None:
    """A branch `planted` whose manifest has these files, checks being for those who read."""
    store = opened(stand)
    with Transaction(store) as transaction:
        for blob in blobs:
            transaction.put_bytes(blob)
        transaction.publish()
    encoded = raw if raw is not None else Manifest.of(files).encoded
    manifest = object_id(Kind.MANIFEST, encoded)
    assert isinstance(manifest, ManifestId)
    commit = commit_of(manifest)
    write_pack(store, planted(manifest, encoded), planted(commit.id, commit.encoded))
    point(store, commit.id)
    store.close()


# -- 29: spelling of ids

FULL = "ab" * 32


@numbered(
    "text",
    {
        "n29-short": FULL[:63],
        "n29-seven": FULL[:7],
        "n29-long": FULL + "a",
        "n29-upper": FULL.upper(),
        "n29-one-upper": FULL[:-1] + "B",
        "n29-dots": "../" + FULL[:61],
        "n29-slash": FULL[:2] + "/" + FULL[2:],
        "n29-newline": FULL[:63] + "\n",
        "n29-newline-after": FULL + "\n",
        "n29-digits-of-another-script": FULL[:63] + "\u0663",
        "n29-empty": "",
    },
)
def test_a_whole_id_is_64_lower_case_digits(mstore: Callable[..., Any], stand: Path, text: str) -> None:
    with pytest.raises(BadEncoding):
        CommitId.parse(text)
    head = stand / ".mstore/HEAD"
    right = head.read_bytes()
    head.write_text(json.dumps({"commit": text}))
    with Unchanged(stand, stand / "out"):
        for command in (["log"], ["status"], ["show"], ["commit", "out", "--branch", "b"]):
            _, _, err = mstore(*command, code=4)
            assert "HEAD" in err
    head.write_bytes(right)
    name = text.encode("utf-8")
    (stand / ".mstore/store/refs/heads/odd").write_bytes(
        b"mstore-ref-1 1 commit " + name + b" " + b"0" * 16 + b"\n"
    )
    mstore("show", "odd", code=4)
    mstore("fsck", code=4)


@numbered(
    "revision",
    {
        "n29-path": "../../../etc/passwd",
        "n29-path-in-refs": "../heads/main",
        "n29-path-absolute": "/etc/passwd",
        "n29-path-of-a-ref": "refs/../heads/main",
        "n29-id-and-path": FULL[:40] + "/../..",
        "n29-too-long": FULL + "00",
        "n29-three-digits": "abc",
    },
)
def test_a_revision_is_never_a_path(mstore: Callable[..., Any], stand: Path, revision: str) -> None:
    with Unchanged(stand, stand / "out"):
        for command in ("show", "ls", "log", "checkout"):
            code, out, err = mstore(command, revision, code=None)
            assert code in (2, 3) and out == "", err
        mstore("note", revision, "--metric", "a=1", code=3)
        code, _, err = mstore("reflog", revision, code=None)
        assert code in (3, 6), err
        code, _, err = mstore("undo", revision, code=None)
        assert code in (2, 3, 6), err


# -- 30: the right hash of the wrong type


def test_n30_an_id_of_one_kind_is_never_another(mstore: Callable[..., Any], stand: Path) -> None:
    """A blob that holds a commit's bytes: another id, so nothing that names it finds a commit."""
    store = opened(stand)
    commit = commit_of(EMPTY.id)
    ids = {object_id(kind, commit.encoded).raw for kind in Kind}
    assert len(ids) == len(Kind)
    blob = blob_id(commit.encoded)
    write_pack(store, planted(blob, commit.encoded), planted(EMPTY.id, EMPTY.encoded))
    point(store, CommitId(blob.raw))
    store.close()
    for command in (["log", "planted"], ["show", "planted"], ["checkout", "planted", "--to", "to"]):
        code, _, err = mstore(*command, code=None)
        assert code in (3, 4), err
    assert not (stand / "to").exists()
    mstore("fsck", code=4)


@numbered(
    "kind",
    {f"n30-blob-posing-as-{kind.name.lower()}": kind for kind in Kind if kind is not Kind.BLOB},
)
def test_a_frame_that_lies_about_its_kind(mstore: Callable[..., Any], stand: Path, kind: Kind) -> None:
    """The head of the frame says `commit` (or layout …) of bytes whose hash is a blob's."""
    from mstore.objects import ID_TYPES

    store = opened(stand)
    values = {
        Kind.LAYOUT: Layout("safetensors", ()).encoded,
        Kind.MANIFEST: EMPTY.encoded,
        Kind.COMMIT: commit_of(EMPTY.id).encoded,
        Kind.NOTE: Note(EMPTY.id, "facts", {}, "Eve", NOW).encoded,
        Kind.TAG: Tag(commit_of(EMPTY.id).id, "t", "", "Eve", NOW).encoded,
    }
    content = values[kind]
    id = ID_TYPES[kind](blob_id(content).raw)
    write_pack(store, planted(id, content))
    read = {
        Kind.LAYOUT: store.layout,
        Kind.MANIFEST: store.manifest,
        Kind.COMMIT: store.commit,
        Kind.NOTE: store.note,
        Kind.TAG: store.tag,
    }[kind]
    with pytest.raises(Corrupt, match="does not hash to its id"):
        read(id)  # type: ignore[operator]
    if kind is Kind.COMMIT:
        point(store, id)
        mstore("log", "planted", code=4)
    store.close()
    mstore("fsck", code=4)
    mstore("log")


# -- 31: lengths that are not what was declared


def _with_size(content: bytes, raw_size: int) -> tuple[FrameHead, list[Block]]:
    head, blocks = encode_small(blob_id(content), content)
    return (
        FrameHead(head.id, raw_size, head.codec, head.width, head.block_log2, 0, None),
        blocks,
    )


def _stored(
    content: bytes, raw_size: int, stored: bytes, mode: Mode = Mode.PLANES
) -> tuple[FrameHead, list[Block]]:
    """A frame whose one block has chosen stored bytes, all its sums being right."""
    header = BlockHeader(
        len(stored), mode, 0, xxhash.xxh3_64_intdigest(stored), xxhash.xxh3_64_intdigest(content)
    )
    head = FrameHead(blob_id(content), raw_size, Codec.PLANES, 1, BLOCK_LOG2, 0, None)
    return head, [Block(header, stored)]


CONTENT = bytes(range(256)) * 40
LENGTHS: dict[str, Callable[[], tuple[FrameHead, list[Block]]]] = {
    "n31-raw-size-one-more": lambda: _with_size(CONTENT, len(CONTENT) + 1),
    "n31-raw-size-one-less": lambda: _with_size(CONTENT, len(CONTENT) - 1),
    "n31-raw-size-one": lambda: _with_size(CONTENT, 1),
    "n31-stored-shorter": lambda: _stored(CONTENT, len(CONTENT), CONTENT[:-1], Mode.RAW),
    "n31-stored-longer": lambda: _stored(CONTENT, len(CONTENT), CONTENT + b"x", Mode.RAW),
    "n31-plane-cut": lambda: _stored(CONTENT, len(CONTENT), b"\0\xff\xff\0\0" + CONTENT),
    "n31-plane-table-cut": lambda: _stored(CONTENT, len(CONTENT), b"\0\xff"),
    "n31-nothing-stored": lambda: _stored(CONTENT, len(CONTENT), b""),
    "n31-plane-of-4-GB": lambda: _stored(CONTENT, len(CONTENT), b"\1\xff\xff\xff\xff"),
}


@numbered("build", LENGTHS)
def test_lengths(mstore: Callable[..., Any], stand: Path, build: Callable[[], Any]) -> None:
    store = opened(stand)
    head, blocks = build()
    write_pack(store, (head, blocks))
    with pytest.raises(Corrupt):
        store.get(head.id)
    with pytest.raises(Corrupt):
        for _ in store.stream(head.id):
            pass
    store.close()
    file = ManifestFile(
        "model.bin", "weights", len(CONTENT), (Segment(blob_id(CONTENT), 0, len(CONTENT)),)
    )
    plant_files(stand, [file])
    with Unchanged(stand, stand / "out"):
        mstore("checkout", "planted", "--to", "to", code=4)
        mstore("checkout", "planted", code=4)
        mstore("cat", "planted", "model.bin", code=4)
    assert not (stand / "to").exists()
    mstore("fsck", code=4)


def test_n31_segments_beyond_their_blob(mstore: Callable[..., Any], stand: Path) -> None:
    for offset, length in ((0, 11), (10, 1), (2**62, 1)):
        segment = Segment(blob_id(b"0123456789"), offset, length)
        plant_files(stand, [ManifestFile("model.bin", "weights", length, (segment,))], b"0123456789")
        with Unchanged(stand, stand / "out"):
            mstore("checkout", "planted", "--to", "to", code=4)
            mstore("cat", "planted", "model.bin", code=4)
        assert not (stand / "to").exists()


def test_n31_segments_beyond_their_blob_are_found_by_fsck(
    mstore: Callable[..., Any], stand: Path
) -> None:
    segment = Segment(blob_id(b"0123456789"), 5, 6)
    plant_files(stand, [ManifestFile("model.bin", "weights", 6, (segment,))], b"0123456789")
    mstore("fsck", code=4)


@numbered(
    "segment", {"n31-the-first-half": (0, 5), "n31-the-second-half": (5, 5), "n31-the-middle": (3, 4)}
)
def test_a_part_of_a_blob_is_well(
    mstore: Callable[..., Any], stand: Path, segment: tuple[int, int]
) -> None:
    """Where files are cut is policy, not format: a segment may be any part of a blob."""
    offset, length = segment
    blob = b"0123456789"
    file = ManifestFile("model.bin", "weights", length, (Segment(blob_id(blob), offset, length),))
    plant_files(stand, [file], blob)
    mstore("checkout", "planted", "--to", "to")
    assert (stand / "to/model.bin").read_bytes() == blob[offset : offset + length]
    _, out, _ = mstore("cat", "planted", "model.bin")
    assert out.encode() == blob[offset : offset + length]


def test_n31_a_size_that_no_disk_has(mstore: Callable[..., Any], stand: Path) -> None:
    """2**63 - 1 bytes made of one small blob repeated would fill any disk; sums must fit."""
    segment = Segment(blob_id(b"x"), 0, 2**63 - 1)
    plant_files(stand, [ManifestFile("model.bin", "weights", 2**63 - 1, (segment,))], b"x")
    with Unchanged(stand, stand / "out"):
        mstore("checkout", "planted", "--to", "to", code=4)
    for command in (
        ["show", "planted"],
        ["ls", "planted"],
        ["log", "--all"],
        ["diff", "main", "planted"],
    ):
        code, _, err = mstore(*command, code=None)
        assert code in (0, 4), err


# -- 32: delta bases


def _delta(content: bytes, base: bytes, depth: int) -> tuple[FrameHead, list[Block]]:
    block = encode_block(content, width=2, is_float=True, base=base)
    head = FrameHead(blob_id(content), len(content), Codec.DELTA, 2, BLOCK_LOG2, depth, blob_id(base))
    return head, [block]


@numbered(
    "depths",
    {"n32-equal-depths": (1, 1), "n32-two-claim-each-other": (1, 2), "n32-deepest": (255, 255)},
)
def test_delta_bases_of_no_smaller_depth(
    mstore: Callable[..., Any], stand: Path, depths: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal(5000).astype(np.float16)
    other = one.copy()
    other[::7] *= np.float16(1.01)
    a, b = one.tobytes(), other.tobytes()
    store = opened(stand)
    write_pack(store, _delta(a, b, depths[0]), _delta(b, a, depths[1]))
    with pytest.raises(Corrupt, match="depth"):
        store.get(blob_id(a))
    with pytest.raises(Corrupt):
        store.get(blob_id(b))
    store.close()
    plant_files(stand, [ManifestFile("m.bin", "weights", len(a), (Segment(blob_id(a), 0, len(a)),))])
    mstore("checkout", "planted", "--to", "to", code=4)
    mstore("fsck", code=4)
    assert not (stand / "to").exists()


def test_n32_a_delta_of_itself_is_refused_by_the_reader(
    mstore: Callable[..., Any], stand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written by somebody whose writer does not check what it writes."""
    store = opened(stand)
    head, blocks = _delta(CONTENT, CONTENT, 1)
    with monkeypatch.context() as careless, store.backend.put_new() as upload:
        careless.setattr("mstore.store.pack.parse_footer", lambda *_: ())
        writer = PackWriter(upload)
        writer.add(head, blocks)
        key = pack_key(writer.seal())
        upload.publish(key)
    store.close()
    plant_files(
        stand,
        [ManifestFile("m.bin", "weights", len(CONTENT), (Segment(blob_id(CONTENT), 0, len(CONTENT)),))],
    )
    mstore("checkout", "planted", "--to", "to", code=4)
    _, out, _ = mstore("fsck", code=4)
    assert Path(key).stem[:12] in out and "contradict" in out
    mstore("log")


def test_n32_a_cycle_of_parents(mstore: Callable[..., Any], stand: Path) -> None:
    """Ids are hashes, so a cycle takes frames that lie about ids; they are found, not followed."""
    a, b = CommitId(b"\1" * 32), CommitId(b"\2" * 32)
    store = opened(stand)
    write_pack(
        store,
        planted(a, Commit((b,), EMPTY.id, "Eve", NOW, "a").encoded),
        planted(b, Commit((a,), EMPTY.id, "Eve", NOW, "b").encoded),
    )
    point(store, a)
    store.close()
    for command in (["log", "planted"], ["log", "planted", "--graph"], ["show", "planted~5"], ["fsck"]):
        mstore(*command, code=4)
    mstore("log")


def test_n32_even_a_cycle_is_walked_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a hash ever be broken: walking ends, with an error or with each commit once."""
    from mstore.history.walk import walk

    a, b = CommitId(b"\1" * 32), CommitId(b"\2" * 32)
    forged = {a: Commit((b,), EMPTY.id, "E", NOW, "a"), b: Commit((a,), EMPTY.id, "E", NOW, "b")}
    monkeypatch.setattr(store, "commit", forged.__getitem__)
    with contextlib.suppress(Corrupt):
        assert [id for id, _ in walk(store, [a])] == [a, b]


# -- 33: long chains


def _chain(store: Store, length: int) -> CommitId:
    parents: tuple[CommitId, ...] = ()
    with Transaction(store) as transaction:
        transaction.put(EMPTY)
        for number in range(length):
            commit = Commit(parents, EMPTY.id, "Ada", Time(number * 10**9, 0), f"version {number}")
            transaction.put(commit)
            parents = (commit.id,)
        transaction.publish()
    return parents[0]


def _walk_a_chain(mstore: Callable[..., Any], stand: Path, length: int) -> None:
    store = opened(stand)
    point(store, _chain(store, length), "long")
    store.close()
    _, out, _ = mstore("log", "long", "--oneline")
    assert out.count("\n") == length
    _, out, _ = mstore("log", "long", "--graph", "--oneline")
    assert out.count("\n") == length
    _, out, _ = mstore("show", f"long~{length - 1}")
    assert "version 0" in out
    mstore("show", f"long~{length}", code=3)
    _, out, _ = mstore("log")
    assert f"({length} commits on other branches" in out
    _, out, _ = mstore("fsck", "--quick")
    assert f"{length + 1} commits" in out
    _, out, _ = mstore("diff", "long", "long~1", "--exit-code")


def test_n33_a_long_chain_of_parents_is_walked_without_recursion(
    mstore: Callable[..., Any], stand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six times what Python's recursion allows finds recursion as well as a million would.

    A million takes ten minutes, most of it to write them; 200,000 is among the slow tests.
    """
    monkeypatch.setattr(sys, "setrecursionlimit", lambda limit: pytest.fail("the limit was raised"))
    assert sys.getrecursionlimit() <= 1000
    _walk_a_chain(mstore, stand, 6_000)


@pytest.mark.slow
def test_n33_two_hundred_thousand_parents(mstore: Callable[..., Any], stand: Path) -> None:
    _walk_a_chain(mstore, stand, 200_000)


# -- 34: bombs


def _bomb(size: int, *, with_size: bool) -> bytes:
    parameters = zstandard.ZstdCompressor(level=1, write_content_size=with_size)
    maker = parameters.compressobj(size=size if with_size else -1)
    zeros = bytes(16 << 20)
    parts = [maker.compress(zeros) for _ in range(size // len(zeros))]
    return b"".join(parts) + maker.flush()


@numbered("with_size", {"n34-size-declared": True, "n34-size-unknown": False})
def test_a_frame_that_inflates_past_its_size(
    mstore: Callable[..., Any], stand: Path, with_size: bool
) -> None:
    """2 GB of zeros where 4,096 bytes are declared, in a process that may have 1 GB."""
    plane = _bomb(2 << 30, with_size=with_size)
    content = bytes(4096)
    stored = b"\1" + struct.pack("<I", len(plane)) + plane
    store = opened(stand)
    write_pack(store, _stored(content, 4096, stored))
    store.close()
    plant_files(stand, [ManifestFile("m.bin", "weights", 4096, (Segment(blob_id(content), 0, 4096),))])
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
    code += "from mstore.cli import run; sys.exit(run(sys.argv[1:]))"
    for command in (["cat", "planted", "m.bin"], ["fsck"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 4, done.stderr
        assert "Traceback" not in done.stderr
    mstore("checkout", "planted", "--to", "to", code=4)
    assert not (stand / "to").exists()


@numbered("declared", {"n34-one-byte-more": 4095, "n34-one-byte-less": 4097})
def test_a_plane_of_another_size(store: Store, declared: int) -> None:
    plane = zstandard.compress(CONTENT[:4096])
    stored = b"\1" + struct.pack("<I", len(plane)) + plane
    head, blocks = _stored(CONTENT[:declared], declared, stored)
    write_pack(store, (head, blocks))
    with pytest.raises(Corrupt):
        store.get(head.id)


# -- 35: encodings that are not the one


def _map(*pairs: tuple[str, Any]) -> bytes:
    """A CBOR map of pairs in this very order."""
    return bytes([0xA0 + len(pairs)]) + b"".join(cbor2.dumps(k) + cbor2.dumps(v) for k, v in pairs)


def _commit_pairs(**more: Any) -> list[tuple[str, Any]]:
    plain = cbor2.loads(commit_of(EMPTY.id).encoded)
    plain.update(more)
    return sorted(plain.items(), key=lambda kv: cbor2.dumps(kv[0]))


ENCODINGS: dict[str, bytes] = {
    "n35-field-twice": _map(*_commit_pairs()[:3], _commit_pairs()[2], *_commit_pairs()[3:]),
    "n35-field-twice-other-value": _map(("time", [1, 0]), *_commit_pairs()),
    "n35-unsorted": _map(*reversed(_commit_pairs())),
    "n35-critical-field": _map(*_commit_pairs(Expires=1)),
    "n35-a-critical-field-of-another-script": _map(*_commit_pairs(Änderung=1)),
    "n35-long-integer": commit_of(EMPTY.id).encoded.replace(
        cbor2.dumps("time") + b"\x82", cbor2.dumps("time") + b"\x98\x02"
    ),
    "n35-indefinite-map": b"\xbf" + commit_of(EMPTY.id).encoded[1:] + b"\xff",
    "n35-trailing-byte": commit_of(EMPTY.id).encoded + b"\0",
    "n35-cut-short": commit_of(EMPTY.id).encoded[:-1],
    "n35-empty": b"",
    "n35-a-list": cbor2.dumps([]),
    "n35-tagged": b"\xd9\xd9\xf7" + commit_of(EMPTY.id).encoded,
    "n35-date-tag": _map(*_commit_pairs(message=cbor2.CBORTag(0, "2026-01-01T00:00:00Z"))),
    "n35-number-as-key": b"\xa1\x01\x02",
    "n35-nested-70-deep": _map(*_commit_pairs(extra=json.loads("[" * 70 + "]" * 70))),
    "n35-nested-100,000-deep": b"\x81" * 100_000 + b"\x80",
    "n35-array-of-4-billion": b"\x9a\xff\xff\xff\xff",
    "n35-string-of-2**62": b"\x7b\x40\0\0\0\0\0\0\0",
    "n35-bad-UTF-8": b"\xa1\x61\xff\x01",
    "n35-another-NaN": _map(*_commit_pairs(x=0)).replace(
        cbor2.dumps("x") + b"\0", cbor2.dumps("x") + b"\xf9\x7e\x01"
    ),
    "n35-wide-float": _map(*_commit_pairs(x=0)).replace(
        cbor2.dumps("x") + b"\0", cbor2.dumps("x") + b"\xfb" + struct.pack(">d", 1.0)
    ),
    "n35-undefined": _map(*_commit_pairs(x=0)).replace(
        cbor2.dumps("x") + b"\0", cbor2.dumps("x") + b"\xf7"
    ),
    "n35-bignum": _map(*_commit_pairs(x=2**70)),
    "n35-simple-value": _map(*_commit_pairs(x=0)).replace(
        cbor2.dumps("x") + b"\0", cbor2.dumps("x") + b"\xe5"
    ),
    "n35-time-out-of-range": _map(*_commit_pairs(time=[2**63, 0])),
    "n35-zone-out-of-range": _map(*_commit_pairs(time=[0, 100_000])),
    "n35-short-parent": _map(*_commit_pairs(parents=[b"\1" * 31])),
    "n35-metric-of-text": _map(*_commit_pairs(metrics={"loss": "low"})),
    "n35-message-of-bytes": _map(*_commit_pairs(message=b"m")),
    "n35-no-author": _map(*[p for p in _commit_pairs() if p[0] != "author"]),
}


@numbered("encoded", ENCODINGS)
def test_encodings(mstore: Callable[..., Any], stand: Path, encoded: bytes) -> None:
    with pytest.raises(InvalidInput):
        Commit.decode(encoded)
    id = object_id(Kind.COMMIT, encoded)
    store = opened(stand)
    write_pack(store, planted(id, encoded), planted(EMPTY.id, EMPTY.encoded))
    point(store, id)
    store.close()
    for command in (
        ["log", "planted"],
        ["show", "planted"],
        ["log", "--all"],
        ["checkout", "planted", "--to", "to"],
    ):
        code, _, err = mstore(*command, code=None)
        assert code in (4, 6), err
    assert not (stand / "to").exists()
    _, out, _ = mstore("fsck", code=4)
    assert id.short in out
    mstore("log")


def test_n35_what_is_optional_is_kept(mstore: Callable[..., Any], stand: Path) -> None:
    encoded = _map(*_commit_pairs(zebra=[1, None, {"a": b"x"}]))
    commit = Commit.decode(encoded)
    assert commit.encoded == encoded
    store = opened(stand)
    write_pack(store, planted(commit.id, encoded), planted(EMPTY.id, EMPTY.encoded))
    point(store, commit.id)
    store.close()
    mstore("log", "planted")
    mstore("fsck")


@numbered(
    "plain",
    {
        "n35-manifest-unsorted": {"files": [["b"], ["a"]]},
        "n35-manifest-path-twice": {"files": [["a"], ["a"]]},
        "n35-manifest-critical": {"files": [], "Rules": 1},
        "n35-manifest-file-critical": {"files": [["a", {"Mode": 0o755}]]},
    },
)
def test_encodings_of_manifests(mstore: Callable[..., Any], stand: Path, plain: dict[str, Any]) -> None:
    files = [
        {"path": f[0], "role": "other", "size": 0, "segments": [], **(f[1] if len(f) > 1 else {})}
        for f in plain["files"]
    ]
    raw = cbor2.dumps({**plain, "files": files}, canonical=True)
    with pytest.raises(BadEncoding):
        Manifest.decode(raw)
    plant_files(stand, [], raw=raw)
    with Unchanged(stand, stand / "out"):
        for command in (
            ["checkout", "planted"],
            ["checkout", "planted", "--to", "to"],
            ["ls", "planted"],
        ):
            mstore(*command, code=6)
    mstore("fsck", code=4)


def test_n35_metadata_cannot_make_an_encoding_that_has_tags(
    mstore: Callable[..., Any], stand: Path
) -> None:
    """docs/format.md 4: no tags. An integer beyond 64 bits would need one (a bignum)."""
    (stand / "meta.json").write_text('{"seed": 123456789012345678901234567890}')
    for more in (["--meta", "seed=123456789012345678901234567890"], ["--meta-file", "meta.json"]):
        code, out, err = mstore(
            "commit", "out", "--allow-empty", "--branch", "b", "--json", *more, code=None
        )
        if code == 0:
            store = opened(stand)
            encoded = store.get(CommitId.parse(json.loads(out)["id"]))
            assert b"\xc2" not in encoded.partition(b"dseed")[2][:1], "a commit holds tag 2"
        else:
            assert code == 6 and "seed" in err


# -- 36: torn refs

TORN: dict[str, Callable[[bytes], bytes]] = {
    "n36-empty": lambda was: b"",
    "n36-NULs": lambda was: bytes(len(was)),
    "n36-torn": lambda was: was[: len(was) // 2],
    "n36-no-line-end": lambda was: was[:-1],
    "n36-two-lines": lambda was: was + was,
    "n36-a-carriage-return": lambda was: was[:-1] + b"\r\n",
    "n36-a-bare-id": lambda was: was.split()[3] + b"\n",
    "n36-huge": lambda was: was * 100_000,
}


@numbered("tear", TORN)
def test_torn_refs(mstore: Callable[..., Any], stand: Path, tear: Callable[[bytes], bytes]) -> None:
    id = json.loads(mstore("log", "--json")[1])["versions"][0]["id"]
    mstore("branch", "well")
    ref = stand / ".mstore/store/refs/heads/main"
    right = ref.read_bytes()
    ref.write_bytes(tear(right))
    with Unchanged(stand, stand / "out"):
        for command in (
            ["log"],
            ["show", "main"],
            ["status"],
            ["commit", "out", "--allow-empty", "-m", "x"],
        ):
            _, _, err = mstore(*command, code=4)
            assert "refs/heads/main" in err and "fsck" in err
        mstore("cat", "well", "config.json")
        mstore("checkout", "well", "--to", "to")
        _, out, _ = mstore("fsck", code=4)
    assert "refs/heads/main" in out and id in out
    # What fsck proposes works as it is written.
    (proposed,) = [line.split("`")[1] for line in out.splitlines() if "`mstore branch -f main" in line]
    mstore(*proposed.split()[1:])
    assert json.loads(mstore("log", "--json")[1])["versions"][0]["id"] == id
    mstore("fsck")


def test_n36_other_branches_can_be_looked_at(mstore: Callable[..., Any], stand: Path) -> None:
    """What is torn is HEAD's branch; a question about another one has nothing to do with it."""
    mstore("branch", "well")
    (stand / ".mstore/store/refs/heads/main").write_bytes(b"")
    for command in (["log", "well"], ["show", "well"], ["ls", "well"], ["branch"], ["log", "--all"]):
        code, out, err = mstore(*command, code=None)
        assert code == 0 and out, f"{command}: {err}"


@numbered("namespace", {"n36-tag": "tags", "n36-note": "notes"})
def test_torn_tags_and_notes(mstore: Callable[..., Any], stand: Path, namespace: str) -> None:
    mstore("tag", "v1", "-m", "first")
    mstore("note", "HEAD", "--metric", "late=1")
    (ref,) = (stand / f".mstore/store/refs/{namespace}").iterdir()
    target = ref.read_bytes().split()[3].decode()
    ref.write_bytes(b"")
    _, out, _ = mstore("fsck", code=4)
    assert f"refs/{namespace}/{ref.name}" in out
    assert target in out, "the value that the reflog has is offered"
    code, out, _ = mstore("log", code=None)
    assert code == 4 or "right" in out


# -- 37, 38: names

NAMES = {
    "n37-two-dots": "a..b",
    "n37-at-brace": "a@{1}",
    "n37-lock": "x.lock",
    "n37-lock-inside": "x.lock/y",
    "n37-dash": "-x",
    "n37-dash-inside": "a/-x",
    "n37-dot": ".x",
    "n37-escape": "a\x1b[2J",
    "n37-newline": "a\nb",
    "n37-trailing-CR": "main\r",
    "n37-tab": "a\tb",
    "n37-DEL": "a\x7f",
    "n37-C1": "a\x9b31m",
    "n37-bidi": "a\u202etxt",
    "n37-zero-width": "ma\u200bin",
    "n37-climbing": "../../HEAD",
    "n37-absolute": "/etc/passwd",
    "n37-HEAD": "HEAD",
    "n37-at": "@",
    "n37-empty": "",
    "n37-long": "x" * 201,
    "n37-a-part-of-256": "y/" * 20 + "x" * 256,
    "n37-invalid-UTF-8": "\udcff",
}


@numbered("name", NAMES)
def test_names(mstore: Callable[..., Any], stand: Path, name: str) -> None:
    (stand / "out/extra.txt").write_text("new")
    with Unchanged(stand, stand / "out"):
        for command in (
            ["branch", "--", name],
            ["tag", "-m", "x", "--", name],
            ["branch", "main", "--rename", name],
            ["checkout", "-b", name],
            ["commit", "out", "--branch", name],
            ["import", "out", "--branch", name],
        ):
            _, out, err = mstore(*command, code=6)
            assert out == "" and "\x1b" not in err and "\r" not in err


@numbered(
    "names",
    {
        "n38-file-and-folder": ("a", "a/b"),
        "n38-folder-and-file": ("a/b", "a"),
        "n38-case": ("Run", "run"),
        "n38-case-of-a-folder": ("Run/a", "run/b/c"),
        "n38-normal-form": ("e\u0301", "\u00e9"),
        "n38-compatibility": ("\ufb01ne", "fine"),
    },
)
def test_names_that_collide(mstore: Callable[..., Any], stand: Path, names: tuple[str, str]) -> None:
    first, second = names
    for kind in ("branch", "tag"):
        mstore(kind, first)
        with Unchanged(stand):
            _, _, err = mstore(kind, second, code=5)
        assert first in err


@numbered("names", {"n38-commit-file-and-folder": ("a", "a/b"), "n38-commit-case": ("Run", "run")})
def test_a_commit_to_a_name_that_collides(
    mstore: Callable[..., Any], stand: Path, names: tuple[str, str]
) -> None:
    """Refused before anything is read or stored: a model of 2 GB is not stored in vain."""
    mstore("branch", names[0])
    with Unchanged(stand, stand / "out"):
        _, _, err = mstore("commit", "out", "--allow-empty", "--branch", names[1], "-m", "x", code=5)
    assert names[0] in err


@numbered("names", {"n38-a-folder-that-is-gone": ("a/b", "a"), "n38-a-file-that-is-gone": ("a", "a/b")})
def test_a_name_is_free_again_once_the_other_is_deleted(
    mstore: Callable[..., Any], stand: Path, names: tuple[str, str]
) -> None:
    for kind in ("branch", "tag"):
        mstore(kind, names[0])
        mstore(kind, "-d", names[0])
        mstore(kind, names[1])
        mstore("log", names[1])
    mstore("fsck")


# -- 39: links in a store


def _link(path: Path, elsewhere: Path) -> None:
    """Move something out of a store and put a link in its place."""
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _ref(store: Path) -> Path:
    return store / "refs/heads/main"


def _pack(store: Path) -> Path:
    return next(store.rglob("*.pack"))


LINKS: dict[str, Callable[[Path], Path]] = {
    "n39-ref": _ref,
    "n39-folder-of-a-branch": lambda store: store / "refs/heads/lora",
    "n39-pack": _pack,
    "n39-folder-of-refs": lambda store: store / "refs/heads",
    "n39-all-refs": lambda store: store / "refs",
    "n39-folder-of-packs": lambda store: _pack(store).parent,
    "n39-all-packs": lambda store: store / "packs",
}


@numbered("place", LINKS)
def test_links_in_a_store(
    mstore: Callable[..., Any], stand: Path, place: Callable[[Path], Path]
) -> None:
    """Whoever can plant a link must not make us read, or write, elsewhere."""
    store = stand / ".mstore/store"
    mstore("checkout", "-b", "lora/r8")
    target = place(store)
    _link(target, stand / "elsewhere/thing")
    (stand / "out/config.json").write_text('{"seed": 5}')
    before = listing(stand / "elsewhere")
    code, out, err = mstore("fsck", code=4)
    assert "symbolic link" in out + err
    for command in (["log"], ["show", "lora/r8"], ["commit", "out", "-m", "x"]):
        code, _, err = mstore(*command, code=None)
        if target.name not in ("main", "lora") and "pack" not in str(target):
            assert code == 4 and "symbolic link" in err, (command, code, err)
    if target.name == "lora":
        _, _, err = mstore("show", "lora/r8", code=4)
    assert listing(stand / "elsewhere") == before, "nothing was written through the link"


@numbered(
    "name",
    {
        "n39-logs": "logs",
        "n39-log-of-a-branch": "logs/heads/main",
        "n39-tmp": "tmp",
        "n39-locks": "locks",
    },
)
def test_nothing_is_written_through_links(mstore: Callable[..., Any], stand: Path, name: str) -> None:
    _link(stand / ".mstore/store" / name, stand / "elsewhere/thing")
    before = listing(stand / "elsewhere")
    (stand / "out/config.json").write_text('{"seed": 5}')
    code, _, err = mstore("commit", "out", "-m", "x", code=None)
    assert code in (1, 4, 6), "a commit through a link succeeded"
    assert "link" in err
    assert listing(stand / "elsewhere") == before


# -- 40: XXH3 is no identity

# Public: the default secret of XXH3 (its first bytes are all that is needed here).
SECRET = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1c")


def collision(size: int = 8192) -> tuple[bytes, bytes]:
    """Two buffers with one XXH3-64 and one XXH3-128.

    Each lane of a stripe adds to one accumulator the product of the two halves
    of (bytes xor secret), and to its neighbour the bytes. With a low half that
    equals the secret's the product is 0, and then only the sum of the bytes over
    the stripes of a block counts: move some from one stripe to the next.
    """
    rng = np.random.default_rng(40)
    base = bytearray(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
    lows = [struct.unpack_from("<I", SECRET, 8 * stripe)[0] for stripe in (0, 1)]
    made = []
    for shift in (0, 12345):
        content = bytearray(base)
        for stripe, high in ((0, 1000 + shift), (1, 99999 - shift)):
            struct.pack_into("<II", content, 64 * stripe, lows[stripe], high)
        made.append(bytes(content))
    return made[0], made[1]


def test_n40_two_blobs_of_one_xxh3_are_two(mstore: Callable[..., Any], stand: Path) -> None:
    one, other = collision()
    assert one != other
    assert xxhash.xxh3_64_digest(one) == xxhash.xxh3_64_digest(other)
    assert xxhash.xxh3_128_digest(one) == xxhash.xxh3_128_digest(other)
    tensors = {"a": np.frombuffer(one, np.uint8), "b": np.frombuffer(other, np.uint8)}
    save_tensors(stand / "twins/model.safetensors", tensors)
    mstore("commit", "twins", "-m", "twins", "--branch", "b")
    mstore("checkout", "b", "--to", "back")
    assert contents(stand / "back") == contents(stand / "twins")
    store = opened(stand)
    assert store.get(blob_id(one)) == one and store.get(blob_id(other)) == other
    # The one after the other, too: the second is not taken for stored.
    save_tensors(stand / "twins/model.safetensors", {"a": np.frombuffer(other, np.uint8)})
    mstore("commit", "twins", "-m", "one", "--branch", "b")
    assert b"".join(store.stream(BlobId(blob_id(other).raw))) == other
    _, out, _ = mstore("diff", "b~1", "b", "--json")
    assert [t["name"] for t in json.loads(out)["tensors"]["changed"]] == ["a"]


def test_n40_bytes_swapped_for_others_of_one_xxh3_are_found(
    mstore: Callable[..., Any], stand: Path
) -> None:
    """Whoever edits a pack can keep every checksum right; ids are what cannot be kept."""
    one, other = collision()
    save_tensors(stand / "twin/model.safetensors", {"a": np.frombuffer(one, np.uint8)})
    mstore("commit", "twin", "-m", "twin", "--branch", "b")
    (pack,) = [p for p in (stand / ".mstore/store/packs").rglob("*.pack") if one in p.read_bytes()]
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes().replace(one, other))
    mstore("fsck", "--quick")
    _, out, _ = mstore("fsck", code=4)
    assert "hash" in out
    mstore("checkout", "b", "--to", "back", code=4)
    mstore("cat", "b", "model.safetensors", code=4)
    assert not (stand / "back").exists()


# -- 41: packs cut and flipped

PARTS: dict[str, Callable[[int], int]] = {
    "n41-magic": lambda size: 3,
    "n41-frame-head": lambda size: 20,
    "n41-first-block": lambda size: 400,
    "n41-middle": lambda size: size // 2,
    "n41-footer": lambda size: size - 100,
    "n41-footer-size": lambda size: size - 24,
    "n41-footer-sum": lambda size: size - 12,
    "n41-end-magic": lambda size: size - 1,
}


def _two_packs(mstore: Callable[..., Any], stand: Path) -> Path:
    """A second version in a pack of its own; gives that pack."""
    before = set((stand / ".mstore/store/packs").rglob("*.pack"))
    write_model(stand / "out", seed=9, elements=3000)
    mstore("commit", "out", "-m", "second")
    (pack,) = set((stand / ".mstore/store/packs").rglob("*.pack")) - before
    pack.chmod(0o644)
    return pack


@numbered("place", PARTS)
def test_flipped_bytes(mstore: Callable[..., Any], stand: Path, place: Callable[[int], int]) -> None:
    first = contents(stand / "out")
    pack = _two_packs(mstore, stand)
    content = bytearray(pack.read_bytes())
    content[place(len(content))] ^= 0x40
    pack.write_bytes(content)
    _, out, _ = mstore("fsck", code=4)
    assert pack.name[:12] in out
    mstore("fsck", "--quick", code=4)
    mstore("checkout", "HEAD@{1}", "--to", "first")
    assert contents(stand / "first") == first, "the rest is readable"
    code, _, err = mstore("checkout", "main", "--to", "second", code=None)
    assert code in (0, 4), err
    if code == 0:
        assert contents(stand / "second") == contents(stand / "out")
    else:
        assert not (stand / "second").exists()


@numbered(
    "left", {"n41-empty": 0, "n41-cut-to-a-byte": 1, "n41-cut-in-half": 0.5, "n41-one-byte-short": -1}
)
def test_packs_cut_short(mstore: Callable[..., Any], stand: Path, left: float) -> None:
    first = contents(stand / "out")
    pack = _two_packs(mstore, stand)
    size = pack.stat().st_size
    os.truncate(pack, int(size * left) if 0 < left < 1 else int(left) % size)
    _, out, _ = mstore("fsck", code=4)
    assert pack.name[:12] in out
    _, _, err = mstore("checkout", "main", "--to", "second", code=4)
    assert "damaged" in err or "pack" in err
    mstore("checkout", "HEAD@{1}", "--to", "first")
    assert contents(stand / "first") == first


def test_n41_without_a_catalog_too(mstore: Callable[..., Any], stand: Path) -> None:
    pack = _two_packs(mstore, stand)
    os.truncate(pack, 100)
    for file in (stand / ".mstore/cache").iterdir():
        file.unlink()
    _code, _, err = mstore("log", code=4)
    assert pack.name[:12] in err
    (out,) = json.loads(mstore("log", "main@{1}", "--json")[1])["versions"]
    assert out["message"] == "right"


def test_errors_of_this_page_are_typed() -> None:
    for kind in (BadEncoding, BadPath, Corrupt):
        assert issubclass(kind, MStoreError)
