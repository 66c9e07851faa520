"""Making and finding repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.errors import StorageFailed


def test_init_refuses_where_locks_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mstore.api.discovery.locks_work", lambda path: False)
    with pytest.raises(StorageFailed, match="locks do not work"):
        mstore.init(tmp_path)
