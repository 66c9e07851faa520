"""The plan of a gc, as a value: printed, put into JSON, pickled, compared, and run later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mstore.compat import renamed_field
from mstore.errors import Conflict
from mstore.objects import Time
from mstore.plan import Plan
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mstore.objects import BlobId, CommitId, ObjectId

UNFINISHED: Final = "(of no commit)"
_SHOWN: Final = 20  # versions in the text of a plan


def no_longer_holds(what: str) -> Conflict:
    """Make the error for a plan that no longer fits the store; `what` says what changed."""
    return Conflict(
        f"{what} since this plan was made", hint="run the same command again: it makes a new plan"
    )


@dataclass(frozen=True, kw_only=True)
class UnreachableCommit:
    """A version that no name reaches.

    Args:
        id: the commit.
        message: its first line.
        time_ns: when it was made.
        branch: the branch that once had it, as its reflog says, or None.
        freed_bytes: stored bytes that only it and later unreachable ones need.
    """

    id: CommitId
    message: str
    time_ns: int
    branch: str | None
    freed_bytes: int

    def __str__(self) -> str:
        day = Time(self.time_ns, 0).iso()[:10]
        was = f"  (was on {escaped(self.branch)})" if self.branch else ""
        return f"{self.id.short}  {day}  {size(self.freed_bytes):>9}  {escaped(self.message)}{was}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {
            "id": self.id.hex,
            "subject": self.message,
            "branch": self.branch,
            "time": Time(self.time_ns, 0).iso(),
            "freed_bytes": self.freed_bytes,
        }


@dataclass(frozen=True, slots=True)
class Recoded:
    """A blob to re-encode because its delta base is removed.

    Args:
        id: the blob.
        pack, frame: where it lies.
        base: another recoded blob to take it against, or None: it is stored whole.
    """

    id: BlobId
    pack: bytes
    frame: int
    base: BlobId | None


@dataclass(frozen=True)
class PackLayout:
    """The frames of packs that stay.

    Args:
        packs: all packs that the plan is about; it holds only while they are there.
        kept: (pack, frame) of the copies that are needed, of packs to be rewritten.
        recoded: blobs to re-encode because their delta bases are removed.
        postponed: packs that are read for that, and cannot be removed before it is done.
        training_state: of those blobs, the ones that are nothing but training state.
    """

    packs: frozenset[bytes]
    kept: frozenset[tuple[bytes, int]]
    recoded: tuple[Recoded, ...]
    postponed: frozenset[bytes]
    training_state: frozenset[BlobId]


@dataclass(frozen=True, kw_only=True)
class GcPlan(Plan):
    """The plan of a gc.

    Args:
        commits: versions that are removed, the oldest first.
        unfinished_bytes: stored bytes of objects that belong to no commit.
        dead_packs: unneeded packs.
        rewritten_packs: packs that are rewritten without their unreachable objects.
        merged_packs: small packs that are merged into one.
        freed_bytes: stored bytes that nothing needs.
        trash_bytes: bytes in the trash that have been there for a day, and are purged.
        kept_trash_bytes: bytes in the trash that have not.
        store_bytes: bytes of all packs.
        now: reflogs keep nothing, and the trash is emptied.
        purged: objects that are removed for good, without a day in the trash.
        layout: which frames stay; None in a plan that does nothing.
    """

    commits: tuple[UnreachableCommit, ...] = ()
    unfinished_bytes: int = 0
    dead_packs: tuple[bytes, ...] = ()
    rewritten_packs: tuple[bytes, ...] = ()
    merged_packs: tuple[bytes, ...] = ()
    freed_bytes: int = 0
    trash_bytes: int = 0
    kept_trash_bytes: int = 0
    store_bytes: int = 0
    now: bool = False
    purged: frozenset[ObjectId] = field(default=frozenset(), repr=False)
    layout: PackLayout | None = field(default=None, repr=False)

    let_go = renamed_field("let_go", "purged")

    def __bool__(self) -> bool:
        return bool(self.dead_packs or self.rewritten_packs or self.merged_packs or self.trash_bytes)

    def __str__(self) -> str:
        if not self:
            needed = f"{size(self.store_bytes)} in packs, all of it needed"
            return f"would remove nothing: {needed}" + self._in_trash()
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.commits:
            yield f"would remove {counted(len(self.commits), 'version')} that no name reaches:"
        for commit in self.commits[-_SHOWN:]:
            yield f"  {commit}"
        if len(self.commits) > _SHOWN:
            yield f"  and {counted(len(self.commits) - _SHOWN, 'older one')}"
        for branch, gain in sorted(self.branches().items(), key=lambda item: -item[1]):
            yield f"  {size(gain):>9}  {escaped(branch)}"
        if self.dead_packs:
            yield f"would remove {counted(len(self.dead_packs), 'unneeded pack')}"
        if self.rewritten_packs:
            rewritten = counted(len(self.rewritten_packs), "pack")
            yield f"would rewrite {rewritten}, without unneeded objects"
        if self.merged_packs:
            yield f"would merge {counted(len(self.merged_packs), 'small pack')} into one"
        freed = size(self.freed_bytes + self.trash_bytes)
        yield f"would free {freed} of {size(self.store_bytes)}" + self._in_trash()

    def _in_trash(self) -> str:
        kept = self.kept_trash_bytes
        return f"; {size(kept)} in the trash for a day" if kept else ""

    def branches(self) -> Mapping[str, int]:
        """Add up the freed bytes by the branch that once had them."""
        found: dict[str, int] = {}
        for commit in self.commits:
            name = commit.branch or UNFINISHED
            found[name] = found.get(name, 0) + commit.freed_bytes
        if self.unfinished_bytes:
            found[UNFINISHED] = found.get(UNFINISHED, 0) + self.unfinished_bytes
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md); packs are counted, not named."""
        return {
            "versions": [commit.to_dict() for commit in self.commits],
            "branch_bytes": dict(self.branches()),
            "dead_pack_count": len(self.dead_packs),
            "rewritten_pack_count": len(self.rewritten_packs),
            "merged_pack_count": len(self.merged_packs),
            "freed_bytes": self.freed_bytes,
            "unfinished_bytes": self.unfinished_bytes,
            "purged_bytes": self.trash_bytes,
            "trash_bytes": self.kept_trash_bytes,
            "pack_bytes": self.store_bytes,
            "now": self.now,
        }
