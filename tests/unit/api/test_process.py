"""What concerns this process: its kernel, and the temporary files that it has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.process import kernel_name, remove_temporary_files
from mstore.codec import kernel
from mstore.fs.temp import TemporaryFile


def test_the_kernel_is_called_by_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel_name() == ("C" if kernel.kernel_is_native() else "numpy")
    monkeypatch.setattr(kernel, "NAME", "another")
    assert kernel_name() == "another"


def test_what_an_interruption_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.tmp").write_bytes(b"of somebody else")
    TemporaryFile(tmp_path, "left.tmp", 0o600)
    remove_temporary_files()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tmp"]
    remove_temporary_files()
