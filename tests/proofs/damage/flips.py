"""Flips of bits in whole stores: `python -m tests.proofs.damage.flips`."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import mstore
from mstore.api.repository import Repository
from mstore.errors import MStoreError
from mstore.maintain.check_packs import check_pack_file
from mstore.maintain.findings import Findings
from tests.proofs.faults.commands import write_tree

Contents = dict[str, dict[str, bytes]]


@dataclass
class Tally:
    """What flips led to."""

    flips: int = 0
    found: int = 0
    silent: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def make_store(root: Path, commits: int, *, floats: int = 2048) -> Contents:
    """A store with a history; what its commits hold, by id."""
    repo = mstore.init(root, model_dir=root / "out")
    assert repo.workspace is not None
    repo.workspace.set_config("author", "Ada")
    for seed in range(commits):
        write_tree(root / "out", seed, extra=("new/deep/c.txt",), state=seed % 2 == 0)
        if floats > 2048:
            noise = np.random.default_rng(seed).standard_normal(floats).astype(np.float32)
            (root / "out/more.bin").write_bytes(noise.tobytes())
        made = repo.commit(message=f"version {seed}")
        if seed % 3 == 0:
            repo.note(made.id, metrics={"late": float(seed)})
    repo.make_tag("v1", "main")
    repo.make_tag("v2", message="said")
    repo.make_branch("exp/a", "main")
    contents = {
        e.id.hex: {f.path: repo.read_file(e.id, f.path) for f in repo.manifest(e.id).files}
        for e in repo.log(all=True)
    }
    repo.close()
    return contents


def store_files(root: Path) -> list[Path]:
    """Every file of the store that holds a byte."""
    store = root / ".mstore/store"
    return sorted(p for p in store.rglob("*") if p.is_file() and p.stat().st_size)


def is_found(root: Path, contents: Contents) -> tuple[bool, str | None]:
    """Whether damage is found by fsck, and what is served wrongly in spite of it, if anything."""
    try:
        with _fresh(root) as repo:
            found = not repo.fsck().ok
            wrong = None
            for id, files in contents.items():
                for path, right in files.items():
                    try:
                        if repo.read_file(id, path) != right:
                            wrong = f"{id[:12]}:{path}"
                    except MStoreError:
                        found = True
            return found, wrong
    except MStoreError:
        return True, None


def _fresh(root: Path) -> Repository:
    shutil.rmtree(root / ".mstore/cache", ignore_errors=True)
    return mstore.open(workspace=root)


def flipped(path: Path, place: int, bit: int) -> bytes:
    """Flip one bit in a file; gives the bytes that it had."""
    original = path.read_bytes()
    damaged = bytearray(original)
    damaged[place] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(damaged)
    return original


def every_byte_but_packs(
    root: Path, contents: Contents, *, every: int = 1
) -> Iterator[tuple[Path, int, bool, str | None]]:
    """Each byte of each file that is no pack: whether its flip is found, and what is served wrongly.

    Args:
        root: of the workspace.
        contents: what its commits hold.
        every: of reflogs, which are long, one byte in so many.
    """
    for path in store_files(root):
        if path.suffix == ".pack":
            continue
        for place in range(0, path.stat().st_size, every if "logs" in path.parts else 1):
            original = flipped(path, place, place % 8)
            found, wrong = is_found(root, contents)
            path.write_bytes(original)
            yield path, place, found, wrong


def random_flips(root: Path, contents: Contents, count: int, *, seed: int, reads_every: int) -> Tally:
    """Flip random bits of packs, one at a time.

    Args:
        root: of the workspace.
        contents: what its commits hold.
        count: flips.
        seed: of the places.
        reads_every: after one flip in so many all files are read, too, and fsck run in whole.
    """
    rng, tally = random.Random(seed), Tally()
    packs = [p for p in store_files(root) if p.suffix == ".pack"]
    sizes = [p.stat().st_size for p in packs]
    with _fresh(root) as repo:
        repo.fsck()
        for number in range(count):
            (path,) = rng.choices(packs, sizes)
            place, bit = rng.randrange(path.stat().st_size), rng.randrange(8)
            original = flipped(path, place, bit)
            findings = Findings()
            check_pack_file(repo.store, bytes.fromhex(path.stem), findings, quick=False)
            tally.flips += 1
            if findings.problems:
                tally.found += 1
            else:
                tally.missed.append(f"bit {bit} of byte {place} of {path.name}")
            if number % reads_every == 0:
                found, wrong = is_found(root, contents)
                if not found:
                    tally.missed.append(f"bit {bit} of byte {place} of {path.name}, by fsck in whole")
                if wrong is not None:
                    tally.silent.append(wrong)
            path.write_bytes(original)
    return tally


def main() -> int:
    """Flip bits at random in a larger store, and state the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--flips", type=int, default=100_000)
    parser.add_argument("--commits", type=int, default=40)
    parser.add_argument("--floats", type=int, default=20_000, help="noise in each commit")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun, root = time.monotonic(), Path(tempfile.mkdtemp(prefix="mstore-flips-"))
    try:
        with tempfile.TemporaryDirectory(prefix="mstore-flips-") as small:
            few = make_store(Path(small), 3)
            each = list(every_byte_but_packs(Path(small), few))
        unseen = {p.name for p, _, found, _ in each if not found}
        wrong = [f"{p.name}: {w}" for p, _, _, w in each if w is not None]
        missed = sum(not found for _, _, found, _ in each)
        print(
            f"bytes of refs, reflogs and store.json: {len(each):,}; flips not found: {missed}"
            f" (in {sorted(unseen)}); served silently: {len(wrong)}"
        )
        contents = make_store(root, arguments.commits, floats=arguments.floats)
        size = sum(p.stat().st_size for p in store_files(root))
        tally = random_flips(root, contents, arguments.flips, seed=arguments.seed, reads_every=500)
    finally:
        shutil.rmtree(root)
    for flip in [*tally.missed, *tally.silent][:20]:
        print(flip)
    print(
        f"random flips in a store of {size:,} bytes: {tally.flips:,}; found: {tally.found:,};"
        f" served silently: {len(tally.silent)} ({time.monotonic() - begun:.0f} s)"
    )
    return int(bool(tally.missed or tally.silent))


if __name__ == "__main__":
    sys.exit(main())
