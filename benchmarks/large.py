"""The 2.2 GB model of TinyLlama's shape against `cp -r` and `sync`: time, CPU, memory, loading.

Each round makes one store: the model new; with its last two layers and head changed; with every
tensor changed (both on the first, so that the last is one delta deep everywhere). Beside each
stands a copy of the same folder, made the moment before or, every other round, after. The deepest
chain is built once, and checked out in every round.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from measure import (
    Bar,
    Bench,
    Failed,
    Part,
    Ran,
    Rounds,
    bytes_in,
    peak_anonymous,
    run,
    same_bytes,
    synced,
    synced_copy,
)
from models import all_changed, last_changed, save_model, tinyllama

if TYPE_CHECKING:
    from pathlib import Path

_LOAD = """
import json, sys, time
import torch
import mstore
from mstore.hf import load_state_dict
with mstore.open(sys.argv[1]) as repo:
    began = time.perf_counter()
    tensors = load_state_dict(repo, sys.argv[2])
    took = time.perf_counter() - began
print(json.dumps([sum(t.nbytes for t in tensors.values()), took]))
"""
_STEPS = {"new": "main", "last": "last", "all": "all"}


def workload(bench: Bench) -> Path:
    """The three versions, as folders `new`, `last` and `all`; made on first use."""
    folder = bench.common / "tinyllama"
    if not folder.exists():
        tensors = tinyllama(width=512 if bench.small else 2048)
        save_model(folder / "new", tensors)
        save_model(folder / "last", last_changed(tensors, 1))
        save_model(folder / "all", all_changed(tensors, 2))
    return folder


def _deepest(bench: Bench, root: Path) -> tuple[Path, str, int]:
    """A store with a chain as deep as they get: (model, its revision, how deep)."""
    import mstore
    from mstore.store.blob_encoder import MAX_CHAIN

    tensors = tinyllama(width=512 if bench.small else 2048)
    seen: set[bytes] = set()
    deepest = -1
    run(*bench.mstore("init"), cwd=root)
    for number in range(MAX_CHAIN + 1):
        if number:
            tensors = all_changed(tensors, number)
        source = root / f"model{number % 2}"
        save_model(source, tensors)
        run(*bench.mstore("commit", str(source), "-m", f"step {number}"), cwd=root)
        with mstore.open(root) as repo:
            packs = set(repo.store.pack_names()) - seen
            depth = max(frame.head.depth for name in packs for frame in repo.store.footer(name))
        seen |= packs
        if depth <= deepest:
            return root / f"model{(number - 1) % 2}", "HEAD~1", deepest
        deepest = depth
    return source, "HEAD", deepest


def _load(bench: Bench, work: Path, revision: str) -> float:
    """GB/s of raw bytes into memory, in a process of its own; torch's import is not counted."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(work), revision],
        env={**os.environ, "PYTHONPATH": str(bench.library)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"loading {revision}: {done.stderr.strip()[-600:]}")
    size, seconds = json.loads(done.stdout.splitlines()[-1])
    return float(size / seconds / 1e9)


def _in_turns(
    source: Path, copy: Path, command: tuple[str, ...], cwd: Path, *, copy_first: bool
) -> tuple[Ran, Ran]:
    """A command of mstore's and a copy of its source, one after the other, the source in memory."""
    run("cat", str(source / "model.safetensors"))
    if copy_first:
        copied = synced_copy(source, copy)
        return synced(*command, cwd=cwd), copied
    ours = synced(*command, cwd=cwd)
    return ours, synced_copy(source, copy)


def _round(
    bench: Bench,
    work: Path,
    models: Path,
    deep: tuple[Path, str, int],
    times: Rounds,
    cpu: Rounds,
    *,
    copy_first: bool,
) -> None:
    """Everything once. Copies stay for a while: who writes where files just lay has it easier."""
    work.mkdir()
    run(*bench.mstore("init"), cwd=work)

    def note(name: str, source: Path, command: tuple[str, ...], cwd: Path) -> None:
        copy = work / f"copy {name}"
        ours, copied = _in_turns(source, copy, command, cwd, copy_first=copy_first)
        for whose, ran in ((name, ours), (f"cp {name}", copied)):
            times.add(whose, ran.wall_s)
            cpu.add(whose, ran.cpu_s)

    def clear() -> None:
        for folder in (*work.glob("copy *"), *work.glob("back *")):
            shutil.rmtree(folder)
        run("sync")

    for step, branch in _STEPS.items():
        elsewhere = () if branch == "main" else ("--branch", branch)
        command = bench.mstore("commit", str(models / step), "-m", step, *elsewhere)
        note(f"commit {step}", models / step, command, work)
    clear()
    times.add("help", run(*bench.mstore("--help"), cwd=work).wall_s)
    times.add("unchanged", run(*bench.mstore("commit", str(models / "new")), cwd=work).wall_s)
    for name, place, revision, source in (
        ("checkout none", work, "main", models / "new"),
        ("checkout one", work, "all", models / "all"),
        ("checkout deep", deep[0].parent, deep[1], deep[0]),
    ):
        back = work / f"back {name}"
        note(name, source, bench.mstore("checkout", revision, "--to", str(back)), place)
        same_bytes(back / "model.safetensors", source / "model.safetensors")
    clear()
    for name, revision in (("load none", "main"), ("load one", "all")):
        times.add(name, _load(bench, work, revision))


