"""All orders in which the steps of actors can follow one another.

Run as `python -m tests.proofs.race.interleave`.
A step is one call of the backend and what the actor computes after it. Actors
are threads, of which one runs at a time; at each call they stop and a scheduler
picks who goes on. The search is depth first over its choices, each run from the
beginning. A state met before (what the store holds, and what every actor has
seen so far) is not gone into again: orders of steps that do not touch each other
lead to the same one.

What is not a step of its own: looking at a folder of packs in which nothing has
ever been (there are 256 of them), and the release of a lock.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from mstore.api.repository import Repository
from mstore.backend import Activity, Entry, MemoryBackend, Upload
from mstore.backend.base import TempRoots
from mstore.context import Context
from mstore.errors import Conflict, MStoreError
from mstore.objects import Time
from mstore.store import Store
from mstore.store.identity import create_identity, read_identity
from tests.proofs.race.storm import write_model

_NOW_S = 1.8e9  # gc looks at the clock; a run must go as it went before


class _Abandoned(BaseException):
    """Ends an actor in the middle: its run leads nowhere new."""


@dataclass
class _Thread:
    name: str
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    wants: tuple[object, ...] = ()
    history: int = 0
    finished: bool = False
    failure: BaseException | None = None
    thread: threading.Thread | None = None


class Scheduler:
    """Lets one actor go on at a time."""

    def __init__(self) -> None:
        self._actors: dict[int, _Thread] = {}
        self._back = threading.Semaphore(0)
        self._abandoned = False
        self._held: dict[str, int] = {}
        self.trace: list[str] = []

    def start(self, works: dict[str, Callable[[], None]]) -> list[_Thread]:
        """Bring every actor to its first step."""
        actors = []
        for name, work in works.items():
            actor = _Thread(name)
            actor.thread = threading.Thread(target=self._run, args=(actor, work), daemon=True)
            actors.append(actor)
            actor.thread.start()
            self._back.acquire()
        return actors

    def _run(self, actor: _Thread, work: Callable[[], None]) -> None:
        me = threading.get_ident()
        self._actors[me] = actor
        try:
            self.before("start")
            work()
        except _Abandoned:
            pass
        except BaseException as error:
            actor.failure = error
        actor.finished = True
        del self._actors[me]  # The next thread may get this one's number.
        self._held = {name: who for name, who in self._held.items() if who != me}
        self._back.release()

    @property
    def current(self) -> _Thread | None:
        """The actor whose thread this is; None for a thread of a pool that an actor waits for."""
        return self._actors.get(threading.get_ident())

    def before(self, *wants: object) -> None:
        """Stop before a step until it is this actor's turn."""
        actor = self.current
        if actor is None or self._abandoned:
            return
        actor.wants = wants
        self._back.release()
        actor.go.acquire()
        if self._abandoned:
            raise _Abandoned

    def saw(self, *result: object) -> None:
        """Note what a step gave: it decides all that the actor does from here on."""
        actor = self.current
        if actor is not None:
            actor.history = hash((actor.history, actor.wants, result))

    def may_go(self, actor: _Thread) -> bool:
        """Whether an actor's next step is possible now."""
        if actor.finished:
            return False
        if actor.wants[0] != "hold":
            return True
        assert actor.thread is not None
        return self._held.get(str(actor.wants[1]), actor.thread.ident) == actor.thread.ident

    def take(self, name: str) -> bool:
        """Take a lock for the actor whose thread this is; False where another has it."""
        me = threading.get_ident()
        return self._abandoned or self._held.setdefault(name, me) == me

    def give(self, name: str) -> None:
        """Give a lock back."""
        self._held.pop(name, None)

    def step(self, actor: _Thread) -> None:
        """Let an actor make one step."""
        self.trace.append(f"{actor.name}: {' '.join(map(str, actor.wants))[:70]}")
        actor.go.release()
        self._back.acquire()

    def abandon(self, actors: list[_Thread]) -> None:
        """End all actors where they are."""
        self._abandoned = True
        for actor in actors:
            if not actor.finished:
                actor.go.release()
        for actor in actors:
            assert actor.thread is not None
            actor.thread.join()


