"""What store.json says: which store it is, and what a program must know to use it."""

from __future__ import annotations

import json

import pytest

from mstore.backend import MemoryBackend
from mstore.errors import Conflict, Corrupt, InvalidInput, NoStore, Unsupported
from mstore.store import STORE_FILE
from mstore.store.identity import (
    CASTS,
    WRITE_FEATURES,
    create_identity,
    encode_identity,
    parse_identity,
    read_identity,
    with_feature,
)


@pytest.fixture
def backend() -> MemoryBackend:
    backend = MemoryBackend()
    create_identity(backend)
    return backend


def test_a_new_store_has_an_id_and_the_features_that_it_needs(backend: MemoryBackend) -> None:
    found = read_identity(backend)
    assert len(bytes.fromhex(found.id)) == 16 and not found.shared
    assert found.read == ("pack-1",) and set(found.write) == WRITE_FEATURES and found.optional == ()
    with pytest.raises(InvalidInput, match="is a store already"):
        create_identity(backend)
    other = MemoryBackend()
    create_identity(other, shared=True)
    assert read_identity(other).shared and read_identity(other).id != found.id


def test_where_there_is_none_it_is_said() -> None:
    with pytest.raises(NoStore) as met:
        read_identity(MemoryBackend())
    assert "mstore init" in str(met.value.hint)


def test_a_feature_is_added_once_and_by_one(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_feature(backend, CASTS, reading=True).read == (CASTS, "pack-1")
    assert with_feature(backend, "new-1", reading=False).write == ("leans-1", "new-1", "refs-1")
    again = with_feature(backend, CASTS, reading=True)
    assert again == read_identity(backend) and again.read.count(CASTS) == 1
    monkeypatch.setattr(MemoryBackend, "compare_and_swap", lambda *_: False)
    with pytest.raises(Conflict, match="another process changed"):
        with_feature(backend, "other-1", reading=False)


def test_what_a_newer_program_must_know_is_named(backend: MemoryBackend) -> None:
    with_feature(backend, "new-2", reading=True)
    with pytest.raises(Unsupported, match="needs new-2") as met:
        read_identity(backend)
    assert met.value.hint == "use a newer mstore"


def test_the_checksum_is_of_what_is_said_however_it_is_spaced(backend: MemoryBackend) -> None:
    content = backend.get(STORE_FILE)
    spaced = json.dumps(json.loads(content), indent=7, sort_keys=True).encode()
    assert parse_identity(spaced, "x") == parse_identity(content, "x")
    for change in ({"shared": True}, {"id": "00" * 16}, {"sum": "0" * 16}):
        changed = json.dumps({**json.loads(content), **change}).encode()
        with pytest.raises(Corrupt, match="does not have its checksum"):
            parse_identity(changed, "x")


def test_a_store_of_the_first_release_has_no_checksum() -> None:
    features = {"read": ["pack-1"], "write": ["refs-1"], "optional": []}
    old = json.dumps({"id": "ab" * 16, "features": features}).encode()
    assert parse_identity(old, "x").id == "ab" * 16
    features["write"].append("leans-1")
    with pytest.raises(Corrupt, match="does not have its checksum"):
        parse_identity(json.dumps({"id": "ab" * 16, "features": features}).encode(), "x")


@pytest.mark.parametrize("content", [b"", b"noise", b"[]", b"3", b"{}", b'{"features": 3}', b"\xff"])
def test_what_cannot_be_read_is_corrupt_and_named(content: bytes) -> None:
    with pytest.raises(Corrupt) as met:
        parse_identity(content, "/x/store.json")
    assert met.value.where == "/x/store.json"


def test_an_id_that_is_no_number_is_corrupt() -> None:
    fields = {"id": "xyz", "features": {"read": [], "write": [], "optional": []}}
    with pytest.raises(Corrupt, match="cannot be read"):
        parse_identity(encode_identity(fields), "x")
