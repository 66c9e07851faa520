"""10,000 versions of an adapter in one store: does the next one still cost what the tenth did?

Filling changes one number of one tensor each time, so that the history is long and its bytes few;
what is measured is a commit of 1 MB of which every tensor is new. Two stores, one short and one
long, take turns. Library calls, a repository opened for each; `log` as a command.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import models
from measure import Bench, Part, Rounds, bytes_in, run

if TYPE_CHECKING:
    from pathlib import Path

_SHORT = 10


def _fill(root: Path, commits: int) -> float:
    """Make a store with so many versions; gives the seconds a commit took."""
    import mstore

    tensors = models.adapter()
    first = next(iter(tensors.values()))
    out = root / "out"
    spent = 0.0
    root.mkdir()
    with mstore.init(root) as repo:
        for i in range(commits):
            first[0, 0] = 0.01 + i * 1e-6
            models.save_adapter(out, tensors)
            began = time.perf_counter()
            repo.commit(out, message=f"version {i}", metrics={"loss": 1 / (i + 1)})
            spent += time.perf_counter() - began
    return spent / commits


def _commit(root: Path, seed: int) -> float:
    """Seconds for a commit of 1 MB that is new."""
    import mstore

    models.save_adapter(root / "out", models.adapter(seed=seed))
    began = time.perf_counter()
    with mstore.open(root) as repo:
        repo.commit(root / "out", message=f"measured {seed}")
    return time.perf_counter() - began


def many(bench: Bench) -> Part:
    """Commit and `log -n 20` in the long store, as multiples of those in the short one."""
    part = Part(f"{bench.many:,} versions in one store")
    stores = {"short": bench.root / "short", "long": bench.root / "long"}
    _fill(stores["short"], _SHORT)
    each = _fill(stores["long"], bench.many)
    held = bytes_in(stores["long"] / ".mstore" / "store")
    times = Rounds()
    for number in range(max(9, bench.rounds)):
        for name, root in stores.items():
            times.add(f"commit {name}", _commit(root, 2 * number + (name == "long") + 1))
        for name, root in stores.items():
            times.add(f"log {name}", run(*bench.mstore("log", "-n", "20"), cwd=root).wall_s)
    part.add(f"commit of a 1 MB adapter at {_SHORT}", 1000 * times.median("commit short"), "ms")
    part.add(f"commit of a 1 MB adapter at {bench.many:,}", 1000 * times.median("commit long"), "ms")
    ratio = times.ratio("commit long", "commit short")
    part.add(f"commit of a 1 MB adapter at {bench.many:,} ÷ at {_SHORT}", ratio, "×", 1.3)
    ratio = times.ratio("log long", "log short")
    part.add(f"`log -n 20` at {bench.many:,} ÷ at {_SHORT}", ratio, "×", 1.3)
    part.add("a commit that changes one number of one tensor, while filling", 1000 * each, "ms")
    part.add("store bytes a commit, so filled", held / bench.many / 1e3, "kB")
    return part
