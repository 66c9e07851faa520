"""log: versions, the latest first, with what is known of each."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mstore.context import peeled
from mstore.errors import Corrupt, NotFound, UsageError
from mstore.frozen import dataclass
from mstore.history.query.resolve import resolve
from mstore.history.sizes import sizes_of_commit
from mstore.objects import Commit, CommitId
from mstore.store import CommitSizes, LateFacts, late_facts
from mstore.text import jsonable, number

if TYPE_CHECKING:
    from mstore.context import Place
    from mstore.store import Store


def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


BUILT_IN: Final = (
    "id",
    "refs",
    "message",
    "author",
    "time",
    "step",
    "epoch",
    "r",
    "alpha",
    "added",
    "size",
    "tensors",
)


@dataclass(frozen=True)
class LogEntry:
    """A version and what is known of it.

    Args:
        id: the commit.
        commit: its value.
        refs: names that point to it: `HEAD`, branches, tags (`tag: v1`).
        current: the branch that HEAD stands on, where it points to this commit.
        late: what notes add.
    """

    id: CommitId
    commit: Commit
    refs: tuple[str, ...] = ()
    current: str | None = None
    late: LateFacts = field(default_factory=LateFacts)
    _store: Store | None = field(default=None, repr=False, compare=False)

    @property
    def parents(self) -> tuple[CommitId, ...]:
        """Its parents."""
        return self.commit.parents

    @property
    def message(self) -> str:
        """Its message."""
        return self.commit.message

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.commit.message.partition("\n")[0]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata, notes merged in."""
        return {**self.commit.metadata, **self.late.metadata}

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics, notes merged in."""
        return {**self.commit.metrics, **self.late.metrics}

    @cached_property
    def sizes(self) -> CommitSizes:
        """Tensors, bytes, bytes that the parent lacks. Raises Corrupt, NotFound."""
        if self._store is None:
            raise NotFound(f"commit {self.id.short} is not tied to a store")
        return sizes_of_commit(self._store, self.id, self.commit)

    @property
    def step(self) -> int | None:
        """The training step, or None."""
        step = _inner(self.metadata, "recorded", "trainer", "global_step")
        return step if isinstance(step, int) else None

    @property
    def epoch(self) -> float | None:
        """The training epoch, or None."""
        epoch = _inner(self.metadata, "recorded", "trainer", "epoch")
        return float(epoch) if isinstance(epoch, (int, float)) else None

    @property
    def adapter(self) -> Mapping[str, Any] | None:
        """Facts of the root adapter, or of the only one, or None."""
        adapters = _inner(self.metadata, "recorded", "adapters")
        if not isinstance(adapters, Mapping) or not adapters:
            return None
        chosen = adapters.get("") or (next(iter(adapters.values())) if len(adapters) == 1 else None)
        return chosen if isinstance(chosen, Mapping) else None

    def column(self, name: str) -> Any:
        """The value of a column: a built-in one, a metric, or a metadata key (dots go inside)."""
        built_in: dict[str, Callable[[], Any]] = {
            "id": lambda: self.id.short,
            "refs": lambda: ", ".join(self.refs),
            "message": lambda: self.subject,
            "author": lambda: self.commit.author,
            "time": self.commit.time.iso,
            "step": lambda: self.step,
            "epoch": lambda: self.epoch,
            "r": lambda: _inner(self.adapter, "rank"),
            "alpha": lambda: _inner(self.adapter, "alpha"),
            "added": lambda: self.sizes.added_bytes,
            "size": lambda: self.sizes.size_bytes,
            "tensors": lambda: self.sizes.tensors,
        }
        if name in self.metrics:
            return self.metrics[name]
        if name in built_in:
            return built_in[name]()
        if name in self.metadata:
            return self.metadata[name]
        return _inner(self.metadata, *name.split("."))

    def plain(self) -> dict[str, Any]:
        """What `--json` shows."""
        base = self.commit.base
        plain = {
            "id": self.id.hex,
            "parents": [p.hex for p in self.parents],
            "message": self.message,
            "author": self.commit.author,
            "time": self.commit.time.iso(),
            "refs": list(self.refs),
            "metadata": self.metadata,
            "metrics": self.metrics,
            "tensors": self.sizes.tensors,
            "size_bytes": self.sizes.size_bytes,
            "added_bytes": self.sizes.added_bytes,
            "weights": {k: v.hex for k, v in self.commit.weights.items()},
        }
        if base is not None:
            plain["base"] = {
                "weights": base.weights.hex if base.weights else None,
                "commit": base.commit.hex if base.commit else None,
                "name": base.name,
                "revision": base.revision,
            }
        cleaned: dict[str, Any] = jsonable(plain)
        return cleaned

    def __str__(self) -> str:
        loss = "".join(
            f" {k} {number(self.metrics[k])}" for k in ("loss", "eval_loss") if k in self.metrics
        )
        return f"{self.id.short} {self.subject}{loss}"


@dataclass(frozen=True)
class Log:
    """Versions, and what was not shown.

    Args:
        entries: the latest first; taken one at a time.
        tips: where the walk began.
        unborn: the branch of HEAD that has no commit, or None.
    """

    entries: Iterator[LogEntry]
    tips: tuple[CommitId, ...]
    unborn: str | None = None


def decorations(place: Place) -> dict[CommitId, tuple[str, ...]]:
    """Names that point to each commit: HEAD, its branch, other branches, tags."""
    store = place.store
    names: dict[CommitId, list[str]] = {}
    try:
        head, at = place.head, place.head_commit()
    except Corrupt:
        # A damaged HEAD or branch must not hide the others; fsck names it.
        head, at = None, None
    if at is not None:
        names[at] = ["HEAD"]
    branches = store.refs.all("heads")
    current = head.branch if head is not None else None
    for branch in sorted(branches, key=lambda name: (name != current, name)):
        target = branches[branch].target
        if isinstance(target, CommitId):
            names.setdefault(target, []).append(branch)
    for tag, value in store.refs.all("tags").items():
        try:
            names.setdefault(peeled(store, value.target), []).append(f"tag: {tag}")
        except NotFound:
            continue
    return {id: tuple(n) for id, n in names.items()}


def walk(store: Store, tips: Iterable[CommitId]) -> Iterator[tuple[CommitId, Commit]]:
    """Commits reachable from some, the latest first, no parent before the child that led to it.

    Times are only a hint (clocks are wrong): a commit that claims to be younger
    than the child through which it was met is taken to be as old. Iterative, so that a history of a
    million commits is no deeper than one of two.

    Raises:
        NotFound: a parent is missing.
        Corrupt: a commit is damaged.
    """
    heap: list[tuple[int, bytes]] = []
    known: dict[CommitId, Commit] = {}
    given: set[CommitId] = set()
    for tip in tips:
        if tip not in known:
            known[tip] = store.commit(tip)
            heapq.heappush(heap, (-known[tip].time.ns, tip.raw))
    while heap:
        _, raw = heapq.heappop(heap)
        id = CommitId(raw)
        commit = known.pop(id)
        given.add(id)
        yield id, commit
        for parent in commit.parents:
            if parent in given or parent in known:
                continue
            value = store.commit(parent)
            known[parent] = value
            # A parent never comes before its child, whatever its clock said.
            heapq.heappush(heap, (-min(value.time.ns, commit.time.ns - 1), parent.raw))


def log(place: Place, revision: str | None = None, *, everything: bool = False) -> Log:
    """Versions reachable from a revision.

    Args:
        place: where.
        revision: None: HEAD; all branches where HEAD is unborn or there is no workspace.
        everything: all branches and tags.

    Raises:
        RevisionNotFound, Ambiguous, Corrupt.
    """
    store = place.store
    unborn: str | None = None
    tips: list[CommitId] = []
    if revision is not None and not everything:
        tips = [resolve(place, revision).id]
    elif not everything:
        at = place.head_commit()
        if at is not None:
            tips = [at]
        elif place.head is not None:
            unborn = place.head.branch
    if not tips:
        tips = all_tips(place)
        if revision is not None:
            tips.append(resolve(place, revision).id)
    marks = decorations(place)

    def entries() -> Iterator[LogEntry]:
        for id, commit in walk(store, tips):
            yield entry_of(place, id, commit, marks.get(id, ()))

    return Log(entries(), tuple(tips), unborn)


def sought(
    entries: Iterable[LogEntry], where: str | None = None, sort: str | None = None
) -> Iterator[LogEntry]:
    """Versions of which a condition holds, in an order.

    Args:
        entries: versions.
        where: a condition in the language of `mstore.history.query.where`, over the names of
            `LogEntry.column`; None: all.
        sort: such a name, with `-` before it for the largest first; versions that have no
            value for it come last, after those with NaN. None: as they come.

    Raises:
        UsageError: the condition cannot be read, or asks for a name that no version has.
    """
    if where is not None:
        from mstore.history.query.where import parse

        condition = parse(where)
        entries = list(entries)
        _check_names(condition.names(), entries)
        entries = [entry for entry in entries if condition.holds(entry.column)]
    if sort is None:
        yield from entries
        return
    name, down = sort.removeprefix("-"), sort.startswith("-")
    held = [(entry, entry.column(name)) for entry in entries]
    _check_names([name], [entry for entry, _ in held])
    numbers = [(e, v) for e, v in held if isinstance(v, (int, float)) and not math.isnan(v)]
    texts = [(e, v) for e, v in held if isinstance(v, str)]
    yield from (e for e, _ in sorted(numbers, key=lambda item: item[1], reverse=down))
    yield from (e for e, _ in sorted(texts, key=lambda item: item[1], reverse=down))
    yield from (e for e, v in held if isinstance(v, float) and math.isnan(v))
    yield from (e for e, v in held if v is None or not isinstance(v, (int, float, str)))


def _check_names(names: Iterable[str], entries: Sequence[LogEntry]) -> None:
    """Refuse a name that no version has a value for: it is a slip more often than not."""
    for name in names:
        if not entries or any(entry.column(name) is not None for entry in entries):
            continue
        import difflib

        known = sorted({k for e in entries for k in (*e.metrics, *e.metadata)} | set(BUILT_IN))
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = (
            "near it: " + ", ".join(near)
            if near
            else "metrics, metadata keys, or: " + ", ".join(BUILT_IN)
        )
        raise UsageError(f"no version here has {name!r}", hint=hint)


def entry_of(place: Place, id: CommitId, commit: Commit, refs: tuple[str, ...]) -> LogEntry:
    """A log entry; a damaged note costs only what it said."""
    try:
        late = late_facts(place.store, id)
    except (Corrupt, NotFound):
        late = LateFacts()
    head = place.head if refs[:1] == ("HEAD",) else None
    return LogEntry(id, commit, refs, head.branch if head is not None else None, late, place.store)


def all_tips(place: Place) -> list[CommitId]:
    """Commits that branches, tags and HEAD point to."""
    tips: dict[CommitId, None] = {}
    refs = place.store.refs
    for namespace in ("heads", "tags"):
        for value in refs.all(namespace).values():
            tips[peeled(place.store, value.target)] = None
    try:
        at = place.head_commit()
    except Corrupt:
        at = None
    if at is not None:
        tips[at] = None
    return list(tips)


def elsewhere(place: Place, tips: tuple[CommitId, ...]) -> int:
    """How many commits branches and tags reach that these tips do not."""
    everything = all_tips(place)
    if set(everything) <= set(tips):
        return 0
    catalog = place.store.catalog
    return catalog.reachable([*everything, *tips]) - catalog.reachable(tips)
