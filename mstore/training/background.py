"""Saves committed beside the training: the training process's side of it."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mstore.staging.checkpoints import Save, checkpoints, read_save, step_of, trial_of
from mstore.staging.queue import Queue, register
from mstore.training.trackers import tell_trackers
from mstore.training.worker import Worker

if TYPE_CHECKING:
    from mstore.training.run import Run

_log: Final = logging.getLogger("mstore.hf")
Behind = Literal["wait", "latest"]
_AHEAD: Final = 2  # one that is being committed, and one that waits
_POLL_S: Final = 0.005


class Background:
    """Stages the saves of a run for a worker process.

    Args:
        run: whose saves they are; nothing is committed through it here.
        behind: how a save deals with another one that waits: `wait` for it, or take its
            place (`latest`).

    Raises:
        OSError: the queue cannot be made.
    """

    def __init__(self, run: Run, behind: Behind) -> None:
        self._run = run
        self._behind = behind
        self._queue = Queue.create(run.plan)
        self._owner = self._queue.own()
        workspace = run.repository.workspace
        if workspace is not None:
            register(workspace.path, self._queue)
        self._worker: Worker | None = None
        self._staged: dict[int, int] = {}
        self._reported: set[int] = set()
        self._said_full = False
        # A training script that ends by an exception still waits for its last save.
        own = weakref.ref(self)
        self._at_exit = lambda: _drain(own)
        atexit.register(self._at_exit)

    def put(self, save: Save, trial: str) -> None:
        """Stage a save, and those before it that were not staged yet.

        Raises:
            CannotStage: there are no hard links here.
            OSError: the system failed.
        """
        self.news()
        for missed in self._missed(before=save.step):
            self._put(missed, trial_of(missed.path, self._run.plan.output_dir))
        self._put(save, trial)

    def _missed(self, *, before: int) -> list[Save]:
        plan = self._run.plan
        found = []
        for path in checkpoints(plan.output_dir):
            if step_of(path) < before and step_of(path) not in self._staged:
                save = read_save(path)
                if save is not None and (save.run_id, save.attempt) == (plan.run_id, plan.attempt):
                    found.append(save)
        return sorted(found, key=lambda s: s.step)

    def _put(self, save: Save, trial: str) -> None:
        waiting = self._queue.waiting()
        if self._behind == "latest" and len(waiting) >= _AHEAD:
            newest = self._queue.read(waiting[-1])
            if self._queue.withdraw(newest.number):
                _log.warning(
                    "mstore: the save of step %d was replaced by that of step %d: commits take longer"
                    " than the time between saves", newest.save.step, save.step,
                )  # fmt: skip
        while len(self._queue.waiting()) >= _AHEAD and self._worker is not None and self._worker.alive:
            time.sleep(_POLL_S)
        staged = self._queue.stage(save, trial, with_state=self._run.plan.training_state)
        self._staged[save.step] = staged.number
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(self._queue)
        self._worker.tell()
        self._say_full(Path(save.path))

    def _say_full(self, folder: Path) -> None:
        if self._said_full:
            return
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        free = self._run.repository.free_bytes()
        if free is not None and free < 2 * size:
            self._said_full = True
            _log.warning(
                "mstore: %.1f GB are free where the store lies, and a save has %.1f GB: the next ones"
                " may not fit", free / 1e9, size / 1e9,
            )  # fmt: skip

    def news(self) -> None:
        """Report the saves that ended since the last time."""
        for number, outcome in self._queue.outcomes().items():
            if number in self._reported:
                continue
            self._reported.add(number)
            for sentence in outcome["said"]:
                _log.warning("%s", sentence)
            if "commit" in outcome:
                _log.info("mstore: step %s is %s", outcome["step"], outcome["commit"][:7])
                tell_trackers(outcome["commit"], outcome["step"])
                continue
            step = next((s for s, n in self._staged.items() if n == number), None)
            if step is not None:
                del self._staged[step]
                self._run.failed[step] = outcome["reason"]
            _log.warning("mstore: could not commit the save of step %s: %s", step, outcome["reason"])

    def drain(self) -> None:
        """Wait until all that was staged is committed, and say what became of it."""
        atexit.unregister(self._at_exit)
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1
        if self._worker is not None:
            self._worker.drain()
            self._worker = None
        self.news()

    def leave(self) -> Queue:
        """Drain the queue; the rest of it is for the caller."""
        self.drain()
        return self._queue


def _drain(background: weakref.ref[Background]) -> Any:
    held = background()
    if held is not None:
        held.drain()
