"""A version with its names, notes, sizes and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mstore.context import peeled
from mstore.errors import Corrupt, NotFound
from mstore.frozen import frozen
from mstore.history.sizes import sizes_of_commit
from mstore.objects import Commit, CommitId
from mstore.store import CommitSizes, LateFacts, late_facts
from mstore.text import number

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.store import Store

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


def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


@frozen
class LogEntry:
    """A version with its names, notes and sizes.

    Args:
        id: the commit.
        commit: its value.
        refs: names that point to it: `HEAD`, branches, tags (`tag: v1`).
        current: the current branch, where it points to this commit.
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
        """Give the value of a column: a built-in one, a metric, or a metadata key (dots go inside)."""
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

    def __str__(self) -> str:
        loss = "".join(
            f" {k} {number(self.metrics[k])}" for k in ("loss", "eval_loss") if k in self.metrics
        )
        return f"{self.id.short} {self.subject}{loss}"


def decorations(context: Context) -> dict[CommitId, tuple[str, ...]]:
    """Collect the names that point to each commit: HEAD, its branch, other branches, tags."""
    store = context.store
    names: dict[CommitId, list[str]] = {}
    try:
        head, at = context.head, context.head_commit()
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


def entry_of(context: Context, id: CommitId, commit: Commit, refs: tuple[str, ...]) -> LogEntry:
    """Make a log entry; a damaged note costs only its own facts."""
    try:
        late = late_facts(context.store, id)
    except (Corrupt, NotFound):
        late = LateFacts()
    head = context.head if refs[:1] == ("HEAD",) else None
    return LogEntry(id, commit, refs, head.branch if head is not None else None, late, context.store)


def entries_of(context: Context, ids: Iterable[CommitId]) -> dict[CommitId, LogEntry]:
    """Make log entries of some commits, the names of all looked up once. Raises NotFound, Corrupt."""
    names = decorations(context)
    return {id: entry_of(context, id, context.store.commit(id), names.get(id, ())) for id in ids}
