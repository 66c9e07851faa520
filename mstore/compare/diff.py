"""diff: how two versions or folders differ. LoRA first, then everything else.

Hides where the sides come from: a commit in a store or a folder on a disk, which
needs no store. Hashes decide whether files and tensors are equal; large ones
are read only where figures are asked (`stat`).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mstore.compare.adapters import AdapterDiff, AdapterSide, pair_adapters, rank_warnings
from mstore.compare.config import configuration_of, metadata_of
from mstore.compare.files import FileDiff, compare_files
from mstore.compare.sides import DiffSide, side_of, side_of_commit, side_of_folder
from mstore.compare.stats import can_measure, values_of
from mstore.compare.tensors import TensorDiff, compare_tensors, measure, tensors_in
from mstore.objects import Manifest
from mstore.objects.json_values import json_equal
from mstore.text import counted, jsonable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from mstore.compare.lora_delta import Factors, ModuleDelta
    from mstore.compare.tensors import TensorPlace
    from mstore.progress import Progress


class Missing(enum.Enum):
    """The value of a side that has none; a null of JSON is a value."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


Values = Mapping[str, tuple[Any, Any]]
"""(a, b) by key; MISSING where a side has no such key."""


@dataclass(frozen=True, kw_only=True)
class DiffResult:
    """The differences between two sides.

    Args:
        a: label of the one.
        b: label of the other.
        adapters: all adapters of both, by folder, differing or not.
        lora_folder: which of them is the root's, or the only one of a side; None: there is none.
        config: configuration keys that differ; the first part is the file's path without `.json`.
        metadata: metadata that differs; only between commits, a folder has none.
        metrics: metrics that differ; None where a side has it not.
        tensors: tensors of weights and adapters.
        effects: the effects of the root's, or only, adapters by module, where asked for.
        files: all files.
        warnings: one sentence each.
    """

    a: str
    b: str
    adapters: Mapping[str, AdapterDiff] = field(default_factory=dict, repr=False)
    lora_folder: str | None = None
    config: Values = field(default_factory=dict)
    metadata: Values = field(default_factory=dict)
    metrics: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    tensors: TensorDiff = field(default_factory=TensorDiff, repr=False)
    effects: tuple[ModuleDelta, ...] = field(default=(), repr=False)
    files: FileDiff = field(default_factory=FileDiff)
    warnings: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the files are equal, byte for byte; `--exit-code` shows it.

        Metadata and metrics do not count: two trainings that end in the same
        bytes made the same model, and a folder has neither.
        """
        return not self.files

    @property
    def lora(self) -> AdapterDiff | None:
        """The root's adapter, or the only one."""
        return self.adapters[self.lora_folder] if self.lora_folder is not None else None

    def __bool__(self) -> bool:
        return bool(self.files or self.config or self.metadata or self.metrics or self.tensors)

    def __str__(self) -> str:
        if not self:
            return f"{self.a} and {self.b}: no differences"
        parts = [f"LoRA {self.lora}"] if self.lora else []
        for count, noun in ((len(self.config), "configuration key"), (len(self.metrics), "metric")):
            if count:
                parts.append(counted(count, noun))
        if self.tensors:
            parts.append(str(self.tensors))
        files = sum(map(len, (self.files.added, self.files.removed, self.files.changed)))
        return f"{self.a} → {self.b}: " + ", ".join([*parts, counted(files, "file")])

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object (docs/json.md); a side without a key is left out of its pair."""

        def pairs(values: Values) -> dict[str, Any]:
            return {
                key: {side: v for side, v in zip("ab", pair, strict=True) if v is not MISSING}
                for key, pair in values.items()
            }

        lora = AdapterDiff(None, None) if self.lora is None else self.lora
        others = {f: d.to_dict() for f, d in self.adapters.items() if f != self.lora_folder}
        document: dict[str, Any] = jsonable(
            {
                "a": self.a,
                "b": self.b,
                "same": self.same,
                "lora": lora.to_dict(),
                "adapters": others,
                "config": pairs(self.config),
                "metadata": pairs(self.metadata),
                "metrics": {k: {"a": a, "b": b} for k, (a, b) in self.metrics.items()},
                "tensors": self.tensors.to_dict(),
                "effects": {e.module: e.to_dict() for e in self.effects},
                "files": self.files.to_dict(),
                "warnings": list(self.warnings),
            }
        )
        return document


def diff(
    a: DiffSide, b: DiffSide, *, stat: bool = False, progress: Progress | None = None
) -> DiffResult:
    """Compare two sides.

    Args:
        a: the one.
        b: the other; parts that only it has are "added".
        stat: by how much tensors differ, too; reads all that do.
        progress: called with (the step, bytes done, bytes in all).

    Raises:
        NotFound, Corrupt, Unsupported: the store cannot give what is needed.
        InvalidInput: a folder's file cannot be read.
    """
    a, b = _with_equal_roles(a, b), _with_equal_roles(b, a)
    adapters, lora_folder = pair_adapters(a.facts, b.facts)
    in_a, in_b = (tensors_in(s.manifest, s.layouts, s.open_file) for s in (a, b))
    tensors = compare_tensors(in_a, in_b)
    effects: tuple[ModuleDelta, ...] = ()
    if stat:
        tensors = measure(tensors, a.open_file, b.open_file, progress=progress)
        if lora_folder is not None:
            effects = _effects(a, b, adapters[lora_folder], in_a.values(), in_b.values())
    return DiffResult(
        a=a.label,
        b=b.label,
        adapters=adapters,
        lora_folder=lora_folder,
        config=_differing(configuration_of(a), configuration_of(b)),
        metadata={} if a.is_folder or b.is_folder else _differing(metadata_of(a), metadata_of(b)),
        metrics=_metrics(a, b),
        tensors=tensors,
        effects=effects,
        files=compare_files(a, b),
        warnings=tuple(
            f"{s.label}: {w}" for s in (a, b) for w in (*s.warnings, *rank_warnings(s.facts))
        ),
    )


def _with_equal_roles(side: DiffSide, other: DiffSide) -> DiffSide:
    """Leave out of one side the roles that the other has no files of on purpose.

    What was forgotten is left out of any side; what `commit --without` left out, of a folder.
    """
    missing = other.forgotten | (other.without if side.is_folder else frozenset())
    if not missing:
        return side
    kept = [f for f in side.manifest.files if f.role not in missing]
    return replace(side, manifest=Manifest.of(kept))


def _effects(
    a: DiffSide,
    b: DiffSide,
    pair: AdapterDiff,
    in_a: Iterable[TensorPlace],
    in_b: Iterable[TensorPlace],
) -> tuple[ModuleDelta, ...]:
    """Compare what two LoRA adapters do to the modules that both have."""
    if pair.a is None or pair.b is None or {pair.a.kind, pair.b.kind} - {None, "LORA"}:
        return ()
    from mstore.compare.lora_delta import compare_modules

    one = _factors(a, pair.a.folder, in_a)
    other = _factors(b, pair.b.folder, in_b)
    found = [compare_modules(m, one[m], other[m]) for m in one if m in other]
    return tuple(delta for delta in found if delta is not None)


def _factors(side: DiffSide, folder: str, places: Iterable[TensorPlace]) -> Mapping[str, Factors]:
    from mstore.compare.lora_delta import factors_of

    own = {place.name: place for place in places if place.folder == folder}

    def read(name: str) -> NDArray[np.float64]:
        place = own[name]
        with side.open_file(place.path) as read_range:
            raw = read_range(place.begin, place.size_bytes)
        return values_of(bytes(raw), place.dtype).reshape(place.shape)

    facts = side.facts.adapters[folder]
    known = facts.modules.keys()

    def scaling(module: str) -> float | None:
        near = [m for m in known if module == m or module.endswith("." + m)]
        return facts.module_scaling(near[0]) if near else None

    readable = [n for n, p in own.items() if can_measure(p.dtype, math.prod(p.shape), p.size_bytes)]
    return factors_of(readable, read, scaling)


# -- configuration, metadata, metrics


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {k: (a.get(k, MISSING), b.get(k, MISSING)) for k in (*a, *(k for k in b if k not in a))}
    return {k: pair for k, pair in pairs.items() if not json_equal(*pair)}


def _metrics(a: DiffSide, b: DiffSide) -> dict[str, tuple[float | None, float | None]]:
    names = sorted(a.metrics.keys() | b.metrics.keys())
    if a.is_folder != b.is_folder:
        # A folder knows what its trainer_state.json has; that a commit knows more is no change.
        names = sorted((a if a.is_folder else b).metrics)
    pairs = {name: (a.metrics.get(name), b.metrics.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if not json_equal(*pair)}


# -- files


__all__ = [
    "MISSING",
    "AdapterDiff",
    "AdapterSide",
    "DiffResult",
    "DiffSide",
    "Missing",
    "diff",
    "side_of",
    "side_of_commit",
    "side_of_folder",
]
