"""What real series take: mstore's frames against BitX, byte grouping and the entropy of the planes.

mstore's sizes come out of the packs of real commits, whole frames with their heads and sums. The
references are counted in their favour: compressed bytes alone, without names, sums or an index.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import minilm
import numpy as np
from measure import Bar, Bench, Part, bytes_in
from models import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models import Tensors

_BLOCK_BYTES = 1 << 20
_DELTAS = "Versions after the first ÷ raw bytes, less is better"
_FILES = ("model.safetensors", "adapter_model.safetensors")


# ---------------------------------------------------------------- references


def _bits(array: np.ndarray) -> np.ndarray:
    """Bit patterns of an array, in one dimension."""
    return np.ascontiguousarray(array).reshape(-1).view(f"<u{array.itemsize}")


def _rotated(bits: np.ndarray) -> np.ndarray:
    """The sign moved from the top bit to the lowest, so that the exponent fills the top byte."""
    one, rest = bits.dtype.type(1), bits.dtype.type(8 * bits.itemsize - 1)
    rotated: np.ndarray = (bits << one) | (bits >> rest)
    return rotated


def _planes(bits: np.ndarray) -> list[np.ndarray]:
    grouped = bits.view(np.uint8).reshape(-1, bits.itemsize)
    return [np.ascontiguousarray(grouped[:, i]) for i in range(bits.itemsize)]


def _by_plane(bits: np.ndarray) -> int:
    """Bytes of the planes, each by zstd at level 3."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=3)
    return sum(len(compressor.compress(plane.data)) for plane in _planes(bits))


def _summed(work: Callable[[str], int], tensors: Tensors) -> int:
    with ThreadPoolExecutor() as pool:
        return sum(pool.map(work, tensors))


def bitx(old: Tensors, new: Tensors) -> int:
    """BitX as published: XOR with the version before, byte planes, zstd-3, tensor by tensor.

    A tensor of another shape has no counterpart and goes by its planes alone.
    """

    def one(name: str) -> int:
        bits, base = _bits(new[name]), old.get(name)
        if base is None or base.shape != new[name].shape:
            return _by_plane(bits)
        difference = bits ^ _bits(base)
        return _by_plane(difference) if difference.any() else 0

    return _summed(one, new)


def grouping(new: Tensors) -> int:
    """Byte grouping as ZipNN does it: sign rotated, byte planes, zstd-3, no base."""
    return _summed(lambda name: _by_plane(_rotated(_bits(new[name]))), new)


def entropy(new: Tensors) -> int:
    """The order-0 entropy of the same planes, block of 1 MiB by block, without any table."""

    def one(name: str) -> int:
        bits = _rotated(_bits(new[name]))
        step, total = _BLOCK_BYTES // bits.itemsize, 0.0
        for at in range(0, len(bits), step):
            for plane in _planes(bits[at : at + step]):
                counts = np.bincount(plane, minlength=256)
                shares = counts[counts > 0] / len(plane)
                total -= len(plane) * float((shares * np.log2(shares)).sum()) / 8
        return round(total)

    return _summed(one, new)


# ---------------------------------------------------------------- mstore


@dataclass(frozen=True)
class Stored:
    """What a series takes.

    Args:
        raw: bytes of all files of all versions.
        whole: bytes of everything in `.mstore`.
        frames: for each commit, bytes of the frames of its new blobs.
        against_base: raw bytes stored as deltas, of `new_raw`.
        new_raw: raw bytes of the blobs that were new in a commit but the first.
    """

    raw: int
    whole: int
    frames: tuple[int, ...]
    against_base: int
    new_raw: int


def stored(root: Path, versions: list[Path]) -> Stored:
    """Commit a series into a store of its own."""
    import mstore
    from mstore.objects import BlobId

    frames, against_base, new_raw = [], 0, 0
    root.mkdir()
    with mstore.init(root) as repo:
        seen: set[bytes] = set()
        for number, version in enumerate(versions):
            repo.commit(version, message=f"step {version.name}", allow_no_weights=True)
            packs = set(repo.store.pack_names()) - seen
            seen |= packs
            new = [f for p in packs for f in repo.store.footer(p) if isinstance(f.head.id, BlobId)]
            frames.append(sum(f.stored_size for f in new))
            if number:
                new_raw += sum(f.head.raw_size for f in new)
                against_base += sum(f.head.raw_size for f in new if f.head.base is not None)
    return Stored(bytes_in(*versions), bytes_in(root / ".mstore"), tuple(frames), against_base, new_raw)


