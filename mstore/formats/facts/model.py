"""The model itself: config.json, and the layouts of its weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.formats.jsontext import mapping_of, text_of, texts_of
from mstore.formats.roles import role_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.objects import Layout

_CONFIG_DTYPES: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class ModelFacts:
    """A model, as config.json and the layouts of its weights describe it.

    Args:
        dtype: as transformers spells it ('bfloat16').
        parameter_count: elements of the weights in the root folder, stored ones once.
        base_name: `_name_or_path`: the name or folder that it was loaded from.
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


def model_facts(config: dict[str, Any] | None, layouts: Mapping[str, Layout]) -> ModelFacts | None:
    """Read the facts of a model.

    Args:
        config: the parsed config.json; fields of the wrong type count as absent.
        layouts: the layouts that are known of the directory's files, by path.
    """
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
        quantization=text_of(mapping_of(config.get("quantization_config")).get("quant_method")),
        auto_map=bool(mapping_of(config.get("auto_map"))),
    )


def _root_weights(layouts: Mapping[str, Layout]) -> list[Layout]:
    """List the layouts of the root's weights; of two formats of them only the safetensors."""
    paths = [p for p in sorted(layouts) if "/" not in p and role_of(p) == "weights"]
    safe = [p for p in paths if p.endswith(".safetensors")]
    return [layouts[p] for p in safe or paths]


def _counted(layouts: list[Layout]) -> tuple[int | None, str | None]:
    """Count parameters, and find the dtype that takes most bytes, in transformers' spelling."""
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
