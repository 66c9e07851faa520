"""PEFT adapters: their configuration and the shapes of their parts.

Hides how PEFT spells its keys and how it finds the rank and alpha of a module.
Source: peft 0.21, `tuners/lora/model.py` (`_create_and_replace`),
`tuners/lora/layer.py` (`ParamWrapper.update_layer`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mstore.formats.facts.patterns import value_by_pattern
from mstore.formats.jsontext import as_text, count_of, number_of, text_of, texts_of, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.objects import Layout

Shape = tuple[int, ...]
_PARTS: Final = {
    "lora_A": "A",
    "lora_B": "B",
    "lora_embedding_A": "embedding_A",
    "lora_embedding_B": "embedding_B",
    "lora_magnitude_vector": "magnitude",
}
# A key: the module, the part, perhaps the adapter's name, perhaps `weight` or `bias`.
_KEY: Final = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(?:\.(?!weight$|bias$)[^.]+)?(?:\.(?P<leaf>weight|bias))?"
)

AUTO_CLASSES: Final = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
"""The class of transformers by which peft opens a base, by the adapter's `task_type`."""


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter, as its adapter_config.json and the shapes of its tensors say.

    Args:
        kind: PEFT's type ('LORA'), upper case.
        rank: `r` of the configuration, which patterns override by module.
        ranks: the ranks that modules really have, sorted.
        alpha: `lora_alpha`.
        scaling: α/r, or α/√r under rsLoRA, of a module without patterns.
        targets: target modules, sorted, or the one expression that names them.
        target_parameters: parameters (of experts) that are targets by themselves.
        base_name: the base model's name or path.
        base_revision: its revision, if pinned.
        modules: by module name, without PEFT's prefix: the shape of each part
            ('A', 'B', 'embedding_A', 'embedding_B', 'magnitude', 'B_bias').
        whole_tensors: tensors that are saved whole (modules_to_save, biases), sorted.
    """

    kind: str | None = None
    rank: int | None = None
    ranks: tuple[int, ...] = ()
    alpha: float | None = None
    scaling: float | None = None
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] | str | None = None
    target_parameters: tuple[str, ...] = ()
    use_rslora: bool = False
    use_dora: bool = False
    bias: str | None = None
    modules_to_save: tuple[str, ...] = ()
    task_type: str | None = None
    base_name: str | None = None
    base_revision: str | None = None
    modules: Mapping[str, Mapping[str, Shape]] = field(default_factory=dict)
    whole_tensors: tuple[str, ...] = ()

    @cached_property
    def _parameters(self) -> dict[str, list[str]]:
        """The targeted parameters, by the module, or end of a module's name, that holds them."""
        parameters: dict[str, list[str]] = {}
        for target in self.target_parameters:
            parent, _, leaf = target.rpartition(".")
            parameters.setdefault(parent, []).append(leaf)
        return parameters

    def _pattern_keys(self, module: str) -> list[str]:
        """List the keys that PEFT matches its patterns against, for one module.

        The module's name; for an expert's parameter, module and parameter. Which
        of several parameters a nested wrapper wraps is not in the keys, so
        all are candidates.
        """
        name = module.replace(".base_layer", "")
        parents = [name]
        while "." in parents[-1]:
            parents.append(parents[-1].partition(".")[2])
        leaves = {leaf for parent in parents for leaf in self._parameters.get(parent, ())}
        return [f"{name}.{leaf}" for leaf in sorted(leaves)] or [name]

    def _agreed(
        self, module: str, patterns: Mapping[str, float], default: float | None
    ) -> float | None:
        values = {value_by_pattern(patterns, key, default) for key in self._pattern_keys(module)}
        return values.pop() if len(values) == 1 else None

    def module_rank(self, module: str) -> int | None:
        """Find the rank of one module; None where it cannot be known.

        The rows of A, except for an expert's parameter: there A has rank ×
        experts rows, and the rank is the configuration's if it divides them.
        """
        shapes = self.modules.get(module, {})
        rows: int | None = None
        for part, axis in (("A", 0), ("embedding_A", 0), ("B", 1), ("embedding_B", 1)):
            shape = shapes.get(part)
            if shape is not None and len(shape) > axis:
                rows = shape[axis]
                break
        is_parameter = self._pattern_keys(module) != [module.replace(".base_layer", "")]
        if rows is not None and not is_parameter:
            return rows
        rank = self._agreed(module, self.rank_pattern, self.rank)
        if rank is None or rank < 1 or (rows is not None and rows % rank):
            return None
        return int(rank)

    def module_scaling(self, module: str) -> float | None:
        """Find the factor of B·A in one module; None where it cannot be known."""
        rank = self.module_rank(module)
        alpha = self._agreed(module, self.alpha_pattern, self.alpha)
        return _scaling(alpha, rank, self.use_rslora)

    def to_dict(self) -> dict[str, Any]:
        """Convert to a nested dict for metadata, without the shapes, which the layout has."""
        left_out = ("modules", "whole_tensors")
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        made: dict[str, Any] = to_json({k: v for k, v in named.items() if v not in ((), {})})
        made["module_count"] = len(self.modules)
        return made


