"""Revisions as text and as values: the grammar, which knows nothing of any store.

    r8~2                      BRANCH@{3}                  best:eval_loss@other^
    "HEAD", "@"               the commit that HEAD points to

    revision = base ["@{" number "}"] step*         `@{n}` behind "HEAD", "@", a name, nothing
    step     = "~" [number] | "^" [number]          without a number: 1
    base     = "HEAD" | "@" | name
             | ("best" | "min" | "max") ":" metric ["@" branch]
             | "step" ":" number ["@" branch]
             | "last" ":" branch
    metric   = bare | '"' (character | '""')* '"'   quoted where it has `@`, `~`, `^` or `"`
    name, branch, bare = characters without `~`, `^` and `@{`, one at least
    number   = digits, 18 at most

A name is a branch, a tag, or the beginning of an id: which of them, only the look-up knows
(`mstore.history.query.resolve`). The last `@` of a bare metric begins the branch.

`parse(str(revision)) == revision` holds, and `str` gives what was typed but for needless
quotes and zeros before a number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from mstore.errors import UsageError
from mstore.frozen import frozen
from mstore.history.query.quoting import QUOTED, quoted, unquoted

if TYPE_CHECKING:
    Direction = Literal["best", "min", "max"]
    Sign = Literal["~", "^"]

_METRIC_KINDS: Final = ("best", "min", "max")
_KINDS: Final = (*_METRIC_KINDS, "step", "last")
_MAX_DIGITS: Final = 18
_BASE_END: Final = re.compile(r"~|\^|@\{")
_MOVES: Final = re.compile(r"@\{([0-9]+)\}")
_STEP: Final = re.compile(r"([~^])([0-9]*)")
_NUMBER: Final = re.compile(r"[0-9]+")
_QUOTED: Final = re.compile(QUOTED)
_STEPS_HINT: Final = "after a version come BRANCH@{n}, then REV~n, REV^ and REV^n"


@frozen(slots=True)
class AtHead:
    """The commit that HEAD points to; `spelled` is "HEAD", "@", or "" before `@{n}`."""

    spelled: str = "HEAD"

    def __str__(self) -> str:
        return self.spelled


@frozen(slots=True)
class Named:
    """A branch, a tag, or the beginning of an id."""

    name: str

    def __str__(self) -> str:
        return self.name


@frozen(slots=True)
class ByMetric:
    """The version with the best, least or largest value of a metric.

    Args:
        direction: "best", "min" or "max".
        metric: its name.
        branch: in whose history; None: HEAD's.
    """

    direction: Direction
    metric: str
    branch: str | None = None

    def __str__(self) -> str:
        bare = not any(sign in self.metric for sign in '@~^"') and "@" not in (self.branch or "")
        metric = self.metric if bare else quoted(self.metric)
        return f"{self.direction}:{metric}" + _at(self.branch)


@frozen(slots=True)
class ByStep:
    """The version of a training step; `branch` as in `ByMetric`."""

    step: int
    branch: str | None = None

    def __str__(self) -> str:
        return f"step:{self.step}" + _at(self.branch)


@frozen(slots=True)
class TipOf:
    """The last version of a branch, which no tag and no id can hide."""

    branch: str

    def __str__(self) -> str:
        return f"last:{self.branch}"


@frozen(slots=True)
class Step:
    """One step back: `~n`, n first parents in a row; `^n`, the n-th parent, and 0: none."""

    sign: Sign
    number: int | None = None

    @property
    def count(self) -> int:
        """The number, which is 1 where none was typed."""
        return 1 if self.number is None else self.number

    def __str__(self) -> str:
        return self.sign + ("" if self.number is None else str(self.number))


@frozen(slots=True)
class Revision:
    """A parsed revision.

    Args:
        base: from where to go.
        moves: as many moves of the branch ago; None: its tip.
        steps: back along parents, one after the other.
    """

    base: Base
    moves: int | None = None
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        moves = "" if self.moves is None else f"@{{{self.moves}}}"
        return f"{self.base}{moves}{''.join(map(str, self.steps))}"


Base = AtHead | Named | ByMetric | ByStep | TipOf

HEAD: Final = Revision(AtHead())


def parse(text: str) -> Revision:
    """Read a revision.

    Raises:
        UsageError: the grammar has no such text; the message shows from where on.
    """
    if not text:
        raise UsageError("an empty revision names nothing")
    base, at = _base(text)
    moves: int | None = None
    match = _MOVES.match(text, at)
    if match is not None:
        if not isinstance(base, AtHead | Named):
            raise UsageError(
                f"{match[0]} follows a branch or HEAD alone, not {str(base)!r}",
                hint="for example main@{1}",
            )
        moves, at = _number(match[1]), match.end()
    steps: list[Step] = []
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        sign: Sign = "~" if match[1] == "~" else "^"
        steps.append(Step(sign, _number(match[2]) if match[2] else None))
        at = match.end()
    return Revision(base, moves, tuple(steps))


def names_folder(text: str) -> bool:
    """Return whether a text, where a version or a folder may be, can only be meant as a folder.

    No name of a branch, tag or id looks like that: `.`, `..`, and what begins with `./`,
    `../`, `/` or `~`, or ends in `/`.
    """
    return text in (".", "..") or text.startswith(("./", "../", "/", "~")) or text.endswith("/")


def _base(text: str) -> tuple[Base, int]:
    """Read the base before `@{n}` and the steps, and return where it ends."""
    kind, colon, _ = text.partition(":")
    if colon and kind in _KINDS:
        return _read_search(kind, text, len(kind) + 1)
    end = _base_end(text)
    name = text[:end]
    if not name and not text.startswith("@{"):
        raise UsageError(f"revision {text!r} has nothing to step back from", hint="HEAD" + text[:2])
    return (AtHead(name) if name in ("HEAD", "@", "") else Named(name)), end


def _read_search(kind: str, text: str, at: int) -> tuple[Base, int]:
    """Read the rest of a form that begins with a word and a colon."""
    if kind in _METRIC_KINDS and text.startswith('"', at):
        return _quoted_metric(kind, text, at)
    end = _base_end(text, at)
    rest = text[at:end]
    if kind == "last":
        if not rest:
            raise UsageError("last: needs a branch", hint="for example last:main")
        return TipOf(rest), end
    what, sign, branch = rest.partition("@") if kind == "step" else _last_at(rest)
    if not what:
        raise UsageError(f"{kind}: needs a {'number' if kind == 'step' else 'metric'}")
    found = _branch(kind, sign, branch)
    if kind != "step":
        return _by_metric(kind, what, found), end
    if not _NUMBER.fullmatch(what):
        raise UsageError(f"step: needs a number, not {what!r}", hint="for example step:400")
    return ByStep(_number(what), found), end


def _quoted_metric(kind: str, text: str, at: int) -> tuple[Base, int]:
    match = _QUOTED.match(text, at)
    if match is None:
        raise UsageError(f'revision {text!r}: the quote " is never closed')
    metric, at = unquoted(match[0]), match.end()
    if not metric:
        raise UsageError(f"{kind}: needs a metric")
    end = _base_end(text, at)
    rest = text[at:end]
    if rest and not rest.startswith("@"):
        raise _unreadable(text, at)
    return _by_metric(kind, metric, _branch(kind, rest[:1], rest[1:])), end


def _by_metric(kind: str, metric: str, branch: str | None) -> ByMetric:
    direction: Direction = "min" if kind == "min" else "max" if kind == "max" else "best"
    return ByMetric(direction, metric, branch)


def _branch(kind: str, sign: str, branch: str) -> str | None:
    if sign and not branch:
        raise UsageError(f"{kind}: needs a branch after the @", hint="or no @: HEAD's history")
    return branch or None


def _last_at(text: str) -> tuple[str, str, str]:
    what, sign, branch = text.rpartition("@")
    return (what, sign, branch) if sign else (text, "", "")


def _base_end(text: str, at: int = 0) -> int:
    match = _BASE_END.search(text, at)
    return len(text) if match is None else match.start()


def _number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise UsageError(f"a number in a revision has at most {_MAX_DIGITS} digits")
    return int(digits)


def _at(branch: str | None) -> str:
    return "" if branch is None else f"@{branch}"


def _unreadable(text: str, at: int) -> UsageError:
    return UsageError(f"cannot read revision {text!r} from {text[at:]!r} on", hint=_STEPS_HINT)


__all__ = [
    "HEAD",
    "AtHead",
    "ByMetric",
    "ByStep",
    "Named",
    "Revision",
    "Step",
    "TipOf",
    "names_folder",
    "parse",
]
