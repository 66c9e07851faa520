"""A workspace: what it says of itself, and where its caches lie."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from tests.conftest import write_model


def test_no_catalog_lies_on_a_network_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mstore.workspace import workspace

    monkeypatch.setattr(workspace, "network_type", lambda path: "nfs4")
    monkeypatch.setattr(workspace, "USER_CACHE", tmp_path / "home")
    repo = mstore.init(tmp_path / "run")
    write_model(tmp_path / "out")
    repo.commit(tmp_path / "out")
    assert {p.name for p in (tmp_path / "home").rglob("*.sqlite")} == {"catalog.sqlite", "stat.sqlite"}
    assert not list((tmp_path / "run").rglob("*.sqlite"))
