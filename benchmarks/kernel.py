"""Speed of the codec on one core, in raw bytes, on blocks of the real series."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import minilm
from measure import Bench, Part
from models import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BLOCK_BYTES = 1 << 20
_AT_MOST = 48
_SECONDS = 2.0


def _blocks(version: Path) -> list[bytes]:
    """Whole blocks of the largest tensors."""

    def cut() -> Iterator[bytes]:
        tensors = load(version / "model.safetensors").values()
        for array in sorted(tensors, key=lambda a: -a.nbytes):
            raw = array.tobytes()
            for at in range(0, len(raw) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
                yield raw[at : at + _BLOCK_BYTES]

    return [block for block, _ in zip(cut(), range(_AT_MOST), strict=False)]


def _speed(work: Callable[[int], Any], count: int) -> float:
    """GB/s of CPU time over blocks, after one to warm up; the numpy twin does not get through all."""
    work(0)
    done, began = 0, time.process_time()
    while time.process_time() - began < _SECONDS:
        work(done % count)
        done += 1
    return done * _BLOCK_BYTES / (time.process_time() - began) / 1e9


def kernel(bench: Bench) -> Part:
    """Encode and decode, bf16 and fp32, without and with the version before as base."""
    from mstore.codec import decode_block, encode_block
    from mstore.codec.kernel import NAME

    part = Part("The codec on one core")
    for dtype, width, versions in (
        ("bf16", 2, minilm.cast(bench, "bf16")),
        ("fp32", 4, minilm.main_run(bench)),
    ):
        bases, blocks = _blocks(versions[0]), _blocks(versions[1])
        for based in (False, True):
            near: list[bytes | None] = list(bases) if based else [None] * len(blocks)

            def encode(
                i: int,
                blocks: list[bytes] = blocks,
                near: list[bytes | None] = near,
                width: int = width,
            ) -> Any:
                return encode_block(blocks[i], width=width, is_float=True, base=near[i])

            coded = [encode(i) for i in range(len(blocks))]

            def decode(
                i: int, coded: list[Any] = coded, near: list[bytes | None] = near, width: int = width
            ) -> Any:
                block = coded[i]
                return decode_block(
                    block.header,
                    block.stored,
                    raw_size=_BLOCK_BYTES,
                    width=width,
                    base=near[i],
                    where="",
                )

            if any(bytes(decode(i)) != block for i, block in enumerate(blocks)):
                part.remarks.append(f"**{dtype} does not decode to what was encoded**")
            name = f"{dtype}, {'one delta' if based else 'no base'}"
            for what, work, target in (("encode", encode, 1.5), ("decode", decode, 2.0)):
                speed = _speed(work, len(blocks))
                part.add(f"{name}: {what}", speed, "GB/s", target, at_least=True)
    part.remarks.append(f"The kernel that ran: {NAME}. CPU time, checksums included.")
    return part
