"""The better one of two values of a metric."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mstore.history.entry import LogEntry

_LOWER: Final = re.compile(r"(^|[_/-])(loss|perplexity|ppl)($|[_/-])", re.IGNORECASE)


def is_greater_better(metric: str, entries: Iterable[LogEntry]) -> bool:
    """Return whether larger values of a metric are better.

    What the training arguments said of their `metric_for_best_model` counts; else a loss
    or a perplexity is better when lower, and of anything else nothing is assumed.

    Args:
        metric: its name.
        entries: versions whose training arguments are asked, the latest first.

    Raises:
        UsageError: it is unknown.
    """
    for entry in entries:
        arguments = entry.metadata.get("training_arguments")
        if not isinstance(arguments, Mapping):
            continue
        named: Any = arguments.get("metric_for_best_model")
        greater = arguments.get("greater_is_better")
        # The Trainer puts `eval_` before a name that lacks it.
        if isinstance(named, str) and isinstance(greater, bool) and metric in (named, f"eval_{named}"):
            return greater
    if _LOWER.search(metric):
        return False
    raise UsageError(
        f"nothing says whether {metric} is better when higher or when lower",
        hint=f"`max:{metric}` or `min:{metric}` says it",
    )


def best_of(entries: Iterable[LogEntry], metric: str, *, greater: bool | None = None) -> LogEntry:
    """Give the version with the best value of a metric; of equal ones the earliest, NaN never.

    Args:
        entries: versions, the latest first.
        metric: its name.
        greater: whether larger is better; None: `is_greater_better` says.

    Raises:
        NotFound: no version has it.
        UsageError: which values are better is unknown.
    """
    found = list(entries)
    if greater is None:
        greater = is_greater_better(metric, found)
    having = [e for e in found if metric in e.metrics and not math.isnan(e.metrics[metric])]
    if not having:
        known = sorted({name for entry in found for name in entry.metrics})
        hint = "there are: " + ", ".join(known[:12]) if known else "no version here has metrics"
        raise NotFound(f"no version has the metric {metric!r}", hint=hint)
    sign = 1 if greater else -1
    return max(reversed(having), key=lambda entry: sign * entry.metrics[metric])
