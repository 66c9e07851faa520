"""Types of what `diff` gives under `--json`; see `shared`."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from mstore.render.json.looking import MetricPairDocument, PairDocument
from mstore.render.json.shared import Bytes, FileDocument, Number


class AdapterDocument(TypedDict):
    """An adapter on one side.

    Args:
        rank: `r` of its configuration; null where it has none.
        ranks: the ranks that its modules really have.
        alpha: `lora_alpha`; null where it has none.
        scaling: the factor of B·A in a module without patterns; null where unknown.
        targets: the modules that it adapts: names, or one pattern; null where not said.
        modules: the shape of each part of each module.
    """

    rank: int | None
    ranks: list[int]
    alpha: Number | None
    scaling: Number | None
    targets: list[str] | str | None
    modules: Mapping[str, Mapping[str, list[int]]]


class AdapterPairDocument(TypedDict):
    """An adapter on both sides.

    Args:
        a: on the one; null where it has none.
        b: on the other; null where it has none.
    """

    a: AdapterDocument | None
    b: AdapterDocument | None


class FigureDocument(TypedDict):
    """A tensor's form.

    Args:
        dtype: as safetensors spells it.
        shape: elements by dimension.
        size_bytes: its size.
    """

    dtype: str
    shape: list[int]
    size_bytes: Bytes


class TensorNameDocument(TypedDict):
    """The name of a tensor, whichever file holds it.

    Args:
        folder: the folder of its file, `""` for the root.
        name: its name in the file.
    """

    folder: str
    name: str


class PlacedTensorDocument(TensorNameDocument, FigureDocument):
    """A tensor that one side has."""


class StatDocument(TypedDict):
    """By how much elements differ; norms are Frobenius, in float64.

    Args:
        element_count: elements of each side.
        differing_count: pairs that differ.
        not_finite_count: pairs of which one is NaN or infinite; the norms leave them out.
        share: of the elements that differ, 0 to 1.
        relative: ‖b − a‖ / ‖a‖.
        cosine: of the angle between both as vectors; null where one of them is 0.
        norm_change: ‖b − a‖.
        norm_a: ‖a‖.
        norm_b: ‖b‖.
    """

    element_count: int
    differing_count: int
    not_finite_count: int
    share: Number
    relative: Number
    cosine: Number | None
    norm_change: Number
    norm_a: Number
    norm_b: Number


class TotalStatDocument(StatDocument):
    """The same of all tensors together, as if they were one vector.

    Args:
        unmeasured_count: tensors of which no figures could be had.
    """

    unmeasured_count: int


class TensorPairDocument(TensorNameDocument):
    """A tensor that differs.

    Args:
        a: on the one side.
        b: on the other.
        stat: by how much they differ; only with `--stat`, and where that can be computed.
    """

    a: FigureDocument
    b: FigureDocument
    stat: NotRequired[StatDocument]


MovedTensorDocument = TypedDict(
    "MovedTensorDocument",
    {
        "from": TensorNameDocument,
        "to": TensorNameDocument,
        "dtype": str,
        "shape": list[int],
        "size_bytes": Bytes,
    },
)
MovedTensorDocument.__doc__ = """A tensor whose name alone differs.

    Args:
        from: where `a` has it.
        to: where `b` has it.
        dtype: as safetensors spells it.
        shape: elements by dimension.
        size_bytes: its size.
    """


class TensorDiffDocument(TypedDict):
    """The differences between the tensors of weights and adapters; each is in one list.

    Args:
        added: only `b` has them.
        removed: only `a` has them.
        reshaped: of another shape.
        recast: of one shape and another dtype.
        changed: of one shape and dtype, with other bytes.
        moved: of one shape, dtype and bytes, with another name or folder.
        same_count: those that do not differ.
        stat: all changed and recast ones together; only with `--stat`.
    """

    added: list[PlacedTensorDocument]
    removed: list[PlacedTensorDocument]
    reshaped: list[TensorPairDocument]
    recast: list[TensorPairDocument]
    changed: list[TensorPairDocument]
    moved: list[MovedTensorDocument]
    same_count: int
    stat: NotRequired[TotalStatDocument]


class EffectDocument(TypedDict):
    """The effects of the adapters of both sides on one module, ΔW = s·B·A; norms are Frobenius.

    Args:
        rank_a: of the factors of `a`.
        rank_b: of the factors of `b`.
        norm_a: ‖ΔW‖ of `a`.
        norm_b: ‖ΔW‖ of `b`.
        norm_change: of the difference of both.
        cosine: of the angle between both; null where one is 0.
        effective_a: effective rank of `a`; 0 where ΔW is 0.
        effective_b: effective rank of `b`; 0 where ΔW is 0.
        shared: the share of `b` that lies in the column and row space of `a`; null where one is 0.
        magnitude: relative change of DoRA's magnitudes; null without DoRA.
    """

    rank_a: int
    rank_b: int
    norm_a: Number
    norm_b: Number
    norm_change: Number
    cosine: Number | None
    effective_a: Number
    effective_b: Number
    shared: Number | None
    magnitude: Number | None


class FileSizeDocument(TypedDict):
    """A file's size on one side.

    Args:
        size_bytes: its size.
    """

    size_bytes: Bytes


class FilePairDocument(TypedDict):
    """A file that differs.

    Args:
        path: its path in the model directory.
        role: its role.
        a: on the one side.
        b: on the other.
    """

    path: str
    role: str
    a: FileSizeDocument
    b: FileSizeDocument


class FileDiffDocument(TypedDict):
    """The differences between files.

    Args:
        added: only `b` has them.
        removed: only `a` has them.
        changed: both have them, with other bytes.
    """

    added: list[FileDocument]
    removed: list[FileDocument]
    changed: list[FilePairDocument]


class DiffDocument(TypedDict):
    """The differences between two versions or folders.

    Args:
        a: the one, as it was typed: a revision or a folder.
        b: the other.
        same: no file differs; `--exit-code` exits 0.
        lora: the root's adapter, or the only one.
        adapters: the other adapters, by folder.
        config: keys of configuration files that differ; the first part is the file's path without
            `.json`.
        metadata: metadata that differs; only between versions.
        metrics: metrics that differ.
        tensors: how tensors differ.
        effects: the effects of the adapters of `lora`, by module; empty without `--stat`.
        files: how files differ.
        warnings: one sentence each.
    """

    a: str
    b: str
    same: bool
    lora: AdapterPairDocument
    adapters: Mapping[str, AdapterPairDocument]
    config: Mapping[str, PairDocument]
    metadata: Mapping[str, PairDocument]
    metrics: Mapping[str, MetricPairDocument]
    tensors: TensorDiffDocument
    effects: Mapping[str, EffectDocument]
    files: FileDiffDocument
    warnings: list[str]
