"""compare: what differs between versions in how they were trained and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mstore.compat import renamed_field
from mstore.errors import UsageError
from mstore.frozen import frozen
from mstore.history.entry import LogEntry, entry_of
from mstore.history.query.resolve import resolved
from mstore.objects.json_values import flattened, json_equal
from mstore.text import escaped, jsonable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.context import Context
    from mstore.history.query.resolve import AnyRevision

# What differs between any two runs and says nothing of either.
_NOISE: Final = (
    "run.",
    "recorded.environment.",
    "recorded.trainer.run_id",
    "recorded.trainer.best_model_checkpoint",
    "training_arguments.output_dir",
    "training_arguments.logging_dir",
    "training_arguments.run_name",
    "imported_from",
)


@frozen(kw_only=True)
class Comparison:
    """The differences between versions.

    Args:
        entries: the versions, in the order asked for.
        rows: (name, one value a version; None where it has none), metrics first.
        equal: how many names all of them have the same value for.
        hidden: how many differ that say nothing of the training, such as run ids and paths.
    """

    entries: tuple[LogEntry, ...]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    equal: int
    hidden: int

    left_out = renamed_field("left_out", "hidden")

    def table(self) -> list[list[str]]:
        """Return rows of text, control characters escaped, the first one the heading."""
        head = ["", *(f"{e.id.short} {escaped(e.subject)}" for e in self.entries)]
        return [head, *([escaped(name), *map(cell_text, values)] for name, values in self.rows)]


def cell_text(value: Any) -> str:
    """Format a value as a cell of a table, control characters escaped."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else escaped(str(value))


def compare(
    context: Context, revisions: Sequence[AnyRevision], *, everything: bool = False
) -> Comparison:
    """Compare versions by hyper-parameters, facts and metrics.

    Args:
        context: the store, and the workspace if there is one.
        revisions: two or more.
        everything: also what says nothing of the training: run ids, paths, hosts.

    Raises:
        UsageError: fewer than two.
        RevisionNotFound, Ambiguous, Corrupt.
    """
    if len(revisions) < 2:
        raise UsageError("compare needs two versions or more", hint="`mstore compare main~1 main`")
    ids = [resolved(context, revision).id for revision in revisions]
    entries = tuple(entry_of(context, id, context.store.commit(id), ()) for id in ids)
    metrics = [dict(entry.metrics) for entry in entries]
    facts = [flattened(jsonable(dict(entry.metadata))) for entry in entries]
    rows: list[tuple[str, tuple[Any, ...]]] = []
    equal = hidden = 0
    for group in (metrics, facts):
        for name in sorted({name for held in group for name in held}):
            values = tuple(held.get(name) for held in group)
            if all(json_equal(values[0], value) for value in values[1:]):
                equal += 1
            elif not everything and name.startswith(_NOISE):
                hidden += 1
            else:
                rows.append((name, values))
    return Comparison(entries=entries, rows=tuple(rows), equal=equal, hidden=hidden)