def _tensors(version: Path) -> Tensors:
    return load(next(version / name for name in _FILES if (version / name).exists()))


def _variant(
    part: Part,
    bench: Bench,
    title: str,
    versions: list[Path],
    target: float | None = None,
    stretch: float | None = None,
) -> Stored:
    """Measure one series against its references."""
    found = stored(bench.root / title.replace(" ", "-").replace(",", ""), versions)
    part.add(f"{title}: whole store ÷ raw bytes", found.whole / found.raw, "×")
    reference, grouped, raw = [], 0, 0
    for before, after in pairwise(versions):
        new = _tensors(after)
        reference.append(bitx(_tensors(before), new))
        grouped += grouping(new)
        raw += sum(array.nbytes for array in new.values())
    frames = sum(found.frames[1:])
    part.add(f"{title}: deltas ÷ BitX", frames / sum(reference), "×", target, stretch=stretch)
    if target is not None:
        for i, (before, after) in enumerate(pairwise(versions)):
            name = f"{title}: deltas ÷ BitX, step {before.name} → {after.name}"
            part.add(name, found.frames[i + 1] / reference[i], "×")
    part.add(f"{title}: deltas ÷ byte grouping", frames / grouped, "×")
    if found.new_raw:
        share = found.against_base / found.new_raw
        part.add(f"{title}: share of new bytes stored as deltas", 100 * share, "%")
    if title in ("bf16", "fp32"):
        for label, value in (("mstore", frames), ("BitX", sum(reference)), ("byte grouping", grouped)):
            part.bars.append(Bar(_DELTAS, f"{title}: {label}", value / raw, label == "mstore"))
    return found


def _without_base(part: Part, title: str, first: Path, found: Stored, target: float) -> None:
    tensors = _tensors(first)
    raw = sum(array.nbytes for array in tensors.values())
    bound = entropy(tensors) / raw
    part.add(f"{title}, no base: frames ÷ raw bytes", found.frames[0] / raw, "×", target, stretch=bound)
    part.add(f"{title}, no base: order-0 entropy of the planes ÷ raw bytes", bound, "×")
    part.add(f"{title}, no base: byte grouping ÷ raw bytes", grouping(tensors) / raw, "×")


def series(bench: Bench) -> Part:
    """All series of all-MiniLM-L6-v2."""
    part = Part("Real fine-tuning series (all-MiniLM-L6-v2)")
    main = minilm.main_run(bench)
    fp32 = _variant(part, bench, "fp32", main, 0.82, 0.80)
    _without_base(part, "fp32", main[0], fp32, 0.829)
    part.add(f"fp32: whole store of {fp32.raw / 1e6:.1f} MB", fp32.whole / 1e6, "MB", 168, stretch=160)
    casted = minilm.cast(bench, "bf16")
    bf16 = _variant(part, bench, "bf16", casted, 0.66, 0.58)
    _without_base(part, "bf16", casted[0], bf16, 0.672)
    _variant(part, bench, "fp16", minilm.cast(bench, "fp16"))
    _variant(part, bench, "learning rate 1e-4", minilm.fast_run(bench))
    _variant(part, bench, "lower layers frozen", minilm.frozen_run(bench))
    _variant(part, bench, "100 tokens added", minilm.grown_run(bench))
    _variant(part, bench, "LoRA adapters", minilm.lora_run(bench))
    again = stored(bench.root / "renamed", minilm.renamed(bench))
    part.add(
        "every tensor renamed: delta ÷ the same under the old names",
        again.frames[1] / fp32.frames[1],
        "×",
    )
    part.add("every tensor renamed: delta ÷ the first version", again.frames[1] / again.frames[0], "×")
    adam = stored(bench.root / "adam", minilm.adam_states(bench))
    part.add("Adam states: whole store ÷ raw bytes", adam.whole / adam.raw, "×")
    part.remarks.append(
        f"Text: Python's manual. AdamW at 2e-5, kept at steps {', '.join(v.name for v in main)};"
        " bf16 and fp16 are casts. The other runs: three versions (LoRA and added tokens: four)."
        " *Deltas* are all new frames of the versions after the first, heads and sums included;"
        " BitX and byte grouping are their compressed planes alone."
    )
    return part
