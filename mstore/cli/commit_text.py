"""What commit and import print of a new version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mstore.commit.options import CommitResult


def show_commit(result: CommitResult) -> None:
    """The two lines that answer a commit."""
    from mstore.text import escaped

    if not result.created:
        said = f"nothing changed since {result.id.short}"
        if result.note is not None:
            said += f"; what is new is noted on it ({result.note.short})"
        click.echo(f"[{escaped(result.branch)}] {said}")
        return
    subject = escaped(result.commit.message.partition("\n")[0])
    click.echo(f"[{escaped(result.branch)} {click.style(result.id.short, fg='yellow')}] {subject}")
    click.echo(" " + facts_line(result))


def facts_line(result: CommitResult) -> str:
    """What a commit holds, in one line."""
    from mstore.formats.facts.describe import adapter_of
    from mstore.text import escaped, number, size

    facts, parts = result.facts, []
    assert facts is not None  # a commit that was made has facts
    adapter = adapter_of(facts)
    if adapter is not None:
        text = "LoRA" if adapter.kind in (None, "LORA") else escaped(str(adapter.kind))
        if adapter.use_dora:
            text = "DoRA"
        text += f" r={adapter.rank}" if adapter.rank is not None else ""
        text += f" alpha={adapter.alpha:g}" if adapter.alpha is not None else ""
        text += f" on {len(adapter.modules)} modules" if adapter.modules else ""
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
    parts.append(f"{result.tensors} tensors, {size(result.new_bytes)} new of {size(result.size_bytes)}")
    base = result.commit.base
    if base is not None:
        parts.append(
            "base " + (escaped(base.name) if base.name else base.commit.short if base.commit else "?")
        )
    if facts.trainer is not None and facts.trainer.global_step is not None:
        parts.append(f"step {facts.trainer.global_step}")
    for name in ("loss", "eval_loss"):
        if name in result.commit.metrics:
            parts.append(f"{name.replace('_', ' ')} {number(result.commit.metrics[name])}")
    return " · ".join(parts)


def _count(elements: int) -> str:
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if elements >= limit:
            return f"{elements / limit:.3g}{unit}"
    return str(elements)