def _memory(bench: Bench, models: Path, work: Path, part: Part) -> None:
    """The peak of every command that has much to read, in a store of its own."""
    work.mkdir()
    run(*bench.mstore("init"), cwd=work)
    for name, arguments in (
        ("commit, new", ("commit", str(models / "new"), "-m", "new")),
        ("commit, all tensors changed", ("commit", str(models / "all"), "-m", "all")),
        ("checkout, one delta", ("checkout", "HEAD", "--to", "back")),
        ("fsck", ("fsck",)),
        ("diff --stat", ("diff", "HEAD~1", "HEAD", "--stat")),
        ("du", ("du",)),
        ("repack", ("repack",)),
    ):
        try:
            peak = peak_anonymous(bench.mstore(*arguments), work)
        except Failed as failed:
            part.remarks.append(f"No peak of `{arguments[0]}`: {failed}")
            continue
        part.add(f"peak anonymous memory: {name}", peak / 1e6, "MB", 400)


def large(bench: Bench) -> Part:
    """Commits, checkouts and loads against copies, as medians of the rounds' ratios."""
    models = workload(bench)
    raw = bytes_in(models / "new")
    part = Part(f"A model of {raw / 1e9:.1f} GB")
    (bench.root / "deep").mkdir()
    deep = _deepest(bench, bench.root / "deep")
    depth = deep[2]
    run("sync")
    times, cpu = Rounds(), Rounds()
    stored = 0
    for number in range(bench.rounds):
        work = bench.root / f"work{number}"
        first = number % 2 == 0
        _round(bench, work, models, deep, times, cpu, copy_first=first)
        stored = bytes_in(work / ".mstore")
        shutil.rmtree(work)
    panel = f"{part.title}: time ÷ (cp -r + sync), less is better"
    copy = "(`cp -r` + `sync`)"
    start = times.ratio("help", "cp commit last")
    rows: tuple[tuple[str, str, float, float | None], ...] = (
        ("commit new", "commit, new", 1.0, 0.7),
        ("commit all", "commit, all tensors changed", 0.9, 0.5),
        ("commit last", "commit, last layers changed", 0.15 + start, None),
        ("checkout none", "checkout, no delta", 1.0, None),
        ("checkout one", "checkout, one delta", 1.2, None),
        ("checkout deep", f"checkout, {depth} deltas deep", 2.0, None),
    )
    part.add(f"`cp -r` + `sync` of {raw / 1e9:.1f} GB", times.median("cp commit new"), "s")
    for key, name, target, stretch in rows:
        ratio = times.ratio(key, f"cp {key}")
        part.add(f"{name} ÷ {copy}", ratio, "×", target, stretch=stretch)
        part.bars.append(Bar(panel, name, ratio, own=True))
    part.bars.append(Bar(panel, "cp -r + sync", 1.0))
    part.add("commit, unchanged ÷ `mstore --help`", times.ratio("unchanged", "help"), "×", 1.5)
    for key, name, _, _ in rows:
        part.add(f"{name}: seconds", times.median(key), "s")
    for key, name, _, _ in rows:
        part.add(f"CPU seconds a GB: {name}", cpu.median(key) / raw * 1e9, "s")
    part.add("CPU seconds a GB: `cp -r` + `sync`", cpu.median("cp commit new") / raw * 1e9, "s")
    part.add("load, no delta", times.median("load none"), "GB/s", 2.0, stretch=2.5, at_least=True)
    part.add("load, one delta", times.median("load one"), "GB/s", 1.2, stretch=1.5, at_least=True)
    part.add("bytes stored of the three ÷ raw bytes", stored / (3 * raw), "×")
    part.remarks.append(
        f"The bound of *last layers changed* is 0.15 and one `mstore --help` ({start:.3f} of a copy)."
        " Loads are `load_state_dict` in a fresh process, torch's import not counted."
    )
    _memory(bench, models, bench.root / "memory", part)
    return part
