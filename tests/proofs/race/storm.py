"""Many processes commit to one store while they are killed: `python -m tests.proofs.race.storm`.

Each writer has a workspace of its own on the shared store and commits by turns
to a branch that all share and to one of its own. What it is about to commit and
what was acknowledged goes into a log outside the store. A killer ends one
process after the other with SIGKILL; writers begin again. repack and gc run all
the while, and are killed too. In the end the log and the branches must agree.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mstore
from mstore.api.repository import Repository
from mstore.errors import Conflict, MStoreError

SHARED = "shared"
_TENDING_KILLED = 0.05
_LINE_BYTES = 4096  # appends of less than a page are never torn


@dataclass(frozen=True)
class Result:
    """What a storm left.

    Attributes:
        acknowledged: commits whose `commit` returned.
        reachable: commits that branches reach.
        unacknowledged: reachable ones whose writer was killed before it could say so.
        lost: acknowledged ones that no branch reaches, or that give other bytes.
        unexplained: reachable ones that nobody set out to make, or that are there twice.
        kills: processes killed.
        damage: what fsck found.
        failures: errors that a command met though nothing had failed.
    """

    acknowledged: int
    reachable: int
    unacknowledged: int
    lost: tuple[str, ...]
    unexplained: tuple[str, ...]
    kills: int
    damage: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def violations(self) -> int:
        """How much does not hold."""
        return len(self.lost) + len(self.unexplained) + len(self.damage) + len(self.failures)

    def __str__(self) -> str:
        return (
            f"acknowledged: {self.acknowledged:,}; reachable: {self.reachable:,}, of which"
            f" {self.unacknowledged} were killed before they could be told; kills: {self.kills:,};"
            f" lost: {len(self.lost)}; unexplained: {len(self.unexplained)};"
            f" damaged: {len(self.damage)}; failures: {len(self.failures)}"
        )


def _say(log: Path, *words: object) -> None:
    line = (json.dumps(words) + "\n").encode()
    assert len(line) < _LINE_BYTES
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


def _said(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def write_model(folder: Path, nonce: str) -> None:
    """A model directory that only one commit has."""
    folder.mkdir(parents=True, exist_ok=True)
    payload = nonce.encode().ljust(5000, b".")
    header = json.dumps({"w": {"dtype": "U8", "shape": [5000], "data_offsets": [0, 5000]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + payload)
    (folder / "config.json").write_text(json.dumps({"nonce": nonce}))


def _write(root: Path, number: int, commits: int) -> None:
    """Commit until the log has as many acknowledgements of this writer as are due."""
    log, place = root / f"log-{number}", root / f"job-{number}"
    if not (place / ".mstore/workspace.json").exists():
        shutil.rmtree(place, ignore_errors=True)
        mstore.init(place, store=root / "store").close()
    said = _said(log)
    begun = sum(word == "begin" for word, *_ in said)
    done = sum(word == "done" for word, *_ in said)
    with mstore.open(workspace=place, author=f"job {number}") as repo:
        while done < commits:
            nonce = f"{number}-{begun}"
            branch = SHARED if begun % 2 else f"own-{number}"
            write_model(place / "out", nonce)
            _say(log, "begin", nonce)
            begun += 1
            try:
                made = repo.commit(
                    place / "out", message=nonce, branch=branch, append=True, by_hand=False
                )
            except MStoreError as error:
                _say(log, "failed", nonce, f"{type(error).__name__}: {error.message}"[:2000])
                continue
            _say(log, "done", nonce, made.id.hex, branch)
            done += 1


def _tend(root: Path, verb: str) -> None:
    """repack, or gc, for ever."""
    log = root / f"log-{verb}"
    while True:
        with mstore.open(store=root / "store", cache=root / f"cache-{verb}", author=verb) as repo:
            try:
                _say(log, "begin", verb)
                getattr(repo, verb)()
                _say(log, "ran", verb)
            except Conflict:
                pass  # gc and repack keep each other out.
            except MStoreError as error:
                _say(log, "failed", verb, f"{type(error).__name__}: {error.message}"[:2000])
        time.sleep(0.2)


def _start(work: Callable[[], None], errors: Path) -> int:
    """A child that does some work; a fork, so that a killed one is back at once."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        import traceback

        with contextlib.suppress(BaseException):
            errors.write_text(traceback.format_exc())
        os._exit(1)


