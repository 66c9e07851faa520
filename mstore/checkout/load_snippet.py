"""The line to paste: Python that loads a folder just checked out, on this machine.

It never edits a file: an adapter's configuration may name a base by a path of
another machine, so the line names the base that is to be had here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mstore.formats.facts.adapter import AUTO_CLASSES
from mstore.formats.facts.describe import adapter_of

if TYPE_CHECKING:
    from mstore.formats import Facts
    from mstore.objects import Commit, CommitId, Manifest
    from mstore.store import Store

_BY_ENDING: Final = (
    ("ForCausalLM", "AutoModelForCausalLM"),
    ("LMHeadModel", "AutoModelForCausalLM"),
    ("ForConditionalGeneration", "AutoModelForSeq2SeqLM"),
    ("ForSequenceClassification", "AutoModelForSequenceClassification"),
    ("ForTokenClassification", "AutoModelForTokenClassification"),
    ("ForQuestionAnswering", "AutoModelForQuestionAnswering"),
    ("ForMaskedLM", "AutoModelForMaskedLM"),
)


@dataclass(frozen=True, slots=True)
class BaseSource:
    """The source of an adapter's base on this machine.

    Args:
        name: a folder that exists here, or a hub's name; None if unknown.
        revision: of a hub's name, if pinned.
        commit: the commit to check out, where neither is to be had.
    """

    name: str | None
    revision: str | None = None
    commit: CommitId | None = None


def base_source(store: Store, commit: Commit, manifest: Manifest, facts: Facts) -> BaseSource | None:
    """Return where an adapter's base is to be had; None where the version is no adapter.

    A folder that exists here, else a commit of this store, else a hub's name.
    """
    if not facts.adapters or _has_weights(manifest):
        return None
    adapter = adapter_of(facts)
    name = adapter.base_name if adapter is not None else None
    if name and Path(name).is_dir():
        return BaseSource(os.path.abspath(name))
    known = commit.base.commit if commit.base is not None else None
    if known is not None and store.has(known):
        return BaseSource(None, None, known)
    # The hub's name, or a path of another machine: then the line says what to replace.
    return BaseSource(name, adapter.base_revision if adapter is not None else None)


def line_that_loads(
    facts: Facts, path: Path, source: BaseSource | None, base: Path | None
) -> str | None:
    """Return one line of Python that loads a folder.

    Args:
        facts: the facts of the folder.
        path: the folder.
        source: from `base_source`.
        base: where the base was checked out, if it was.
    """
    target = repr(str(path))
    if source is None:
        if facts.model is None or not facts.model.architectures:
            return None
        kind = _auto_class(facts)
        return f"from transformers import {kind}; model = {kind}.from_pretrained({target})"
    adapter = adapter_of(facts)
    kind = AUTO_CLASSES.get(
        (adapter.task_type or "") if adapter is not None else "", "AutoModelForCausalLM"
    )
    where = str(base) if base is not None else source.name or "PUT THE BASE MODEL HERE"
    revision = f", revision={source.revision!r}" if source.revision else ""
    inside = "" if "" in facts.adapters else f", subfolder={next(iter(facts.adapters))!r}"
    bare = f"{kind}.from_pretrained({where!r}{revision})"
    return (
        f"from peft import PeftModel; from transformers import {kind};"
        f" model = PeftModel.from_pretrained({bare}, {target}{inside})"
    )


def _has_weights(manifest: Manifest) -> bool:
    return any(f.role == "weights" and f.holds_tensors for f in manifest.files)


def _auto_class(facts: Facts) -> str:
    """Give the transformers class that loads a model of this architecture with its head."""
    name = facts.model.architectures[0] if facts.model is not None else ""
    return next((kind for ending, kind in _BY_ENDING if name.endswith(ending)), "AutoModel")
