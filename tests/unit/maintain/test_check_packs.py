"""Packs checked from the bytes up: each damage is named, and what is whole beside it stays so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mstore.maintain.check_packs import check_pack_file, check_packs
from mstore.maintain.findings import Findings
from mstore.objects import BlobId, blob_id
from mstore.store import Store
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction

ONE, TWO = b"one" * 5000, b"two" * 5000


def _put(store: Store, *contents: bytes) -> Path:
    """Blobs in one pack; gives its file."""
    with Transaction(store, threads=1) as transaction:
        for content in contents:
            transaction.put_bytes(content)
        (name,) = transaction.publish()
    path = store.path / pack_key(name)
    path.chmod(0o644)
    return path


def _checked(store: Store, *, quick: bool = False) -> Findings:
    findings = Findings(quick=quick)
    findings.packs_seen = check_packs(store, findings, quick, None)
    return findings


def _stored_at(store: Store, path: Path, id: BlobId) -> int:
    """Where the stored bytes of an object begin."""
    frames = store.footer(bytes.fromhex(path.stem))
    return next(f.block_offsets[0] for f in frames if f.head.id == id)


def _change(path: Path, change: Callable[[bytearray], object]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


@pytest.mark.parametrize("quick", [True, False])
def test_sound_packs_are_counted(store: Store, quick: bool) -> None:
    _put(store, ONE)
    _put(store, TWO, b"")
    told: list[tuple[int, int]] = []
    findings = Findings()
    count = check_packs(store, findings, quick, lambda what, done, total: told.append((done, total)))
    assert count == 2 and findings.problems == [] and findings.objects == 3
    assert findings.good == {blob_id(ONE), blob_id(TWO), blob_id(b"")} and findings.bad == {}
    assert told[-1] == (store.stored_bytes(), store.stored_bytes()) and findings.bytes_read > 0


@pytest.mark.parametrize("quick", [True, False])
def test_a_flipped_bit_costs_one_object(store: Store, quick: bool) -> None:
    path = _put(store, ONE, TWO)
    at = _stored_at(store, path, blob_id(ONE)) + 3
    _change(path, lambda content: content.__setitem__(at, content[at] ^ 1))
    findings = _checked(store, quick=quick)
    assert set(findings.bad) == {blob_id(ONE)} and findings.good == {blob_id(TWO)}
    (problem,) = findings.problems
    assert path.stem[:12] in problem.where and findings.packs == {bytes.fromhex(path.stem)}


def test_another_copy_makes_an_object_good(store: Store) -> None:
    path = _put(store, ONE)
    at = _stored_at(store, path, blob_id(ONE)) + 3
    with Transaction(store, threads=1, rewrite=True) as transaction:
        name = bytes.fromhex(path.stem)
        transaction.copy(store.reader_of(name, store.footer(name)[0]), "")
        transaction.put_bytes(TWO)
        transaction.publish()
    _change(path, lambda content: content.__setitem__(at, content[at] ^ 1))
    findings = _checked(store)
    assert len(findings.problems) == 1 and findings.bad == {}
    assert findings.good == {blob_id(ONE), blob_id(TWO)}


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.__delitem__(slice(-1, None)),
        lambda content: content.__delitem__(slice(30, None)),
        lambda content: content.clear(),
        lambda content: content.__setitem__(len(content) - 20, content[-20] ^ 1),
        lambda content: content.__setitem__(0, 0),
        lambda content: content.__setitem__(slice(8, 8), b"x"),
    ],
    ids=["last byte", "tail", "all", "footer", "magic", "one more"],
)
def test_a_pack_of_another_form_is_named(store: Store, change: Callable[[bytearray], object]) -> None:
    path = _put(store, ONE)
    _change(path, change)
    findings = _checked(store, quick=True)
    assert findings.problems and findings.packs == {bytes.fromhex(path.stem)}
    assert all(path.stem[:12] in problem.where for problem in findings.problems)


def test_only_a_full_check_knows_an_object_that_is_not_its_id(store: Store) -> None:
    """All sums are right: whoever wrote it can compute those."""
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add_bytes(blob_id(ONE), TWO)
        upload.publish(pack_key(writer.seal()))
    store.refresh()
    assert _checked(store, quick=True).problems == []
    findings = _checked(store)
    assert set(findings.bad) == {blob_id(ONE)} and len(findings.problems) == 1


def test_a_file_that_is_no_pack_is_unusual_and_not_counted(store: Store) -> None:
    path = _put(store, ONE)
    (path.parent / "notes.txt").write_text("mine")
    findings = _checked(store)
    assert findings.problems == [] and findings.packs_seen == 1
    (warning,) = findings.warnings
    assert warning.where.endswith("notes.txt")


def test_a_pack_that_is_gone_is_no_damage_of_packs(store: Store) -> None:
    """What needs its objects misses them."""
    findings = Findings()
    check_pack_file(store, bytes(32), findings)
    assert findings == Findings()
