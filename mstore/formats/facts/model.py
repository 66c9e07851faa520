"""What a model directory says of itself: config, adapters, trainer state, shards.

JSON only. Nothing is imported and nothing is unpickled; what is missing, broken
or of the wrong type gives no fact, and where a file is broken, a warning. Works
from a disk and from a store alike, through `FolderSource`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from mstore.errors import BadFile
from mstore.formats.facts.adapter import AdapterFacts, adapter_facts
from mstore.formats.jsontext import as_text, count_of, plain_of, read_json_object, text_of, texts_of
from mstore.formats.roles import role_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mstore.objects import Layout

MAX_JSON_BYTES: Final = 64 << 20
# What a run logs while it trains; the latest stands for the step it was saved at.
_RUNNING: Final = ("loss", "grad_norm", "learning_rate")
_CONFIG_DTYPES: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# How fast the machine was says nothing of the model; it would differ in every comparison.
_SPEED: Final = re.compile(r"(_runtime|_per_second|^total_flos)$")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_MAY_NAME_CODE: Final = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)


class FolderSource(Protocol):
    """The files of a model directory."""

    def paths(self) -> Sequence[str]:
        """Paths relative to the folder, `/` between parts."""

    def size_bytes(self, path: str, /) -> int:
        """Bytes in a file, so that a huge one is never read."""

    def read(self, path: str, /) -> bytes:
        """All bytes of a file. Raises MStoreError."""


@dataclass(frozen=True)
class ModelFacts:
    """A model, as config.json and the layouts of its weights say.

    Args:
        dtype: as transformers spells it ('bfloat16').
        parameter_count: elements of the weights in the root folder, stored ones once.
        base_name: `_name_or_path`: what it was loaded from.
        base_revision: `_commit_hash`.
        quantization: the quantization method, or None.
        auto_map: it names Python code of its own.
    """

    architectures: tuple[str, ...] = ()
    model_type: str | None = None
    dtype: str | None = None
    parameter_count: int | None = None
    base_name: str | None = None
    base_revision: str | None = None
    quantization: str | None = None
    auto_map: bool = False


@dataclass(frozen=True)
class TrainerFacts:
    """Where a training run stood, as trainer_state.json says.

    Args:
        metrics: what was logged at `global_step`, and the latest loss, gradient
            norm and learning rate up to it. NaN and infinities are values.
        greater_is_better: of `best_metric`, if known.
        run_id: of the run that mstore's callback took part in.
    """

    global_step: int | None = None
    epoch: float | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_metric: float | None = None
    best_model_checkpoint: str | None = None
    best_global_step: int | None = None
    greater_is_better: bool | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a model directory says of itself.

    Args:
        adapters: by folder, `""` for the root.
        warnings: one sentence each, beginning with the file's path.
    """

    model: ModelFacts | None = None
    adapters: Mapping[str, AdapterFacts] = field(default_factory=dict)
    trainer: TrainerFacts | None = None
    warnings: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """A nested dict for a commit's metadata: text, numbers, lists; what is unknown is left out."""
        plain: dict[str, Any] = {}
        for key, facts in (("model", self.model), ("trainer", self.trainer)):
            if facts is not None:
                plain[key] = plain_of({k: v for k, v in vars(facts).items() if v not in ((), {})})
        if self.adapters:
            plain["adapters"] = {folder: facts.plain() for folder, facts in self.adapters.items()}
        return plain


def _object(folder: FolderSource, path: str) -> dict[str, Any]:
    """A file that is to hold a JSON object. Raises BadFile."""
    if folder.size_bytes(path) > MAX_JSON_BYTES:
        raise BadFile(path, f"is larger than {MAX_JSON_BYTES} bytes")
    return read_json_object(folder.read(path), path)


def _object_or_warning(folder: FolderSource, path: str, warnings: list[str]) -> dict[str, Any] | None:
    try:
        return _object(folder, path)
    except BadFile as error:
        warnings.append(f"{error.message}; kept as bytes")
        return None


