"""The release before, beside this one: both installed the plain way, measured in turns.

0.2 is the commit of its release. Each round runs each command once with each of them, and
who goes first changes; CPU seconds count, since a start takes hardly anything else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from measure import HERE, Bench, Part, Rounds, environment, machine, run
from models import minilm_like, save_model
from startup import history

if TYPE_CHECKING:
    from pathlib import Path

RELEASE, COMMIT = "0.2", "526a3dd"


def _installed(bench: Bench) -> Path:
    """Install the earlier release into an environment of its own; gives its `bin`."""
    source = bench.root / "source"
    source.mkdir()
    archive = bench.root / "source.tar"
    run(
        "git",
        "-C",
        str(HERE.parent),
        "archive",
        "--output",
        str(archive),
        f"--prefix={source.name}/",
        COMMIT,
    )
    run("tar", "-xf", str(archive), "-C", str(bench.root))
    return environment(source, bench.root / "venv")


def earlier(bench: Bench) -> Part:
    """Start-up, an unchanged commit, `log`, and a commit and checkout of many small tensors."""
    part = Part(f"Beside {RELEASE}")
    commits, rounds, tensors = (50, 3, 200) if bench.small else (1000, max(25, bench.rounds), 3000)
    versions = {"now": bench.bin, RELEASE: _installed(bench)}
    places = {name: _places(bench, name, programs, commits) for name, programs in versions.items()}
    commands = {
        "`--help`": (("--help",), None),
        f"`log -n 20` of {commits} commits": (("log", "-n", "20"), "history"),
        "unchanged 87 MB: commit": (("commit",), "model"),
        "`status`": (("status",), "model"),
    }
    times = Rounds()
    for turn in range(rounds):
        order = list(versions) if turn % 2 else list(reversed(versions))
        for what, (command, place) in commands.items():
            for name in order:
                cwd = places[name][place] if place else bench.root
                took = run(str(versions[name] / "mstore"), *command, cwd=cwd)
                times.add(f"{what} {name}", took.cpu_s)
    small = _small_tensors(bench.root / "tensors", tensors)
    for turn in range(max(3, rounds // 5)):
        for name in list(versions) if turn % 2 else list(reversed(versions)):
            home = bench.root / f"tensors-{name}-{turn}"
            home.mkdir()
            mstore = str(versions[name] / "mstore")
            run(mstore, "init", cwd=home)
            took = run(mstore, "commit", str(small), "-m", "first", cwd=home)
            times.add(f"commit of {tensors} tensors {name}", took.cpu_s)
            took = run(mstore, "checkout", "main", "--to", "out", cwd=home)
            times.add(f"checkout of {tensors} tensors {name}", took.cpu_s)
    for what in (*commands, f"commit of {tensors} tensors", f"checkout of {tensors} tensors"):
        part.add(f"{what} ÷ {RELEASE}'s", times.ratio(f"{what} now", f"{what} {RELEASE}"), "×", 1.0)
    part.remarks.append(
        f"CPU seconds, user and system, of whole processes; {rounds} rounds, measured on"
        f" {time.strftime('%Y-%m-%d')} ({machine()}) by `python benchmarks/run.py --only earlier"
        " --record`."
    )
    part.remarks.append(
        "Where the last hundredths of `status`, commit and checkout lie was not looked into."
    )
    return part


def _places(bench: Bench, name: str, programs: Path, commits: int) -> dict[str, Path]:
    """Make a long history and an unchanged model; each release has its own."""
    long, model = bench.root / f"history-{name}", bench.root / f"model-{name}"
    long.mkdir()
    history(long, commits)
    save_model(model / "out", minilm_like())
    mstore = str(programs / "mstore")
    run(mstore, "init", cwd=model)
    run(mstore, "commit", "out", "-m", "first", cwd=model)
    time.sleep(2.5)  # within the clock's grain the stat cache trusts nothing
    run(mstore, "commit", cwd=model)
    return {"history": long, "model": model}


def _small_tensors(folder: Path, count: int) -> Path:
    """Write a model of many small tensors."""
    generator = np.random.default_rng(0)
    arrays = {f"layer.{i}.weight": generator.standard_normal(1024, np.float32) for i in range(count)}
    save_model(folder, arrays)
    return folder


__all__ = ["earlier"]
