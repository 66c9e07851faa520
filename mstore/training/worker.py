"""The process that commits staged saves beside the training: `python -m mstore.training.worker QUEUE`.

Started by exec, at low priority, in a session of its own; imports neither torch nor
transformers. It works until its standard input ends and the queue is empty: the
training process writes a line for each save, and the end comes when it drains the
queue or dies. A worker that is killed leaves its saves to the next one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mstore
from mstore.errors import MStoreError
from mstore.staging.queue import Queue, StagedSave
from mstore.training.health import health_of
from mstore.training.run import Run, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mstore.api.repository import Repository

_log: Final = logging.getLogger("mstore.hf")
_NICE: Final = 10
_POLL_S: Final = 0.02


def work(queue: Queue, repository: Repository) -> int:
    """Commit what waits in a queue; how many saves were committed.

    Args:
        queue: held by the caller.
        repository: where to.
    """
    run: Run | None = None
    committed = 0
    while waiting := queue.waiting():
        number = waiting[0]
        with _heard() as said:
            try:
                staged = queue.read(number)
                run = run or Run(repository, queue.plan(), begun=True)
                outcome = _commit(queue, run, staged)
                committed += 1
            except Exception as error:
                _log.debug("in full:", exc_info=True)
                outcome = {"reason": reason(error)}
        queue.finish(number, {**outcome, "said": said})
    if run is not None:
        try:
            run.forget_states()
        except MStoreError as error:
            _log.warning("mstore: old training state is still there: %s", reason(error))
    return committed


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect the warnings logged meanwhile, for the process that trains."""
    handler = _Heard()
    _log.addHandler(handler)
    try:
        yield handler.said
    finally:
        _log.removeHandler(handler)


def _commit(queue: Queue, run: Run, staged: StagedSave) -> dict[str, Any]:
    """Commit one staged save, unless a worker before us did, and look at its health."""
    save = staged.save
    known = run.commits.get(save.step)
    if known is not None:
        return {"step": save.step, "commit": known.hex, "path": save.path}
    folder = queue.folder_of(staged)
    aside = save.step < run.last_step
    result = run.commit(save.at(str(folder)), trial=staged.trial, aside=aside)
    health = health_of(run.repository, result.id, run.plan.frozen)
    for sentence in health.values():
        _log.warning("mstore: step %d: %s", save.step, sentence)
    if health:
        run.repository.note(result.id, metadata={"health": health})
    return {
        "step": save.step,
        "commit": result.id.hex,
        "branch": result.branch,
        "path": save.path,
    }


def adopt(queue: Queue, repository: Repository | None = None, *, wait: bool = False) -> int:
    """Commit the saves that a killed run left in its queue; return their number.

    Args:
        queue: the queue.
        repository: where to; None: what its plan says.
        wait: where a worker is at it, until it has committed what waits.

    Raises:
        MStoreError: its store cannot be opened.
    """
    while queue.path.is_dir():
        with queue.worked_on() as alone:
            if alone:
                return _adopt(queue, repository)
        if not wait or not queue.waiting():
            break
        time.sleep(_POLL_S)
    return 0


def adopt_staged(queues: Iterable[Path]) -> Iterator[tuple[Path, int | MStoreError]]:
    """Commit what killed runs left beside a workspace.

    Yields:
        Each queue's folder with how many of its saves were committed, or why they were not.
    """
    for path in queues:
        try:
            yield path, adopt(Queue(path))
        except MStoreError as error:
            yield path, error


def _adopt(queue: Queue, repository: Repository | None) -> int:
    queue.retry()
    try:
        plan = queue.plan()
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    opened = repository
    try:
        if queue.waiting():
            opened = opened or open_repository(plan.repository, plan.author)
            return work(queue, opened)
        return 0
    finally:
        if opened is not None and repository is None:
            opened.close()
        queue.remove()


def open_repository(folder: str, author: str | None) -> Repository:
    """Open the repository that a plan names. Raises NoStore, Corrupt."""
    if os.path.lexists(os.path.join(folder, "store.json")):
        return mstore.open(store=folder, author=author)
    return mstore.open(workspace=folder, author=author)


class Worker:
    """A worker process, as the training process sees it.

    Args:
        queue: its queue.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, queue: Queue) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mstore.training.worker", str(queue.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def tell(self) -> None:
        """Report that something was staged."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # It is dead; what is staged is committed at the end.

    def drain(self) -> None:
        """Wait until all that was staged is committed, and the worker is gone."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
        except OSError:
            pass  # It is dead already.
        self._process.wait()


def main(path: str) -> None:
    """Work on a queue until standard input ends."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    queue = Queue(Path(path))
    with queue.worked_on() as alone:
        if not alone:
            return  # The process at work takes saves staged meanwhile.
        plan = queue.plan()
        repository: Repository | None = None
        ended = False
        while True:
            try:
                repository = repository or open_repository(plan.repository, plan.author)
            except MStoreError as error:
                # Said at the end, by the training process, which then tries by itself.
                if ended:
                    sys.exit(reason(error))
                time.sleep(0.1)
            else:
                work(queue, repository)
            if ended:
                break
            ended = not sys.stdin.buffer.readline()


if __name__ == "__main__":
    main(sys.argv[1])
