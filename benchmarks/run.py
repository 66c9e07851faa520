"""Measures mstore against `cp -r` and `sync`, and start-up against click's; writes docs/benchmarks.md.

    make bench                     everything (about 10 GB of free disk, 5 minutes)
    python benchmarks/run.py --small    a tenth of the size, to try the script

Machines are shared and disks drift, so that only ratios within one interleaved run
mean anything: each round does every measurement once, and the median of the ratios
counts. Every write is synced. What is missed is reported like what is met.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
# Filled by `install`: what a user has after `pip install .`, in an environment of its own. An
# editable one would pay for its import hooks, and the packages beside it, in every start.
BIN = Path("/nonexistent")


@dataclass(frozen=True)
class Figure:
    """One measured figure; `target` is an upper bound, or None where there is none."""

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> str:
        """Whether the target was met, for people."""
        if self.target is None:
            return ""
        return "met" if self.value <= self.target else "**missed**"


@dataclass(frozen=True)
class Ran:
    """What one process took: wall and CPU seconds, peak resident and anonymous bytes."""

    wall_s: float
    cpu_s: float


def install(folder: Path) -> Path:
    """Install the project the plain way into a fresh environment; gives its `bin`."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(HERE.parent)], check=True)
    return folder / "bin"


def run(*command: str, cwd: Path | None = None) -> Ran:
    """Run a command; its output is thrown away."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Ran(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def mstore(*arguments: str) -> tuple[str, ...]:
    """The command line of an mstore command."""
    return (str(BIN / "mstore"), *arguments)


def peak_anonymous(command: tuple[str, ...], cwd: Path) -> int:
    """The most anonymous memory that a command had, in bytes, sampled 100 times a second."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                peak = max(peak, int(line.split()[1]) * 1024)
        time.sleep(0.01)
    if process.wait() != 0:
        raise SystemExit(f"{command} failed")
    return peak


# ---------------------------------------------------------------- models


def save(path: Path, tensors: dict[str, np.ndarray], dtype: str) -> None:
    """Write a .safetensors file of bit patterns (numpy has no bf16)."""
    header, position = {}, 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for array in tensors.values():
            file.write(array.data)
        os.fsync(file.fileno())


