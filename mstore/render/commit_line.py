"""Format the facts of a commit, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.formats.facts.describe import adapter_label, adapter_of
from mstore.text import counted, escaped, loss_texts, size

if TYPE_CHECKING:
    from mstore.commit.options import CommitResult


def facts_line(result: CommitResult) -> str:
    """Format the facts of a new commit: adapter or model, sizes, base, step and losses."""
    facts, parts = result.facts, []
    assert facts is not None  # a commit that was made has facts
    adapter = adapter_of(facts)
    if adapter is not None:
        text = escaped(adapter_label(adapter))
        text += f" on {counted(len(adapter.modules), 'module')}" if adapter.modules else ""
        parts.append(text)
    elif facts.adapters:
        parts.append(f"{len(facts.adapters)} adapters: {', '.join(escaped(a) for a in facts.adapters)}")
    elif facts.model is not None:
        model = facts.model
        text = escaped(model.architectures[0]) if model.architectures else "model"
        if model.parameter_count:
            text += f" {_count(model.parameter_count)} parameters"
        if model.dtype:
            text += f" {escaped(model.dtype)}"
        parts.append(text)
    new = f"{size(result.new_bytes)} new of {size(result.size_bytes)}"
    parts.append(f"{counted(result.tensors, 'tensor')}, {new}")
    base = result.commit.base
    if base is not None:
        parts.append(
            "base " + (escaped(base.name) if base.name else base.commit.short if base.commit else "?")
        )
    if facts.trainer is not None and facts.trainer.global_step is not None:
        parts.append(f"step {facts.trainer.global_step}")
    parts += loss_texts(result.commit.metrics)
    return " · ".join(parts)


def _count(elements: int) -> str:
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if elements >= limit:
            return f"{elements / limit:.3g}{unit}"
    return str(elements)
