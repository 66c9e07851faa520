"""Start-up: what a command costs that has nothing to do, as a multiple of click's own import."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from measure import Bench, Part, Rounds, run
from models import minilm_like, save_adapter, save_model

if TYPE_CHECKING:
    from pathlib import Path


def history(folder: Path, commits: int) -> None:
    """A store with many commits of a tiny adapter."""
    import mstore

    out = folder / "out"
    weight = {"base_model.model.x.lora_A.weight": np.zeros((8, 64), np.float32)}
    with mstore.init(folder) as repo:
        for i in range(commits):
            weight["base_model.model.x.lora_A.weight"][0, 0] = i
            save_adapter(out, weight)
            metrics = {"loss": 1 / (i + 1), "eval_loss": 2 / (i + 1)}
            repo.commit(out, message=f"version {i}", metrics=metrics)


def startup(bench: Bench) -> Part:
    """`--help`, `log` and a commit of nothing new, each round once."""
    part = Part("Start-up")
    commits, rounds = (50, 5) if bench.small else (1000, max(15, bench.rounds))
    (bench.root / "history").mkdir()
    history(bench.root / "history", commits)
    model = bench.root / "unchanged"
    save_model(model / "out", minilm_like())
    run(*bench.mstore("init"), cwd=model)
    run(*bench.mstore("commit", "out", "-m", "first"), cwd=model)
    time.sleep(2.5)  # within the clock's grain the stat cache trusts nothing
    run(*bench.mstore("commit"), cwd=model)
    commands: dict[str, tuple[tuple[str, ...], Path]] = {
        "click": ((str(bench.bin / "python"), "-c", "import click"), bench.root),
        "help": (bench.mstore("--help"), bench.root),
        "log": (bench.mstore("log", "-n", "20"), bench.root / "history"),
        "unchanged": (bench.mstore("commit"), model),
    }
    times = Rounds()
    for _ in range(rounds):
        for name, (command, cwd) in commands.items():
            times.add(name, run(*command, cwd=cwd).wall_s)
    part.add("`import click`", 1000 * times.median("click"), "ms")
    part.add("`mstore --help`", 1000 * times.median("help"), "ms")
    part.add("`mstore --help` ÷ `import click`", times.ratio("help", "click"), "×", 1.5)
    part.add(
        f"`log -n 20` of {commits} commits ÷ `import click`", times.ratio("log", "click"), "×", 2.5
    )
    part.add("unchanged 87 MB: commit ÷ `mstore --help`", times.ratio("unchanged", "help"), "×", 1.5)
    return part