class _SteppingUpload:
    def __init__(self, inner: Upload, backend: SteppingBackend) -> None:
        self._inner, self._backend = inner, backend

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *exc: object) -> None:
        self._inner.__exit__(*exc)

    def write(self, content: Any) -> None:
        self._inner.write(content)

    def sync(self) -> None:
        self._inner.sync()

    def publish(self, key: str) -> bool:
        return self._backend.step("publish", key, lambda: self._inner.publish(key))


class _SteppingLean:
    def __init__(self, told: list[bytes], backend: SteppingBackend) -> None:
        self._told, self._backend = told, backend

    def add(self, record: bytes) -> None:
        self._backend.step("lean", "", lambda: self._told.append(record))


class SteppingBackend:
    """A backend in memory, each of whose calls is a step. Its locks are the scheduler's."""

    def __init__(self, kept: dict[str, bytes], scheduler: Scheduler) -> None:
        self.location = "steps"
        self.folders: tuple[Path, ...] = ()
        self.read_only = False
        self.inner = MemoryBackend()
        self.inner.kept = kept
        self._scheduler = scheduler
        self._changes: dict[str, int] = {}
        self._depth = threading.local()
        self._leans: list[list[bytes]] = []
        for key in kept:
            self._changed(key)

    def _changed(self, key: str) -> None:
        folder = key.rpartition("/")[0]
        self._changes[folder] = self._changes.get(folder, 0) + 1

    def step(self, call: str, key: str, do: Callable[[], Any]) -> Any:
        """One call."""
        self._scheduler.before(call, key)
        try:
            result = do()
        except KeyError:
            self._scheduler.saw("absent")
            raise
        self._scheduler.saw(repr(result))
        if call in ("publish", "swap", "delete", "rename"):
            self._changed(key)
        return result

    def get(self, key: str, *, offset: int = 0, size: int | None = None) -> bytes:
        return bytes(self.step("get", key, lambda: self.inner.get(key, offset=offset, size=size)))

    def put_new(self) -> Upload:
        return _SteppingUpload(self.inner.put_new(), self)

    def compare_and_swap(self, key: str, expected: bytes | None, content: bytes | None) -> bool:
        return bool(self.step("swap", key, lambda: self.inner.compare_and_swap(key, expected, content)))

    def list(self, prefix: str) -> Iterator[Entry]:
        if prefix.startswith("packs/") and prefix not in self._changes:
            return iter(())
        found = self.step("list", prefix, lambda: tuple(self.inner.list(prefix)))
        return iter(found)

    def size(self, key: str) -> int | None:
        size: int | None = self.step("size", key, lambda: self.inner.size(key))
        return size

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.step("delete", key, partial(self.inner.delete, key))

    def rename(self, moves: Mapping[str, str]) -> set[str]:
        moved: set[str] = set()
        for old, new in moves.items():
            moved |= self.step("rename", old, partial(self.inner.rename, {old: new}))
            self._changed(new)
        return moved

    def change_token(self, prefix: str) -> int | None:
        if prefix not in self._changes:
            return 0
        return int(self.step("stamp", prefix, lambda: self._changes.get(prefix, 0)))

    @contextlib.contextmanager
    def open_temp_roots(self) -> Iterator[TempRoots]:
        mine: list[bytes] = []
        self._leans.append(mine)
        try:
            yield _SteppingLean(mine, self)
        finally:
            self._leans.remove(mine)

    def temporary_roots(self) -> Iterator[bytes]:
        for told in list(self._leans):
            yield self.step("leans", "", partial(b"".join, told))

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[None]:
        depth: dict[str, int] = self._depth.__dict__
        if not depth.get(name):
            self._scheduler.before("hold" if wait else "try", name)
            if not self._scheduler.take(name):
                self._scheduler.saw("held")
                raise Conflict(f"somebody else holds {name!r}")
        depth[name] = depth.get(name, 0) + 1
        try:
            yield
        finally:
            depth[name] -= 1
            if not depth[name]:
                self._scheduler.give(name)

    def sweep(self) -> int:
        return self.inner.sweep()

    def activity(self) -> Activity:
        return Activity((), len(self._leans), self.inner.activity().writing_bytes, ())

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        self.inner.close()


