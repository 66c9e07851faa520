"""fsck: check that no stored object is damaged or lost.

From the bytes up (every pack, every block: `check_packs`) and from the names down (refs:
`check_refs`; commits, manifests, blobs: `check_history`). It changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.maintain.check_history import check_commits
from mstore.maintain.check_packs import check_packs
from mstore.maintain.check_refs import check_refs
from mstore.maintain.findings import Findings, FsckResult, Problem, result_of

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.progress import Progress


def fsck(context: Context, *, quick: bool = False, progress: Progress | None = None) -> FsckResult:
    """Check a store.

    Args:
        context: the store, and the workspace if there is one.
        quick: check stored bytes by their sums at memory speed; decode and hash nothing.
        progress: is called with the bytes checked so far.

    Raises:
        StorageFailed: the system failed.
    """
    return result_of(check(context, quick=quick, progress=progress))


def check(context: Context, *, quick: bool, progress: Progress | None) -> Findings:
    """Check a store, and return all findings; see `fsck`."""
    store = context.store
    store.rebuild()
    findings = Findings(quick=quick)
    findings.packs_seen = check_packs(store, findings, quick, progress)
    tips = check_refs(context, findings)
    findings.commits = check_commits(store, tips, findings)
    return findings


__all__ = ["Findings", "FsckResult", "Problem", "check", "fsck", "result_of"]
