"""Adapters of two model directories side by side: ranks, scaling, targets, shapes.

The rank is what the configuration says *and* what the shapes show; where these
disagree, `rank_warnings` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.formats import AdapterFacts, Facts


@dataclass(frozen=True)
class AdapterSide:
    """An adapter on one side; see `formats.AdapterFacts`.

    Args:
        folder: where it lies, `""` for the root.
        rank: `r` of the configuration.
        ranks: the ranks that modules really have, sorted.
        scaling: α/r, or α/√r under rsLoRA, of a module without patterns.
        scalings: the factors of all modules, sorted.
        modules: shapes by module and part.
    """

    folder: str
    kind: str | None
    rank: int | None
    ranks: tuple[int, ...]
    alpha: float | None
    scaling: float | None
    scalings: tuple[float, ...]
    targets: tuple[str, ...] | str | None
    target_parameters: tuple[str, ...]
    use_rslora: bool
    use_dora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    modules_to_save: tuple[str, ...]
    modules: Mapping[str, Mapping[str, tuple[int, ...]]] = field(repr=False)

    @classmethod
    def of(cls, folder: str, facts: AdapterFacts) -> AdapterSide:
        """Describe an adapter of a folder."""
        factors = {facts.module_scaling(module) for module in facts.modules}
        own = {
            f.name: getattr(facts, f.name) for f in fields(cls) if f.name not in ("folder", "scalings")
        }
        return cls(folder=folder, scalings=tuple(sorted(f for f in factors if f is not None)), **own)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        targets = list(self.targets) if isinstance(self.targets, tuple) else self.targets
        return {
            "rank": self.rank,
            "ranks": list(self.ranks),
            "alpha": self.alpha,
            "scaling": self.scaling,
            "targets": targets,
            "modules": {
                module: {part: list(shape) for part, shape in parts.items()}
                for module, parts in self.modules.items()
            },
        }


@dataclass(frozen=True)
class AdapterDiff:
    """An adapter on both sides, whether it differs or not; None where a side has it not."""

    a: AdapterSide | None
    b: AdapterSide | None

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the fields that differ; of an adapter that one side lacks, none."""
        if self.a is None or self.b is None:
            return ()
        names = (f.name for f in fields(AdapterSide) if f.name != "folder")
        return tuple(n for n in names if getattr(self.a, n) != getattr(self.b, n))

    def __bool__(self) -> bool:
        return self.a is None or self.b is None or bool(self.changed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md)."""
        return {
            "a": self.a.to_dict() if self.a is not None else None,
            "b": self.b.to_dict() if self.b is not None else None,
        }

    def __str__(self) -> str:
        a, b = (s.rank if s is not None else None for s in (self.a, self.b))
        if not self:
            return f"r {a} in both"
        return f"r {'–' if a is None else a} → {'–' if b is None else b}" if a != b else f"r {a}"


def _only(adapters: Mapping[str, AdapterFacts]) -> str | None:
    return "" if "" in adapters else next(iter(adapters)) if len(adapters) == 1 else None


def pair_adapters(a: Facts, b: Facts) -> tuple[dict[str, AdapterDiff], str | None]:
    """Return all adapters by folder, and the folder of the one that `lora` names.

    The root's, or only, adapter of one side goes with that of the other even
    where their folders differ.
    """
    main_a, main_b = _only(a.adapters), _only(b.adapters)
    if main_a is None and main_b in a.adapters:
        main_a = main_b
    if main_b is None and main_a in b.adapters:
        main_b = main_a

    def side(facts: Facts, folder: str | None) -> AdapterSide | None:
        found = facts.adapters.get(folder) if folder is not None else None
        return AdapterSide.of(folder, found) if found is not None and folder is not None else None

    main = main_b if main_b is not None else main_a
    pairs = {main: AdapterDiff(side(a, main_a), side(b, main_b))} if main is not None else {}
    left_a, left_b = a.adapters.keys() - {main_a}, b.adapters.keys() - {main_b}
    for folder in sorted(left_a | left_b):
        pairs[folder] = AdapterDiff(
            side(a, folder) if folder in left_a else None, side(b, folder) if folder in left_b else None
        )
    return pairs, main


def rank_warnings(facts: Facts) -> list[str]:
    """Describe where the configured rank, patterns included, is not the one that shapes show."""
    warnings = []
    for folder, adapter in facts.adapters.items():
        path = f"{folder}/adapter_config.json" if folder else "adapter_config.json"
        if adapter.kind not in (None, "LORA"):
            continue
        # Without shapes, the rank of a module is what the configuration alone says.
        configured = replace(adapter, modules={})
        odd: dict[tuple[int | None, int], list[str]] = {}
        for module in adapter.modules:
            expected, there = configured.module_rank(module), adapter.module_rank(module)
            if expected is not None and expected != there:
                odd.setdefault((there, expected), []).append(module)
        for (there, expected), modules in odd.items():
            count = f"{len(modules)} modules have" if len(modules) > 1 else f"{modules[0]} has"
            shown = f"rank {there}" if there is not None else "shapes that no such rank gives"
            warnings.append(f"{path}: says rank {expected}, but {count} {shown}")
        if adapter.rank is not None and not adapter.modules:
            warnings.append(f"{path}: says rank {adapter.rank}, and no shapes are there to check it")
    return warnings


__all__ = ["AdapterDiff", "AdapterSide", "pair_adapters", "rank_warnings"]
