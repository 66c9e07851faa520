"""The health of a trained version: NaN, an adapter that learnt nothing, frozen weights that moved.

Reads the tensors of the store, a block at a time, with numpy alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from mstore.objects import MODEL_ROLES

if TYPE_CHECKING:
    from mstore.api.repository import Repository
    from mstore.api.values import TensorRef
    from mstore.objects import BlobId, CommitId, Layout, ManifestFile

# dtype → numpy's unsigned integers of that width, and the bits that are all set in NaN and ±inf
# (IEEE 754 §3.4; bfloat16: the upper half of a binary32).
_EXPONENTS: Final = {
    "F64": ("<u8", 0x7FF0000000000000),
    "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
_SHOWN: Final = 5


def health_of(repository: Repository, commit: CommitId, frozen: str | None = None) -> dict[str, str]:
    """Find problems of a version; empty if there are none.

    Only tensors that the parent lacks are read.

    Args:
        repository: where it is.
        commit: the version.
        frozen: a pattern of the names of tensors that must not change.

    Returns:
        One sentence each under `not_finite` (NaN or infinity in weights), `untrained` (every
        B matrix of an adapter is zero), `frozen_changed`.
    """
    parents = repository.read_commit(commit).parents
    own = _tensors(repository, commit)
    before = _tensors(repository, parents[0]) if parents else {}
    changed = [key for key, (_, blob) in own.items() if before.get(key, (None, None))[1] != blob]
    found: dict[str, str] = {}
    bad = [name for folder, name in changed if _not_finite(repository, commit, own[folder, name][0])]
    if bad:
        found["not_finite"] = f"NaN or infinity in {_some(bad)}"
    factors = [
        ref
        for (_, name), (ref, _) in own.items()
        if ".lora_B." in name or name.endswith(".lora_embedding_B")
    ]
    if factors and all(_is_zero(repository, commit, ref) for ref in factors):
        found["untrained"] = "every B of the adapter is zero: it changes nothing yet"
    if frozen is not None and parents:
        pattern = re.compile(frozen)
        both = [key for key in changed if key in before and pattern.search(key[1])]
        # Small tensors lie in one blob, which is another as soon as one of them has changed.
        moved = [
            key[1]
            for key in both
            if _bytes(repository, commit, own[key][0]) != _bytes(repository, parents[0], before[key][0])
        ]
        if moved:
            found["frozen_changed"] = f"meant to be frozen, and changed: {_some(moved)}"
    return found


def _tensors(
    repository: Repository, commit: CommitId
) -> dict[tuple[str, str], tuple[TensorRef, tuple[tuple[BlobId, int, int], ...]]]:
    """Return tensors of a version by folder and name, with the stretches of blobs that they are.

    Not by file, which a tensor may leave for another shard; not by name alone, since PEFT saves
    each adapter in a folder of its own under the same names.
    """
    manifest = repository.manifest(commit)
    stretches = {
        file.path: _stretches(file, layout)
        for file in manifest.files
        if file.role in MODEL_ROLES and (layout := repository.read_layout(file)) is not None
    }
    return {
        (ref.path.rpartition("/")[0], ref.name): (ref, stretches[ref.path][ref.name])
        for ref in repository.tensors(commit)
        if ref.path in stretches
    }


def _stretches(file: ManifestFile, layout: Layout) -> dict[str, tuple[tuple[BlobId, int, int], ...]]:
    begins, position = [], 0
    for segment in file.segments:
        begins.append(position)
        position += segment.length
    found = {}
    for tensor in layout.tensors:
        parts = []
        index = max(0, bisect_right(begins, tensor.begin) - 1)
        while index < len(begins) and begins[index] < tensor.end:
            segment, begin = file.segments[index], begins[index]
            low, high = max(begin, tensor.begin), min(begin + segment.length, tensor.end)
            if low < high:
                parts.append((segment.blob, segment.offset + low - begin, high - low))
            index += 1
        found[tensor.name] = tuple(parts)
    return found


def _not_finite(repository: Repository, commit: CommitId, ref: TensorRef) -> bool:
    import numpy as np

    if ref.dtype not in _EXPONENTS:
        return False
    kind, mask = _EXPONENTS[ref.dtype]
    bits = np.frombuffer(_bytes(repository, commit, ref), kind)
    step = 1 << 20
    exponent = bits.dtype.type(mask)
    return any(
        bool(((bits[i : i + step] & exponent) == exponent).any()) for i in range(0, len(bits), step)
    )


def _is_zero(repository: Repository, commit: CommitId, ref: TensorRef) -> bool:
    return not bytes(_bytes(repository, commit, ref)).strip(b"\0")


def _bytes(repository: Repository, commit: CommitId, ref: TensorRef) -> memoryview:
    return memoryview(repository.read_tensor(commit, ref.name, path=ref.path).buffer).cast("B")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    )
