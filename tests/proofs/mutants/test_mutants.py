"""The list of what durability rests on fits the source, and a few of it are taken out."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from tests.proofs.mutants.run import caught_by, workshop
from tests.proofs.mutants.sites import mutants

PACKAGE = Path(mstore.__file__).parent
# One of a kind, each caught by a proof that needs neither root nor minutes.
FEW = (
    "backend/upload.py:finish:fsync_folder",
    "store/refs.py:move:compares the target",
    "store/transaction.py:publish:_store.lacks",
)


def test_every_site_is_found_once() -> None:
    found = mutants(PACKAGE)
    assert len({m.name for m in found}) == len(found) > 40
    for mutant in found:
        compile(mutant.source, mutant.file, "exec")
        assert mutant.source != (PACKAGE / mutant.file).read_text("utf-8"), mutant.name


@pytest.mark.parametrize("name", FEW)
def test_a_few_are_caught(tmp_path: Path, name: str) -> None:
    """All of them: `make proof-mutants`."""
    (mutant,) = [m for m in mutants(PACKAGE) if m.name == name]
    scratch = workshop(tmp_path)
    (scratch / "mstore" / mutant.file).write_text(mutant.source, "utf-8")
    assert caught_by(mutant, scratch)