def storm(root: Path, *, processes: int, commits: int, kill_every_s: float, seed: int = 0) -> Result:
    """Run one.

    Args:
        root: an empty folder.
        processes: that write.
        commits: acknowledged ones due of each.
        kill_every_s: seconds between kills.
        seed: of who is killed.
    """
    rng = random.Random(seed)
    with mstore.init(root / "first", store=root / "store"):
        pass
    work: dict[str, Callable[[], None]] = {
        f"job-{n}": partial(_write, root, n, commits) for n in range(processes)
    }
    for verb in ("repack", "gc"):
        if hasattr(Repository, verb):
            work[verb] = partial(_tend, root, verb)
    running = {_start(do, root / f"error-{name}"): name for name, do in work.items()}
    kills, failures = 0, []
    next_kill = time.monotonic() + kill_every_s
    while any(name.startswith("job-") for name in running.values()):
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            name = running.pop(pid)
            if os.WIFSIGNALED(status):
                running[_start(work[name], root / f"error-{name}")] = name
            elif status:
                failures.append(f"{name}: {(root / f'error-{name}').read_text()[-1500:]}")
            continue
        if time.monotonic() >= next_kill and running:
            victim = rng.choice(sorted(running))
            # repack and gc take longer than a commit: now and then they shall come to an end.
            if running[victim].startswith("job-") or rng.random() < _TENDING_KILLED:
                os.kill(victim, signal.SIGKILL)
                kills += 1
            next_kill += kill_every_s
        time.sleep(0.002)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return _compare(root, processes, kills, failures)


def _compare(root: Path, processes: int, kills: int, failures: list[str]) -> Result:
    begun: set[str] = set()
    acknowledged: dict[str, tuple[str, str]] = {}
    for log in sorted(root.glob("log-*")):
        for word, nonce, *more in _said(log):
            if word == "begin":
                begun.add(nonce)
            elif word == "done":
                acknowledged[nonce] = (more[0], more[1])
            elif word == "failed":
                failures.append(f"{log.name}: {nonce}: {more[0]}")
    with mstore.open(store=root / "store", cache=root / "cache-end") as repo:
        damage = [f"{p.where}: {p.what}" for p in repo.fsck().problems]
        reached: dict[str, list[tuple[str, str]]] = {}
        for branch in repo.branches():
            for entry in repo.log(branch):
                nonce = json.loads(repo.read_file(entry.id, "config.json"))["nonce"]
                reached.setdefault(nonce, []).append((entry.id.hex, branch))
                model = repo.read_file(entry.id, "model.safetensors")
                if not model.endswith(nonce.encode().ljust(5000, b".")):
                    damage.append(f"{entry.id.short} gives other bytes")
    # A branch of a writer's own begins where HEAD stood, which is nowhere: no commit is on two.
    lost = [n for n, place in acknowledged.items() if place not in reached.get(n, [])]
    unexplained = [n for n, places in reached.items() if n not in begun or len(places) != 1]
    silent = len(set(reached) - set(acknowledged))
    if silent > kills:
        unexplained.append(f"{silent} commits without acknowledgement after {kills} kills")
    return Result(
        len(acknowledged),
        len(reached),
        silent,
        tuple(lost),
        tuple(unexplained),
        kills,
        tuple(damage),
        tuple(failures),
    )


def main() -> int:
    """Run a storm and state its figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--kill-every", type=float, default=0.1, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="mstore-storm-")).resolve()
    try:
        result = storm(
            root,
            processes=arguments.processes,
            commits=arguments.commits,
            kill_every_s=arguments.kill_every,
            seed=arguments.seed,
        )
        tended = {
            v: len([1 for w, *_ in _said(root / f"log-{v}") if w == "ran"]) for v in ("repack", "gc")
        }
    finally:
        shutil.rmtree(root)
    for what, count in Counter([*result.failures, *result.damage, *result.unexplained]).most_common(20):
        print(f"{count:4} × {what}")
    for nonce in result.lost[:20]:
        print(f"lost: {nonce}")
    runs = ", ".join(f"{n} runs of {verb}" for verb, n in tended.items() if n)
    print(
        f"{arguments.processes} processes × {arguments.commits:,} commits: {result}"
        f" ({runs or 'no tending'}, {time.monotonic() - begun:.0f} s)"
    )
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