def _float(value: Any) -> float | None:
    # Unlike the numbers of a configuration, NaN and infinities are what a metric may be.
    if type(value) is float:
        return value
    return float(value) if type(value) is int and abs(value) < 2**1000 else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if type(value) is dict else {}


def _root_weights(layouts: Mapping[str, Layout]) -> list[Layout]:
    """Layouts of the root's weights; of the same weights in two formats only the safetensors."""
    paths = [p for p in sorted(layouts) if "/" not in p and role_of(p) == "weights"]
    safe = [p for p in paths if p.endswith(".safetensors")]
    return [layouts[p] for p in safe or paths]


def _counted(layouts: list[Layout]) -> tuple[int | None, str | None]:
    """Parameters, and the dtype that takes the most bytes, in transformers' spelling."""
    total = 0
    by_dtype: Counter[str] = Counter()
    for layout in layouts:
        seen: set[tuple[int, int]] = set()
        for tensor in layout.tensors:
            place = (tensor.begin, tensor.end)
            if place in seen or tensor.begin == tensor.end:
                continue
            seen.add(place)
            count = 1
            for size in tensor.shape:
                count *= size
            total += count
            by_dtype[tensor.dtype] += tensor.size_bytes
    if not layouts:
        return None, None
    dtype = max(by_dtype, key=lambda d: (by_dtype[d], d), default=None)
    return min(total, 2**63 - 1), _CONFIG_DTYPES.get(dtype, dtype) if dtype is not None else None


def _model(config: dict[str, Any] | None, layouts: Mapping[str, Layout]) -> ModelFacts | None:
    weights = _root_weights(layouts)
    if config is None and not weights:
        return None
    config = config or {}
    count, stored_dtype = _counted(weights)
    return ModelFacts(
        architectures=texts_of(config.get("architectures")),
        model_type=text_of(config.get("model_type")),
        dtype=text_of(config.get("dtype")) or text_of(config.get("torch_dtype")) or stored_dtype,
        parameter_count=count,
        base_name=text_of(config.get("_name_or_path")),
        base_revision=text_of(config.get("_commit_hash")),
        quantization=text_of(_mapping(config.get("quantization_config")).get("quant_method")),
        auto_map=bool(_mapping(config.get("auto_map"))),
    )


def _metrics(log: Any, global_step: int) -> dict[str, float]:
    """Numbers logged at a step, and the latest running ones up to it."""
    at_step: dict[str, float] = {}
    latest: dict[str, tuple[int, float]] = {}
    for row in log if type(log) is list else ():
        step = count_of(row.get("step"), least=0) if type(row) is dict else None
        if step is None or step > global_step:
            continue
        for key in row if step == global_step else _RUNNING:
            number = _float(row.get(key))
            if number is None or key in ("step", "epoch") or _SPEED.search(key):
                continue
            if step == global_step:
                at_step[as_text(key)] = number
            elif step >= latest.get(key, (0, 0.0))[0]:
                latest[key] = (step, number)
    return {**{key: number for key, (_, number) in latest.items()}, **at_step}


def _trainer(state: Mapping[str, Any]) -> TrainerFacts:
    step = count_of(state.get("global_step"), least=0)
    ours = _mapping(_mapping(state.get("stateful_callbacks")).get("MStoreCallback"))
    attributes = _mapping(ours.get("attributes"))
    greater = attributes.get("greater_is_better")
    return TrainerFacts(
        global_step=step,
        epoch=_float(state.get("epoch")),
        max_steps=count_of(state.get("max_steps")),
        num_train_epochs=_float(state.get("num_train_epochs")),
        metrics=_metrics(state.get("log_history"), step) if step is not None else {},
        best_metric=_float(state.get("best_metric")),
        best_model_checkpoint=text_of(state.get("best_model_checkpoint")),
        best_global_step=count_of(state.get("best_global_step")),
        greater_is_better=greater if type(greater) is bool else None,
        run_id=text_of(attributes.get("run_id")),
    )


