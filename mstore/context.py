"""The context of an operation: a store, perhaps a workspace on it, and who acts."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from typing import TYPE_CHECKING

from mstore.errors import DurabilityUnknown, MStoreError, UsageError
from mstore.frozen import frozen
from mstore.objects import CommitId, ObjectId, TagId, Time
from mstore.store import Move, Store
from mstore.workspace import Head, Operation, RefMove, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mstore.workspace.statcache import StatCache


@frozen
class Context:
    """The context of an operation.

    Args:
        store: the store.
        workspace: the workspace, or None where the store alone was named.
        author_given: who acts, or None: configuration, git's configuration, the login.
    """

    store: Store
    workspace: Workspace | None = None
    author_given: str | None = None

    @cached_property
    def author(self) -> str:
        """The author of changes."""
        if self.author_given:
            return self.author_given
        if self.workspace is not None:
            known = self.workspace.config().get("author")
            if known:
                return known
        return _git_author() or _login()

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Folders of the store and the workspace, which are no part of a model directory."""
        return (*self.store.folders, *((self.workspace.path,) if self.workspace is not None else ()))

    @property
    def stat_cache(self) -> StatCache | None:
        """The workspace's stat cache, or None without a workspace."""
        return self.workspace.stat_cache if self.workspace is not None else None

    @property
    def head(self) -> Head | None:
        """HEAD of the workspace, or None without one."""
        return self.workspace.head if self.workspace is not None else None

    def head_commit(self) -> CommitId | None:
        """Return HEAD's commit, or None on an unborn branch or without a workspace."""
        head = self.head
        if head is None:
            return None
        return head.commit if head.branch is None else self.branch_tip(head.branch)

    def branch_tip(self, branch: str) -> CommitId | None:
        """Give the commit of a branch, or None."""
        value = self.store.refs.read(f"heads/{branch}")
        return peeled(self.store, value.target) if value is not None else None

    def move(self, action: str, message: str) -> Move:
        """Make a record of a ref's move, by this author and now."""
        workspace = self.workspace.id if self.workspace is not None else None
        return Move(action, message, self.author, Time.now(), workspace)

    def set_head(self, head: Head) -> None:
        """Move HEAD. A commit without a branch is pinned in the store, so that gc sees it.

        Raises:
            UsageError: there is no workspace.
            StorageFailed: the system failed.
        """
        with self.prepare_head(head) as move:
            move()

    @contextlib.contextmanager
    def prepare_head(self, head: Head) -> Iterator[Callable[[], None]]:
        """Prepare `set_head` on the disk; yields a function that needs no more space to do it."""
        workspace = self.need_workspace("HEAD")
        with workspace.prepare_head(head) as move_head:
            yield lambda: self._set_head(head, move_head)

    def _set_head(self, head: Head, move_head: Callable[[], None]) -> None:
        pin = f"pins/{self.need_workspace('HEAD').id}"
        pinned = self.store.refs.read(pin)
        unconfirmed: list[DurabilityUnknown] = []
        if head.commit is not None and not self.store.read_only:
            move = self.move("stand", f"on {head.commit.short}")
            with defer_unconfirmed(unconfirmed):
                self.store.refs.move(pin, head.commit, move, force=True)
        with defer_unconfirmed(unconfirmed):
            move_head()
        if head.commit is None and pinned is not None and not self.store.read_only:
            # HEAD has moved; a pin that is left keeps a commit longer than needed, no more.
            with contextlib.suppress(MStoreError):
                self.store.refs.move(pin, None, self.move("stand", "on a branch"), force=True)
        if unconfirmed:
            raise unconfirmed[0]

    def need_workspace(self, what: str) -> Workspace:
        """Give the workspace.

        Raises:
            UsageError: the store alone was named.
        """
        if self.workspace is None:
            raise UsageError(
                f"{what} needs a workspace, and only a store was named",
                hint="`mstore init --store DIR` makes a workspace on it",
            )
        return self.workspace

    def journaled(self, action: str, *moves: RefMove) -> contextlib.AbstractContextManager[None]:
        """Journal the moves of refs in the block, for `undo`; do nothing without a workspace.

        Raises:
            StorageFailed: they cannot be written down; nothing was done.
        """
        if self.workspace is None:
            return contextlib.nullcontext()
        return self.workspace.journaled(Operation(action, moves))


@contextlib.contextmanager
def defer_unconfirmed(unconfirmed: list[DurabilityUnknown]) -> Iterator[None]:
    """Go on where a step is done and the disk did not confirm it.

    Args:
        unconfirmed: takes the error, for the caller to raise when all steps are done.
    """
    try:
        yield
    except DurabilityUnknown as error:
        unconfirmed.append(error)


def ref_move(ref: str, old: ObjectId | None, new: ObjectId | None) -> RefMove:
    """Describe a ref's move as an operation remembers it."""
    target = new or old
    return RefMove(
        ref,
        target.kind_name if target is not None else "commit",
        old.hex if old is not None else None,
        new.hex if new is not None else None,
    )


def peeled(store: Store, target: ObjectId) -> CommitId:
    """Return the commit that a ref's target names.

    Raises:
        UsageError: it names something else.
    """
    for _ in range(16):
        if isinstance(target, CommitId):
            return target
        if not isinstance(target, TagId):
            break
        target = store.tag(target).target
    raise UsageError(f"{target.label} is not a commit")


def _git_author() -> str | None:
    import subprocess

    values = []
    for key in ("user.name", "user.email"):
        try:
            done = subprocess.run(
                ["git", "config", key], capture_output=True, text=True, timeout=5, check=False
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            return None
        values.append(done.stdout.strip())
    name, address = values
    return f"{name} <{address}>" if name and address else name or None


def _login() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return f"uid-{os.getuid()}"
