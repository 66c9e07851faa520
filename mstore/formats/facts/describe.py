"""Read all facts that a model directory states.

JSON only. Nothing is imported and nothing is unpickled; what is missing, broken
or of the wrong type gives no fact, and where a file is broken, a warning. Works
from a disk and from a store alike, through `FolderSource`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mstore.formats.facts.adapter import AdapterFacts, adapter_facts
from mstore.formats.facts.files import object_or_warning
from mstore.formats.facts.model import ModelFacts, model_facts
from mstore.formats.facts.trainer import TrainerFacts, trainer_facts
from mstore.formats.jsontext import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.formats.facts.files import FolderSource
    from mstore.objects import Layout


@dataclass(frozen=True)
class Facts:
    """The facts of a model directory.

    Args:
        adapters: by folder, `""` for the root.
        warnings: one sentence each, beginning with the file's path.
    """

    model: ModelFacts | None = None
    adapters: Mapping[str, AdapterFacts] = field(default_factory=dict)
    trainer: TrainerFacts | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to a nested dict for a commit's metadata, without unknown facts."""
        made: dict[str, Any] = {}
        for key, facts in (("model", self.model), ("trainer", self.trainer)):
            if facts is not None:
                made[key] = to_json({k: v for k, v in vars(facts).items() if v not in ((), {})})
        if self.adapters:
            made["adapters"] = {folder: facts.to_dict() for folder, facts in self.adapters.items()}
        return made

    plain = to_dict  # The name of 0.2, for callers that have not moved to the new one.


def describe(folder: FolderSource, layouts: Mapping[str, Layout]) -> Facts:
    """Read the facts of a model directory.

    Args:
        folder: its files.
        layouts: the layouts that are known of them, by path.

    Raises:
        MStoreError: the folder cannot be read. Broken JSON gives a warning.
    """
    paths = sorted(folder.paths())
    warnings: list[str] = []

    def json_of(path: str) -> dict[str, Any] | None:
        return object_or_warning(folder, path, warnings) if path in paths else None

    config = json_of("config.json")
    adapters = {}
    for path in paths:
        inside, _, name = path.rpartition("/")
        if name == "adapter_config.json":
            adapter = json_of(path)
            if adapter is not None:
                adapters[inside] = adapter_facts(adapter, _adapter_layout(inside, layouts))
    state = json_of("trainer_state.json")
    return Facts(
        model_facts(config, layouts),
        adapters,
        trainer_facts(state) if state is not None else None,
        tuple(warnings),
    )


def _adapter_layout(folder: str, layouts: Mapping[str, Layout]) -> Layout | None:
    prefix = f"{folder}/" if folder else ""
    for ending in ("safetensors", "bin"):
        layout = layouts.get(f"{prefix}adapter_model.{ending}")
        if layout is not None:
            return layout
    return None


def adapter_label(adapter: AdapterFacts) -> str:
    """Describe the kind of an adapter with its rank and alpha, as `LoRA r=8 alpha=16`."""
    label = "LoRA" if adapter.kind in (None, "LORA") else str(adapter.kind)
    if adapter.use_dora:
        label = "DoRA"
    label += f" r={adapter.rank}" if adapter.rank is not None else ""
    return label + (f" alpha={adapter.alpha:g}" if adapter.alpha is not None else "")


def adapter_of(facts: Facts) -> AdapterFacts | None:
    """Give the root adapter of a directory, or its only one."""
    if "" in facts.adapters:
        return facts.adapters[""]
    return next(iter(facts.adapters.values())) if len(facts.adapters) == 1 else None
