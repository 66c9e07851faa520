"""The operations of a workspace, as its journal keeps them for undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mstore.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen(slots=True)
class RefMove:
    """A ref's move as an operation records it; hex ids or None."""

    ref: str
    kind: str
    old: str | None
    new: str | None


@frozen(slots=True)
class Operation:
    """A command that `undo` can undo.

    Args:
        action: its description, for people.
        moves: refs moved.
        head: HEAD before and after, if it moved.
        folder: the folder that checkout wrote, or None.
        backup: where its replaced files are kept, below the workspace, or None.
        touched: paths that checkout wrote or removed in the folder.
        version: the commit that was written into a folder without HEAD moving, or None.
        number: counts up.
        undoing: an `undo` of it has begun.
    """

    action: str
    moves: tuple[RefMove, ...] = ()
    head: tuple[dict[str, str], dict[str, str]] | None = None
    folder: str | None = None
    backup: str | None = None
    touched: tuple[str, ...] = ()
    number: int = 0
    undoing: bool = False
    version: str | None = None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Operation:
        """Read an operation from its JSON object.

        Raises:
            ValueError, TypeError, KeyError, AttributeError, IndexError: it is none.
        """
        head = document.get("head")
        made = cls(
            document["action"],
            tuple(RefMove(**m) for m in document.get("moves", ())),
            (dict(head[0]), dict(head[1])) if head else None,
            document.get("folder"),
            document.get("backup"),
            tuple(document.get("touched", ())),
            document["number"],
            document.get("undoing", False),
            document.get("version"),
        )
        texts = (made.action, *made.touched, *(v for s in made.head or () for v in s.values()))
        may_be_absent = (made.folder, made.backup, made.version)
        if (
            not all(isinstance(t, str) for t in (*texts, *(t or "" for t in may_be_absent)))
            or not isinstance(made.number, int)
            or not all(
                isinstance(t, str)
                for m in made.moves
                for t in (m.ref, m.kind, m.old or "", m.new or "")
            )
            or any("at" not in s for s in made.head or ())
            or "/" in (made.backup or "")
        ):
            raise TypeError("not an operation")
        return made
