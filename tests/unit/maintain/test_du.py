"""du: what versions take, added up."""

from __future__ import annotations

from pathlib import Path

from tests.unit.maintain.conftest import drifting


def test_du_looks_at_the_packs_as_often_whatever_it_counts(tmp_path: Path) -> None:
    """What is asked after all copies of each blob is the catalog, neither the disk nor the trash."""
    repo, _ = drifting(tmp_path, versions=3)
    looks: list[str] = []
    backend = repo.store.backend
    stamp, listed = backend.change_token, backend.list
    backend.change_token = lambda prefix: looks.append(prefix) or stamp(prefix)  # type: ignore[method-assign, func-returns-value]
    backend.list = lambda prefix: looks.append(prefix) or listed(prefix)  # type: ignore[method-assign, func-returns-value]
    assert len(repo.du("HEAD", "HEAD~1").commits) == 2
    assert looks.count("packs/00") <= 2 and "trash" not in looks
