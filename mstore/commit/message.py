"""Make a commit's message out of the facts, where the user gave none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.formats.facts.describe import adapter_label, adapter_of
from mstore.text import loss_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.formats import Facts


def message_of(facts: Facts, metrics: Mapping[str, float], *, first: bool) -> str:
    """Make a message.

    Args:
        facts: the facts of the directory.
        metrics: numbers by name.
        first: the commit has no parent.
    """
    parts = []
    adapter = adapter_of(facts)
    if adapter is not None:
        parts.append(adapter_label(adapter))
    elif facts.adapters:
        parts.append(f"{len(facts.adapters)} adapters")
    elif facts.model is not None and facts.model.architectures:
        parts.append(facts.model.architectures[0])
    if facts.trainer is not None and facts.trainer.global_step is not None:
        parts.append(f"step {facts.trainer.global_step}")
    parts += loss_texts(metrics)
    if not parts:
        parts.append("first version" if first else "new version")
    return " · ".join(parts)
