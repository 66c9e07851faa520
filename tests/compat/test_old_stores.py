"""Stores that earlier releases wrote are read, byte for byte."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

import mstore
from tests.conftest import contents

STORES = sorted((Path(__file__).parent / "stores").glob("*.tar.gz"))


def test_there_are_some() -> None:
    assert STORES


@pytest.mark.parametrize("archive", STORES, ids=lambda p: p.name.removesuffix(".tar.gz"))
def test_an_old_store_is_read(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    expected = json.loads(archive.with_name(archive.name.replace(".tar.gz", ".json")).read_text())
    refs = expected.pop("refs")
    repo = mstore.open(store=tmp_path / "store", cache=tmp_path / "cache")
    assert repo.fsck().ok
    found = {
        **{f"heads/{b}": i.hex for b, i in repo.branches().items()},
        **{f"tags/{t.name}": t.id.hex for t in repo.list_tags()},
    }
    assert found == refs
    for id, files in expected.items():
        repo.checkout(id, to=tmp_path / id)
        got = {p: hashlib.sha256(c).hexdigest() for p, c in contents(tmp_path / id).items()}
        assert got == files
    entry = repo.show("main").entry
    assert entry.metrics["late"] == 2.0 and entry.metadata["verdict"] == "ok"
    assert entry.metrics["odd"] != entry.metrics["odd"]
    # Writing goes on where the old release stopped.
    (tmp_path / "more").mkdir()
    (tmp_path / "more/model.bin").write_bytes(b"new")
    made = repo.commit(tmp_path / "more", branch="main", message="by a later release")
    assert made.commit.parents[0].hex == refs["heads/main"]
    assert repo.fsck().ok