def _scaling(alpha: float | None, rank: int | None, use_rslora: bool) -> float | None:
    if alpha is None or rank is None or rank < 1:
        return None
    return alpha / math.sqrt(rank) if use_rslora else alpha / rank


def _sorted_texts(value: Any) -> tuple[str, ...]:
    return tuple(sorted(texts_of(value)))


def _patterns(value: Any) -> dict[str, float]:
    if type(value) is not dict:
        return {}
    return {as_text(k): n for k, v in value.items() if (n := number_of(v)) is not None}


def _modules(layout: Layout | None) -> tuple[dict[str, dict[str, Shape]], tuple[str, ...]]:
    modules: dict[str, dict[str, Shape]] = {}
    whole = []
    for tensor in layout.tensors if layout is not None else ():
        name = tensor.name.removeprefix("base_model.model.")
        match = _KEY.fullmatch(name) if len(name) <= 4096 else None
        if match is None:
            whole.append(name)
            continue
        part = _PARTS[match["part"]] + ("_bias" if match["leaf"] == "bias" else "")
        modules.setdefault(match["module"], {}).setdefault(part, tensor.shape)
    return modules, tuple(sorted(whole))


def adapter_facts(config: Mapping[str, Any], layout: Layout | None) -> AdapterFacts:
    """Read the facts of one adapter.

    Args:
        config: the parsed adapter_config.json; fields of the wrong type count as absent.
        layout: of its adapter_model file, or None.
    """
    modules, whole = _modules(layout)
    kind = text_of(config.get("peft_type"))
    rank, alpha = count_of(config.get("r")), number_of(config.get("lora_alpha"))
    use_rslora = config.get("use_rslora") is True
    targets = config.get("target_modules")
    facts = AdapterFacts(
        kind=kind.upper() if kind is not None else None,
        rank=rank,
        alpha=alpha,
        scaling=_scaling(alpha, rank, use_rslora),
        rank_pattern={k: int(v) for k, v in _patterns(config.get("rank_pattern")).items()},
        alpha_pattern=_patterns(config.get("alpha_pattern")),
        targets=text_of(targets) if type(targets) is str else _sorted_texts(targets) or None,
        target_parameters=_sorted_texts(config.get("target_parameters")),
        use_rslora=use_rslora,
        use_dora=config.get("use_dora") is True,
        bias=text_of(config.get("bias")),
        modules_to_save=_sorted_texts(config.get("modules_to_save")),
        task_type=text_of(config.get("task_type")),
        base_name=text_of(config.get("base_model_name_or_path")),
        base_revision=text_of(config.get("revision")),
        modules=modules,
        whole_tensors=whole,
    )
    ranks = {facts.module_rank(module) for module in modules}
    object.__setattr__(facts, "ranks", tuple(sorted(r for r in ranks if r is not None)))
    return facts
