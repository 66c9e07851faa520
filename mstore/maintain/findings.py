"""The findings of fsck: collected while it runs, then a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mstore.objects import ObjectId


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that does not hold.

    Args:
        where: the pack, ref or object.
        what: the rule that does not hold.
        affects: commits and files that need it.
        hint: what to do, or None.
    """

    where: str
    what: str
    affects: tuple[str, ...] = ()
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class FsckResult:
    """The findings of fsck.

    Args:
        problems: damage; empty if all is well.
        warnings: unusual, harmless findings.
        packs, objects, commits: how many were looked at.
        bytes_read: stored bytes that were checked.
        quick: blocks were checked by their sums, not objects by their ids.
    """

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    packs: int = 0
    objects: int = 0
    commits: int = 0
    bytes_read: int = 0
    quick: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


@dataclass
class Findings:
    """The findings of a check so far.

    Args:
        problems, warnings: as in `FsckResult`.
        bad, good: objects of which a copy is damaged, or is whole.
        lost: objects that something needs and no readable copy is left of.
        packs: packs that hold damage.
        refs, logs: refs and reflogs, with their namespaces, that are damaged.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    bad: dict[ObjectId, str] = field(default_factory=dict)
    good: set[ObjectId] = field(default_factory=set)
    lost: set[ObjectId] = field(default_factory=set)
    packs: set[bytes] = field(default_factory=set)
    refs: set[str] = field(default_factory=set)
    logs: set[str] = field(default_factory=set)
    packs_seen: int = 0
    commits: int = 0
    objects: int = 0
    bytes_read: int = 0
    quick: bool = False

    def problem(self, where: str, what: str, hint: str | None = None) -> None:
        """Add a problem."""
        self.problems.append(Problem(where, what, (), hint))


def result_of(findings: Findings) -> FsckResult:
    """Make a value of findings."""
    return FsckResult(
        problems=tuple(findings.problems),
        warnings=tuple(findings.warnings),
        packs=findings.packs_seen,
        objects=findings.objects,
        commits=findings.commits,
        bytes_read=findings.bytes_read,
        quick=findings.quick,
    )
