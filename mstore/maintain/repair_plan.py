"""The plan of a repair, as a value: printed, put into JSON, pickled, compared, and run later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mstore.maintain.findings import FsckResult
from mstore.plan import Plan
from mstore.text import counted

if TYPE_CHECKING:
    from mstore.objects import ObjectId


@dataclass(frozen=True, slots=True)
class ReflogRepair:
    """A reflog that loses the records that cannot be read.

    Args:
        ref: its ref, with the namespace.
        kept, cut: records that stay, and that go to `quarantine/`.
    """

    ref: str
    kept: int
    cut: int


@dataclass(frozen=True, slots=True)
class RefRepair:
    """A damaged ref that gets the value that its reflog has.

    Args:
        ref: with its namespace.
        target: the value.
    """

    ref: str
    target: ObjectId


@dataclass(frozen=True, slots=True)
class PackRepair:
    """A damaged pack: its undamaged objects are copied to a new one, and it moves to `quarantine/`.

    Args:
        pack: its name.
        size_bytes: its size; another one means that it was changed since.
        objects: how many it holds, as far as that can be read.
        whole: the frames of those that are whole, by number.
    """

    pack: bytes
    size_bytes: int
    objects: int
    whole: tuple[int, ...]

    @property
    def quarantine(self) -> str:
        """The key that it is moved to."""
        return f"quarantine/{self.pack.hex()}.pack"


@dataclass(frozen=True, kw_only=True)
class RepairPlan(Plan):
    """The plan of a repair.

    Args:
        reflogs, refs, packs: those that are damaged and can be repaired.
        source: where lost objects would be fetched from, or None.
        fetched: lost objects that the source has, with what they need in turn.
        lost: lost objects that would stay lost.
        found: what fsck says now.
    """

    reflogs: tuple[ReflogRepair, ...] = ()
    refs: tuple[RefRepair, ...] = ()
    packs: tuple[PackRepair, ...] = ()
    source: str | None = None
    fetched: tuple[ObjectId, ...] = ()
    lost: tuple[ObjectId, ...] = ()
    found: FsckResult = field(default_factory=FsckResult)

    def __bool__(self) -> bool:
        return bool(self.reflogs or self.refs or self.packs or self.fetched)

    def __str__(self) -> str:
        lines = [
            f"would move {counted(log.cut, 'damaged record')} of logs/{log.ref} to quarantine, and"
            f" keep {log.kept}"
            for log in self.reflogs
        ]
        lines += [
            f"would point refs/{ref.ref} to {ref.target.short}, the last value in its reflog"
            for ref in self.refs
        ]
        lines += [
            f"would keep {len(pack.whole)} of {counted(pack.objects, 'object')} of pack"
            f" {pack.pack.hex()[:12]} in a new pack, and move the damaged one to {pack.quarantine}"
            for pack in self.packs
        ]
        if self.fetched:
            lines.append(f"would fetch {counted(len(self.fetched), 'object')} from {self.source}")
        if self.lost:
            lines.append(f"would leave {counted(len(self.lost), 'object')} lost")
        return "\n".join(lines) or "would repair nothing"

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {
            "ok": self.found.ok,
            "reflogs": [{"ref": r.ref, "kept_count": r.kept, "cut_count": r.cut} for r in self.reflogs],
            "refs": [{"ref": r.ref, "id": r.target.hex} for r in self.refs],
            "packs": [
                {
                    "pack": p.pack.hex(),
                    "size_bytes": p.size_bytes,
                    "object_count": p.objects,
                    "whole_count": len(p.whole),
                    "quarantine": p.quarantine,
                }
                for p in self.packs
            ],
            "source_path": self.source,
            "fetched": [id.hex for id in self.fetched],
            "lost": [id.hex for id in self.lost],
        }
