"""reflog: the recorded moves of branches and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.errors import RevisionNotFound, UsageError
from mstore.store import Record, check_ref_name

if TYPE_CHECKING:
    from mstore.context import Context


def full_name(context: Context, name: str) -> str:
    """Find a ref with its namespace: a branch, else a tag, else one that has a reflog.

    Raises:
        RevisionNotFound: there is none.
    """
    if name in ("HEAD", "@"):
        head = context.head
        if head is None or head.branch is None:
            why = "HEAD is detached" if head is not None else "a store without a workspace has no HEAD"
            raise UsageError(why, hint="name a branch: `mstore branch` lists them")
        name = head.branch
    check_ref_name(name)
    refs = context.store.refs
    for namespace in ("heads", "tags"):
        if name in set(refs.names(namespace)):
            return f"{namespace}/{name}"
    for namespace in ("heads", "tags"):
        if name in refs.logged(namespace):
            return f"{namespace}/{name}"
    raise RevisionNotFound(name)


def reflog(context: Context, name: str | None = None) -> tuple[str, tuple[Record, ...]]:
    """Give moves of a ref, the latest first, and the ref's name with namespace.

    Raises:
        RevisionNotFound, NotFound, Corrupt.
    """
    full = full_name(context, name or "HEAD")
    return full, context.store.refs.log(full)