def bf16(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Weights as training leaves them: normal, of standard deviation 0.02, in bf16."""
    values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def tinyllama(folder: Path, layers: int) -> int:
    """A model of TinyLlama's shape (22 layers: 2.2 GB of bf16); gives its bytes."""
    rng = np.random.default_rng(0)
    tensors = {"model.embed_tokens.weight": bf16(rng, 32000, 2048)}
    for i in range(layers):
        p = f"model.layers.{i}"
        for name, shape in (
            ("self_attn.q_proj", (2048, 2048)),
            ("self_attn.k_proj", (256, 2048)),
            ("self_attn.v_proj", (256, 2048)),
            ("self_attn.o_proj", (2048, 2048)),
            ("mlp.gate_proj", (5632, 2048)),
            ("mlp.up_proj", (5632, 2048)),
            ("mlp.down_proj", (2048, 5632)),
            ("input_layernorm", (2048,)),
            ("post_attention_layernorm", (2048,)),
        ):
            tensors[f"{p}.{name}.weight"] = bf16(rng, *shape)
    tensors["lm_head.weight"] = bf16(rng, 32000, 2048)
    save(folder / "model.safetensors", tensors, "BF16")
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    return sum(a.nbytes for a in tensors.values())


def minilm_like(folder: Path) -> None:
    """An 87 MB fp32 model."""
    rng = np.random.default_rng(1)
    tensors = {"embeddings": rng.standard_normal((30522, 384), dtype=np.float32)}
    for i in range(26):
        tensors[f"layer.{i}"] = rng.standard_normal((384, 1024), dtype=np.float32)
    save(folder / "model.safetensors", tensors, "F32")
    (folder / "config.json").write_text("{}")


def history(folder: Path, commits: int) -> None:
    """A store with many commits of a small adapter."""
    import mstore as library

    repo = library.init(folder)
    out = folder / "out"
    out.mkdir()
    weight = {"base_model.model.x.lora_A.weight": np.zeros((8, 64), np.float32)}
    for i in range(commits):
        weight["base_model.model.x.lora_A.weight"][0, 0] = i
        save(out / "adapter_model.safetensors", weight, "F32")
        (out / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 16}')
        repo.commit(
            out, message=f"version {i}", metrics={"loss": 1 / (i + 1), "eval_loss": 2 / (i + 1)}
        )
    repo.close()


# ---------------------------------------------------------------- measurements


def start_up(root: Path, commits: int, rounds: int) -> list[Figure]:
    """Start-up and log, as multiples of `python -c "import click"`."""
    history(root / "history", commits)
    model = root / "unchanged"
    minilm_like(model / "out")
    run(*mstore("init"), cwd=model)
    run(*mstore("commit", "out", "-m", "first"), cwd=model)
    time.sleep(2.5)  # within the clock's grain the stat cache trusts nothing
    run(*mstore("commit"), cwd=model)
    commands: dict[str, tuple[tuple[str, ...], Path]] = {
        "click": ((str(BIN / "python"), "-c", "import click"), root),
        "help": (mstore("--help"), root),
        "log": (mstore("log", "-n", "20"), root / "history"),
        "unchanged": (mstore("commit"), model),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (command, cwd) in commands.items():
            times[name].append(run(*command, cwd=cwd).wall_s)
    middle = {name: statistics.median(values) for name, values in times.items()}
    return [
        Figure("`import click`", 1000 * middle["click"], "ms"),
        Figure("`mstore --help` ÷ `import click`", middle["help"] / middle["click"], "×", 1.5),
        Figure(
            f"`log -n 20` of {commits} commits ÷ `import click`",
            middle["log"] / middle["click"],
            "×",
            2.5,
        ),
        Figure(
            "unchanged 87 MB commit",
            1000 * middle["unchanged"],
            "ms",
            1500 * middle["help"] + 50,
        ),
    ]


def synced_copy(source: Path, target: Path) -> Ran:
    """`cp -r` and `sync`."""
    return run("sh", "-c", f"cp -r '{source}' '{target}' && sync")


def large(root: Path, layers: int, rounds: int) -> list[Figure]:
    """First commit and checkout of a large model against cp, and what they cost."""
    source = root / "model"
    raw = tinyllama(source, layers)
    run("sync")
    ratios: dict[str, list[float]] = {"commit": [], "checkout": []}
    walls: dict[str, list[float]] = {"cp": [], "commit": [], "checkout": []}
    cpu: dict[str, list[float]] = {"commit": [], "checkout": []}
    stored = 0
    for number in range(rounds):
        work = root / f"work{number}"
        work.mkdir()
        run(*mstore("init"), cwd=work)
        copied = synced_copy(source, work / "copy").wall_s
        committed = run("sh", "-c", f"'{BIN}/mstore' commit '{source}' -m first && sync", cwd=work)
        copied_again = synced_copy(source, work / "copy2").wall_s
        written = run("sh", "-c", f"'{BIN}/mstore' checkout HEAD --to back && sync", cwd=work)
        if (work / "back/model.safetensors").read_bytes() != (
            source / "model.safetensors"
        ).read_bytes():
            raise SystemExit("the checkout is not byte for byte what was committed")
        stored = sum(p.stat().st_size for p in (work / ".mstore").rglob("*") if p.is_file())
        walls["cp"] += [copied, copied_again]
        for name, ran, against in (("commit", committed, copied), ("checkout", written, copied_again)):
            ratios[name].append(ran.wall_s / against)
            walls[name].append(ran.wall_s)
            cpu[name].append(ran.cpu_s / raw * 1e9)
        shutil.rmtree(work)
    work = root / "memory"
    work.mkdir()
    run(*mstore("init"), cwd=work)
    memory = {
        "commit": peak_anonymous(mstore("commit", str(source), "-m", "first"), work),
        "checkout": peak_anonymous(mstore("checkout", "HEAD", "--to", "back"), work),
        "fsck": peak_anonymous(mstore("fsck"), work),
    }
    shutil.rmtree(work)
    size = f"{raw / 1e9:.1f} GB"
    return [
        Figure(f"`cp -r` + `sync` of {size}", statistics.median(walls["cp"]), "s"),
        Figure(f"first commit of {size}", statistics.median(walls["commit"]), "s"),
        Figure(f"checkout of {size}", statistics.median(walls["checkout"]), "s"),
        Figure("first commit ÷ (`cp -r` + `sync`)", statistics.median(ratios["commit"]), "×", 1.5),
        Figure("checkout ÷ (`cp -r` + `sync`)", statistics.median(ratios["checkout"]), "×", 1.5),
        Figure("bytes stored ÷ raw bytes", stored / raw, "×"),
        Figure("CPU seconds a GB, commit", statistics.median(cpu["commit"]), "s"),
        Figure("CPU seconds a GB, checkout", statistics.median(cpu["checkout"]), "s"),
        *(
            Figure(f"peak anonymous memory, {name}", peak / 1e6, "MB", 400)
            for name, peak in memory.items()
        ),
    ]


# ---------------------------------------------------------------- report


def machine() -> str:
    """What was measured on, without naming anybody's machine."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory"


def _bound(figure: Figure) -> str:
    return "" if figure.target is None else f"≤ {figure.target:,.3g} {figure.unit}"


def report(figures: list[Figure], rounds: int) -> str:
    """docs/benchmarks.md."""
    from importlib.metadata import version

    packages = ", ".join(
        f"{p} {version(p)}" for p in ("mstore", "numpy", "zstandard", "blake3", "click")
    )
    rows = "\n".join(f"| {f.name} | {f.value:,.3g} {f.unit} | {_bound(f)} | {f.met} |" for f in figures)
    kernel = subprocess.run(
        mstore("--version"), capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"""\
# Measurements

Made by `make bench` (benchmarks/run.py): {date.today().isoformat()}, {machine()}, Python
{platform.python_version()}, {packages}; installed by `pip install .` into an environment of its own.
`mstore --version`: {kernel}.

Machines are shared and disks drift: only ratios within one interleaved run mean
anything. Each of {rounds} rounds did every large measurement once; medians are shown. Every
write was synced, mstore's own fsyncs included, and every checkout compared byte for byte.
The 2.2 GB model has TinyLlama's shape and random weights in bf16, so its size says
nothing of real ones (facts for those: a real bf16 model takes 0.665 of its bytes).

| figure | measured | target | |
|---|---|---|---|
{rows}
"""


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="a tenth of the size; nothing is recorded")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="mstore-bench-"))
    global BIN  # noqa: PLW0603 - set once, before anything is measured
    BIN = install(scratch / "venv")
    parts: list[Callable[[], list[Figure]]] = [
        lambda: start_up(scratch / "start", 100 if options.small else 1000, 5 if options.small else 15),
        lambda: large(scratch / "large", 2 if options.small else 22, options.rounds),
    ]
    figures: list[Figure] = []
    try:
        for part in parts:
            for name in ("start", "large"):
                (scratch / name).mkdir(exist_ok=True)
            for figure in part():
                figures.append(figure)
                target = f"  (target ≤ {figure.target:.3g})" if figure.target is not None else ""
                print(f"{figure.name:48} {figure.value:10.3g} {figure.unit:3}{target} {figure.met}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if options.small:
        return
    (HERE.parent / "docs/benchmarks.md").write_text(report(figures, options.rounds))
    (HERE / "latest.json").write_text(json.dumps([asdict(f) for f in figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