class _AtOnce(Executor):
    """A pool that does its work where it is handed in: its calls are steps of that actor."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **named))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def _deterministic(now: Callable[[], Time]) -> Iterator[None]:
    """A run goes as it went before: no clock, no pools."""
    with (
        mock.patch.object(Time, "now", now),
        mock.patch("time.time", lambda: _NOW_S),
        mock.patch("mstore.store.transaction.ThreadPoolExecutor", _AtOnce),
        mock.patch("mstore.modeldir.read.ThreadPoolExecutor", _AtOnce),
    ):
        yield


@dataclass
class Tally:
    """What a search found."""

    runs: int = 0
    states: int = 0
    steps: int = 0
    complete: bool = True
    violations: list[str] = field(default_factory=list)


class World:
    """Two writers, a reader, and who tends the store: what they start from, what must hold in the end.

    Args:
        folder: scratch.
        tends: `"gc"` or `"repack"`.
    """

    def __init__(self, folder: Path, tends: str) -> None:
        made = MemoryBackend()
        create_identity(made)
        self._identity = read_identity(made)
        self._folders = [folder / name for name in ("zero", "one", "two")]
        for path in self._folders:
            write_model(path, path.name)
        self._tends = tends
        self.begin: dict[str, bytes] = {}
        scheduler = Scheduler()
        repo = self._repository(SteppingBackend(self.begin, scheduler), "first")
        with _deterministic(lambda: Time(0, 0)):
            repo.commit(self._folders[0], message="zero", branch="main")
            # The first writer will find what it commits in the store, where nothing needs it.
            repo.commit(self._folders[1], message="gone", branch="gone", start="")
            repo.delete_branch("gone")
        repo.close()

    def _repository(self, backend: SteppingBackend, author: str) -> Repository:
        store = Store(backend, identity=self._identity)
        return Repository(Context(store, None, author))

    def actors(self, backend: SteppingBackend, names: tuple[str, ...]) -> dict[str, Callable[[], None]]:
        """The actors wanted."""

        def write(number: int) -> None:
            with self._repository(backend, f"writer {number}") as repo:
                repo.commit(
                    self._folders[number],
                    message=str(number),
                    branch="main",
                    append=True,
                    by_hand=False,
                )

        def read() -> None:
            with self._repository(backend, "reader") as repo:
                tip = repo.resolve("main")
                model = repo.read_file(tip, "model.safetensors")
                assert model.endswith(tuple(n.ljust(5000, b".") for n in (b"zero", b"one", b"two")))

        def tend() -> None:
            with self._repository(backend, "keeper") as repo:
                getattr(repo, self._tends)(**({"now": True} if self._tends == "gc" else {}))

        every = {
            "writer 1": lambda: write(1),
            "writer 2": lambda: write(2),
            "reader": read,
            "keeper": tend,
        }
        return {name: every[name] for name in names}

    def wrong(self, kept: dict[str, bytes], names: tuple[str, ...]) -> str | None:
        """What does not hold in the end."""
        repo = self._repository(SteppingBackend(kept, Scheduler()), "judge")
        due = {"zero", *(n for n, who in (("one", "writer 1"), ("two", "writer 2")) if who in names)}
        try:
            found = repo.fsck()
            if not found.ok:
                return f"fsck: {found.problems}"
            there = [repo.read_file(e.id, "config.json").decode() for e in repo.log("main")]
        except MStoreError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            repo.close()
        if sorted(there) != sorted(f'{{"nonce": "{n}"}}' for n in due):
            return f"main holds {there}"
        return None


def search(
    world: World, names: tuple[str, ...], *, preemptions: int | None = None, limit: int = 0
) -> Tally:
    """Go through the orders of the actors' steps.

    Args:
        world: where.
        names: of the actors.
        preemptions: how often an actor that could go on may be made to wait; None: any number.
        limit: give up after so many runs, and say so; 0: none.
    """
    tally = Tally()
    known: dict[int, int] = {}
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        if limit and tally.runs >= limit:
            tally.complete = False
            break
        _run_once(world, names, waiting.pop(), waiting, known, preemptions, tally)
    tally.states = len(known)
    return tally


def _run_once(
    world: World,
    names: tuple[str, ...],
    prefix: tuple[int, ...],
    waiting: list[tuple[int, ...]],
    known: dict[int, int],
    preemptions: int | None,
    tally: Tally,
) -> None:
    scheduler = Scheduler()
    kept = dict(world.begin)
    clock: dict[str, int] = {}

    def now() -> Time:
        actor = scheduler.current
        name = actor.name if actor is not None else ""
        clock[name] = clock.get(name, 0) + 1
        return Time(10**9 * (names.index(name) + 1) + clock[name] if name in names else clock[name], 0)

    with _deterministic(now):
        actors = scheduler.start(world.actors(SteppingBackend(kept, scheduler), names))
        chosen: list[int] = []
        left = preemptions if preemptions is not None else 1 << 30
        last = -1
        while True:
            able = [i for i, actor in enumerate(actors) if scheduler.may_go(actor)]
            if not able:
                break
            depth = len(chosen)
            choice = prefix[depth] if depth < len(prefix) else (last if last in able else able[0])
            if depth >= len(prefix):
                seen = tuple((a.history, a.wants) for a in actors)
                # Who came last matters only where preemptions are counted.
                key = hash((frozenset(kept.items()), seen, None if preemptions is None else last))
                if known.get(key, -1) >= left:
                    scheduler.abandon(actors)
                    tally.runs += 1
                    return
                known[key] = left
                for other in able:
                    if other != choice and (last not in able or other == last or left > 0):
                        waiting.append((*chosen, other))
            if last in able and choice != last:
                left -= 1
            chosen.append(choice)
            last = choice
            scheduler.step(actors[choice])
            tally.steps += 1
    tally.runs += 1
    stuck = [a.name for a in actors if not a.finished]
    wrong = f"waiting for each other: {stuck}" if stuck else None
    for actor in actors:
        if actor.failure is not None:
            where = traceback.extract_tb(actor.failure.__traceback__)[-4:]
            wrong = f"{actor.name}: {type(actor.failure).__name__}: {actor.failure}" + "".join(
                f"\n  in {Path(at.filename).name}:{at.lineno} {at.name}" for at in where
            )
    if stuck:
        scheduler.abandon(actors)
    wrong = wrong or world.wrong(kept, names)
    if wrong is not None:
        tally.violations.append(f"{wrong}\n  " + "\n  ".join(scheduler.trace))


def main() -> int:
    """Search, and state the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--actors", default="writer 1,writer 2,keeper,reader")
    parser.add_argument("--keeper", default="gc", choices=["gc", "repack"])
    parser.add_argument("--preemptions", type=int, default=None, help="default: any number")
    parser.add_argument("--limit", type=int, default=0)
    arguments = parser.parse_args()
    names = tuple(arguments.actors.split(","))
    tends = arguments.keeper
    folder = Path(tempfile.mkdtemp(prefix="mstore-interleave-"))
    begun = time.monotonic()
    try:
        tally = search(
            World(folder, tends), names, preemptions=arguments.preemptions, limit=arguments.limit
        )
    finally:
        shutil.rmtree(folder)
    for violation in tally.violations[:1]:
        print(violation)
    bound = "any number of" if arguments.preemptions is None else f"at most {arguments.preemptions}"
    print(
        f"interleavings of {', '.join(names)} ({tends}), {bound} preemptions: {tally.runs:,} runs,"
        f" {tally.states:,} states{'' if tally.complete else ' (not all: limit reached)'};"
        f" violations: {len(tally.violations)} ({time.monotonic() - begun:.0f} s)"
    )
    return 1 if tally.violations or not tally.complete else 0


if __name__ == "__main__":
    sys.exit(main())