def _adapter_layout(folder: str, layouts: Mapping[str, Layout]) -> Layout | None:
    prefix = f"{folder}/" if folder else ""
    for ending in ("safetensors", "bin"):
        found = layouts.get(f"{prefix}adapter_model.{ending}")
        if found is not None:
            return found
    return None


def describe(folder: FolderSource, layouts: Mapping[str, Layout]) -> Facts:
    """What a model directory says of itself.

    Args:
        folder: its files.
        layouts: the layouts that are known of them, by path.

    Raises:
        MStoreError: the folder cannot be read. Broken JSON gives a warning.
    """
    paths = sorted(folder.paths())
    warnings: list[str] = []
    config = _object_or_warning(folder, "config.json", warnings) if "config.json" in paths else None
    adapters = {}
    for path in paths:
        inside, _, name = path.rpartition("/")
        if name == "adapter_config.json":
            adapter = _object_or_warning(folder, path, warnings)
            if adapter is not None:
                adapters[inside] = adapter_facts(adapter, _adapter_layout(inside, layouts))
    state = (
        _object_or_warning(folder, "trainer_state.json", warnings)
        if "trainer_state.json" in paths
        else None
    )
    return Facts(
        _model(config, layouts),
        adapters,
        _trainer(state) if state is not None else None,
        tuple(warnings),
    )


def _check_shard(index: str, shard: Any) -> str:
    """A shard's path, as the index gives it. Raises BadFile if it could leave the folder."""
    if type(shard) is not str or not shard or "\0" in shard:
        raise BadFile(index, "weight_map has a value that is not a file's name")
    parts = re.split(r"[/\\]", shard)
    if not parts[0] or _DRIVE.match(shard):
        raise BadFile(index, f"weight_map has the absolute path {shard!r}")
    if ".." in parts:
        raise BadFile(index, f"weight_map has the path {shard!r}, which leaves its folder")
    return "/".join(part for part in shard.split("/") if part not in ("", "."))


def _check_one_index(
    folder: FolderSource, index: str, present: set[str], allow_incomplete: bool
) -> list[str]:
    warnings: list[str] = []
    value = _object_or_warning(folder, index, warnings)
    if value is None or "weight_map" not in value:
        return warnings
    weight_map = value["weight_map"]
    if type(weight_map) is not dict:
        raise BadFile(index, "weight_map is not an object")
    inside = index.rpartition("/")[0]
    prefix = f"{inside}/" if inside else ""
    shards = sorted({_check_shard(index, shard) for shard in weight_map.values()})
    for shard in shards:
        if prefix + shard in present:
            continue
        if not allow_incomplete:
            raise BadFile(
                index,
                f"the shard {shard} is missing",
                hint="download it, or keep what is there with --allow-incomplete",
            )
        warnings.append(f"{index}: the shard {shard} is missing")
    return warnings


def check_index(folder: FolderSource, *, allow_incomplete: bool) -> tuple[str, ...]:
    """Check that sharded weights are complete and stay in their folder, and tell of code.

    Args:
        folder: the model directory.
        allow_incomplete: a missing shard is a warning.

    Returns:
        Warnings, one sentence each.

    Raises:
        BadFile: an index leaves its folder, or a shard that it names is missing.
    """
    paths = sorted(folder.paths())
    present = set(paths)
    warnings: list[str] = []
    for path in paths:
        if path.endswith(".index.json"):
            warnings += _check_one_index(folder, path, present, allow_incomplete)
    code = [path for path in paths if path.endswith(".py")]
    if code:
        for name in _MAY_NAME_CODE:
            # A broken file has its warning from `describe`.
            value = _object_or_warning(folder, name, []) if name in present else None
            if value is not None and value.get("auto_map"):
                warnings.append(
                    f"{name}: auto_map names Python code; {len(code)} .py files are kept as bytes "
                    "and never imported"
                )
                break
    return tuple(warnings)
