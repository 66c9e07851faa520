"""Every mutating call of every command, each with every fault: `python -m tests.proofs.faults.sweep`.

A case: copy the state that a command starts from, run the command in a child
whose n-th call fails or kills it, then look at what is left as the next process
would. What must hold is in `_judge`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import mstore
from mstore.errors import MStoreError
from tests.proofs.faults.commands import (
    COMMANDS,
    NOTHING,
    Acknowledged,
    Command,
    Seen,
    acknowledged_in,
    seen,
    write_tree,
)
from tests.proofs.faults.shim import Fault, Shim

_LONG_AGO_S = 86_400


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (None: killed), what it said, its mutating calls."""

    code: int | None
    said: str
    calls: tuple[str, ...] = ()
    happened: bool = False


@dataclass(frozen=True)
class Stage:
    """A command, the state that it starts from, and what that must become."""

    command: Command
    template: Path
    acknowledged: Acknowledged
    before: Seen
    done: Seen
    calls: tuple[str, ...]


@dataclass
class Tally:
    """What a sweep found."""

    cases: int = 0
    wrong: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"mutating system calls: {sum(self.calls.values()):,} in {len(self.calls)} commands;"
            f" faults injected: {self.cases:,}; violations: {len(self.wrong)}"
        )


def run(root: Path, command: Command, at: int | None = None, fault: Fault | None = None) -> Outcome:
    """Run a command line in a child of this process, which no fault can hurt."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(receiving)
            _in_child(root, command, Shim(at, fault, root), sending)
        os._exit(70)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"killed by signal {os.WTERMSIG(status)}"
        return Outcome(None, "")
    assert answer, f"the child ended with {status} and said nothing"
    code, calls, happened = pickle.loads(answer)
    return Outcome(code, (root.parent / "said").read_text(), calls, happened)


def _in_child(root: Path, command: Command, shim: Shim, sending: int) -> None:
    from mstore.cli import run as command_line

    write = os.write
    said = os.open(root.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    # pytest has put streams of its own in their place.
    sys.stdout, sys.stderr = (open(stream, "w", closefd=False) for stream in (1, 2))  # noqa: SIM115
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(root)
    shim.install()
    code = command_line(list(command.line))
    sys.stdout.flush()
    sys.stderr.flush()
    write(sending, pickle.dumps((code, tuple(shim.calls), shim.happened)))
    os._exit(0)


def stage(command: Command, folder: Path) -> Stage:
    """Prepare a command once: what lies there before it, and what it does undisturbed."""
    template = folder / "template"
    template.mkdir(parents=True)
    command.prepare(template)
    acknowledged: Acknowledged = {}
    if (template / ".mstore").exists():
        with mstore.open(workspace=template) as repo:
            acknowledged = acknowledged_in(repo)
    before = seen(template)
    root = _copied(template, folder / "undisturbed" / "root")
    undisturbed = run(root, command)
    assert undisturbed.code == 0, undisturbed.said
    done = seen(root)
    shutil.rmtree(root.parent)
    return Stage(command, template, acknowledged, before, done, undisturbed.calls)


def _copied(template: Path, root: Path) -> Path:
    shutil.copytree(template, root, symlinks=True)
    # The model directory is named by its absolute path.
    settings = root / ".mstore/workspace.json"
    for file in (settings, root / ".mstore/operations"):
        if file.exists():
            file.write_text(file.read_text().replace(str(template), str(root)))
    return root


def case(prepared: Stage, at: int, fault: Fault, folder: Path) -> str | None:
    """One case; what is wrong, or None."""
    root = _copied(prepared.template, folder / "case" / "root")
    try:
        outcome = run(root, prepared.command, at, fault)
        wrong = next(_judge(prepared, root, outcome), None)
    except (MStoreError, OSError, AssertionError) as error:
        wrong = f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(root.parent)
    if wrong is None:
        return None
    return f"{prepared.command.name}: {fault.name} at call {at} ({prepared.calls[at]}): {wrong}"


def _judge(prepared: Stage, root: Path, outcome: Outcome) -> Iterator[str]:
    """What does not hold after a fault."""
    command = prepared.command
    if outcome.code == 70 or "Traceback" in outcome.said:
        yield f"a traceback: {outcome.said[-600:]}"
    yield from _whole(prepared, root)
    after = seen(root)
    if outcome.code == 0 and after != prepared.done:
        yield f"exit 0, but {_difference(prepared.done, after)}"
    changed = not command.by_steps and prepared.before != NOTHING and after != prepared.before
    if outcome.code not in (0, None) and changed and not (_is_unknown(outcome)):
        yield f"exit {outcome.code}, but {_difference(prepared.before, after)}: {outcome.said[-300:]}"
    if {*_tips(prepared.before)} & {*_tips(prepared.done)} - {*_tips(after)}:
        yield f"a version is lost: {_difference(prepared.before, after)}"
    yield from _moved_as_one(prepared, after)
    if after != prepared.done:
        _age(root)
        again = run(root, command)
        if again.code == 5 and command.hinted and f"mstore {' '.join(command.hinted)}" in again.said:
            again = run(root, replace(command, line=command.hinted))
        if again.code != 0:
            yield f"tried again, exit {again.code}: {again.said[-400:]}"
        yield from _whole(prepared, root)
        if seen(root) != prepared.done:
            yield f"tried again, {_difference(prepared.done, seen(root))}"
    yield from _swept(prepared, root)


def _tips(of: Seen) -> Iterator[str]:
    """Versions that branches reach."""
    for history in of.branches.values():
        yield from history


def _is_unknown(outcome: Outcome) -> bool:
    """Whether the command said that what it did is there, or half there for the next try to go on."""
    said = outcome.said
    return ("the disk did not confirm" in said and "cannot move" not in said) or "to finish" in said


def _whole(prepared: Stage, root: Path) -> Iterator[str]:
    """The store is clean, what was acknowledged is there, and what nobody else has is somewhere."""
    if (root / ".mstore/workspace.json").exists():
        with mstore.open(workspace=root) as repo:
            found = repo.fsck()
            if not found.ok:
                yield f"fsck: {found.problems}"
            for id, files in prepared.acknowledged.items():
                for path, content in files.items():
                    if repo.read_file(id, path) != content:
                        yield f"commit {id[:12]} gives other bytes for {path}"
            repo.status()
    elif prepared.before != NOTHING:
        yield "the workspace is gone"
    kept = {content for files in prepared.acknowledged.values() for content in files.values()}
    mine = set(prepared.before.files.values()) - kept
    if mine:
        left = {p.read_bytes() for p in root.rglob("*") if p.is_file() and ".pack" not in p.name}
        committed: set[bytes] = set()
        if not mine <= left:
            with mstore.open(workspace=root) as repo:
                committed = {c for fs in acknowledged_in(repo).values() for c in fs.values()}
        if not mine <= left | committed:
            yield "a file that no commit holds is lost"


def _moved_as_one(prepared: Stage, after: Seen) -> Iterator[str]:
    """Each ref has the value before or the one after."""
    if prepared.command.by_steps or prepared.before == NOTHING:
        return
    for kind in ("branches", "tags"):
        was, due, now = (getattr(s, kind) for s in (prepared.before, prepared.done, after))
        for name in {*was, *due, *now}:
            if now.get(name) not in (was.get(name), due.get(name)):
                yield f"{kind}: {name} is neither where it was nor where it should be"


def _difference(one: Seen, other: Seen) -> str:
    fields = [f for f in Seen.__dataclass_fields__ if getattr(one, f) != getattr(other, f)]
    shown = []
    for name in fields:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, dict) and isinstance(b, dict):
            a, b = ({k: v for k, v in x.items() if y.get(k) != v} for x, y in ((a, b), (b, a)))
        shown.append(f"{name}: {str(a)[:160]} became {str(b)[:160]}")
    return "; ".join(shown)


def _age(root: Path) -> None:
    """Make everything old, as if the next command came a day later: what is stale may be swept."""
    then = time.time() - _LONG_AGO_S
    for path in root.rglob("*"):
        if path.name.endswith(".tmp") or ".~mstore-" in path.as_posix():
            os.utime(path, (then, then))


def _swept(prepared: Stage, root: Path) -> Iterator[str]:
    """A command that writes leaves no temporary file of a process that died."""
    _age(root)
    if (root / ".mstore/workspace.json").exists():
        # Whatever was left, ordinary commands clear it away.
        write_tree(root / "later", 9)
        lines: list[tuple[str, ...]] = [("commit", "later", "--branch", "later", "-m", "later")]
        if prepared.before != NOTHING:
            lines.insert(0, ("checkout", "--force", "main"))
        if (root / "beside").is_dir():
            lines.append(("checkout", "--force", "later", "--to", "beside"))
        for line in lines:
            again = run(root, Command("later", line))
            if again.code != 0:
                yield f"{line[0]} afterwards, exit {again.code}: {again.said[-300:]}"
    left = [
        p.relative_to(root).as_posix()
        for p in root.rglob("*")
        if p.name.endswith(".tmp") or p.name.startswith(".~mstore-")
    ]
    if left:
        yield f"left lying: {left[:4]}"


def cases(prepared: Stage, faults: Iterable[Fault]) -> Iterator[tuple[int, Fault]]:
    """All cases of a command; a short write is one only where something is written."""
    for at, call in enumerate(prepared.calls):
        for fault in faults:
            if fault is not Fault.SHORT or call.startswith(("write ", "pwrite ")):
                yield at, fault


def sweep(command: Command, faults: tuple[Fault, ...], *, every: int = 1, offset: int = 0) -> Tally:
    """All cases of a command, or one in `every`."""
    tally = Tally()
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="mstore-faults-", dir=where)).resolve()
    try:
        prepared = stage(command, folder)
        tally.calls[command.name] = len(prepared.calls)
        for number, (at, fault) in enumerate(cases(prepared, faults)):
            if number % every != offset % every:
                continue
            wrong = case(prepared, at, fault, folder)
            tally.cases += 1
            if wrong is not None:
                tally.wrong.append(wrong)
    finally:
        shutil.rmtree(folder)
    return tally


def _job(work: tuple[int, int, int]) -> Tally:
    index, every, offset = work
    return sweep(COMMANDS[index], tuple(Fault), every=every, offset=offset)


def main() -> int:
    """Run the whole sweep and state its figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="commands whose name begins so")
    parser.add_argument("--every", type=int, default=1, help="one case in so many")
    arguments = parser.parse_args()
    os.environ["MSTORE_AUTHOR"] = "Ada"
    work = [
        (index, arguments.every * arguments.workers, part * arguments.every)
        for index, command in enumerate(COMMANDS)
        if command.name.startswith(arguments.only)
        for part in range(arguments.workers)
    ]
    total = Tally()
    with ProcessPoolExecutor(arguments.workers, get_context("fork")) as pool:
        for (index, _, _), tally in zip(work, pool.map(_job, work), strict=True):
            total.cases += tally.cases
            total.wrong += tally.wrong
            total.calls[COMMANDS[index].name] = max(tally.calls.values())
            for wrong in tally.wrong:
                print(wrong, flush=True)
    print(total)
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
