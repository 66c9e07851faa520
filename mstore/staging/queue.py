"""Saves that wait to be committed: frozen beside the checkpoints, in a queue that outlives its process.

A queue is a folder of the output folder, one for each call of `train()`:

    .mstore-staging/<attempt>/plan.json     what the run asks for
                              owner, lock   held by the training, by the process that works on the queue
                              000001/       a save: large files linked, small ones copied
                              000001.save   what is known of it; written last, under a temporary name
                              000001.done   its commit; or .failed: the reason, the save being .held

Nothing here imports torch: the process that commits in the background has no need of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import InvalidInput
from mstore.formats import role_of
from mstore.fs.locks import open_lock, take_lock
from mstore.objects import TRAINING_STATE
from mstore.staging.checkpoints import Save
from mstore.staging.run_plan import RunPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = ".mstore-staging"
LINKED_FROM_BYTES: Final = 16 << 20


class CannotStage(Exception):
    """This disk has no hard links, so that a save cannot be frozen without copying all of it."""


@dataclass(frozen=True)
class StagedSave:
    """A save that waits.

    Args:
        number: its place in the queue.
        save: its facts; its path is that of the checkpoint, not of the copy.
        trial: in a search, the name of the trial.
        links: (path in the folder, size in bytes, mtime in ns) of files that are linked.
    """

    number: int
    save: Save
    trial: str
    links: tuple[tuple[str, int, int], ...]


class Queue:
    """The queue of one call of `train()`.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, plan: RunPlan) -> Queue:
        """Make the queue of a run, empty. Raises OSError."""
        path = Path(plan.output_dir).absolute() / FOLDER / plan.attempt
        path.mkdir(parents=True, exist_ok=True)
        queue = cls(path)
        queue._write("plan.json", plan.to_dict())
        return queue

    def plan(self) -> RunPlan:
        """Read the plan of the run. Raises OSError, ValueError, KeyError, TypeError."""
        return RunPlan.from_dict(json.loads((self.path / "plan.json").read_bytes()))

    def _write(self, name: str, document: object) -> None:
        temporary = self.path / f"{name}.new"
        temporary.write_text(json.dumps(document), "utf-8")
        os.replace(temporary, self.path / name)

    def _numbers(self, ending: str) -> list[int]:
        return sorted(int(p.stem) for p in self.path.glob(f"*.{ending}") if p.stem.isdigit())

    # -- putting in

    def stage(self, save: Save, trial: str, *, with_state: bool) -> StagedSave:
        """Freeze a save.

        A file that is replaced under its name keeps its bytes in the link; one that is
        rewritten in place does not, and `folder_of` refuses it.

        Args:
            save: a complete one.
            trial: in a search, the name of the trial.
            with_state: its training state too.

        Raises:
            CannotStage: there are no hard links here.
            OSError: the system failed; nothing is staged.
        """
        taken = [n for ending in ("save", "held", "done") for n in self._numbers(ending)]
        number = max(taken, default=0) + 1
        folder = self.path / f"{number:06d}"
        shutil.rmtree(folder, ignore_errors=True)
        links: list[tuple[str, int, int]] = []
        try:
            for source, name in _files(Path(save.path)):
                if not with_state and role_of(name) == TRAINING_STATE and name != _STATE:
                    continue
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                status = source.stat()
                if status.st_size < LINKED_FROM_BYTES:
                    shutil.copy2(source, target)
                    continue
                try:
                    os.link(source, target)
                except OSError as error:
                    raise CannotStage(error.strerror or str(error)) from error
                links.append((name, status.st_size, status.st_mtime_ns))
            staged = StagedSave(number, save, trial, tuple(links))
            self._write(f"{number:06d}.save", asdict(staged))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return staged

    def withdraw(self, number: int) -> bool:
        """Remove a save whose commit has not begun; return whether it was there."""
        try:
            os.unlink(self.path / f"{number:06d}.save")
        except FileNotFoundError:
            return False
        shutil.rmtree(self.path / f"{number:06d}", ignore_errors=True)
        return True

    # -- taking out

    def waiting(self) -> list[int]:
        """List the numbers of saves that are not committed yet, the oldest first."""
        return self._numbers("save")

    def unfinished(self) -> int:
        """Count the saves that wait, or could not be committed."""
        return len(self.waiting()) + len(self._numbers("held"))

    def read(self, number: int) -> StagedSave:
        """Read a save that waits. Raises OSError, ValueError, KeyError, TypeError."""
        document = json.loads((self.path / f"{number:06d}.save").read_bytes())
        links = tuple((str(n), int(s), int(t)) for n, s, t in document["links"])
        return StagedSave(document["number"], Save(**document["save"]), document["trial"], links)

    def folder_of(self, staged: StagedSave) -> Path:
        """Return where its files lie.

        Raises:
            InvalidInput: a linked file was written to since.
        """
        folder = self.path / f"{staged.number:06d}"
        for name, size, mtime_ns in staged.links:
            status = (folder / name).stat()
            if (status.st_size, status.st_mtime_ns) != (size, mtime_ns):
                raise InvalidInput(name, "was written to while it waited to be committed")
        return folder

    def finish(self, number: int, outcome: dict[str, Any]) -> None:
        """Record the result of a save; the files of one that was committed go."""
        if "commit" not in outcome:
            self._write(f"{number:06d}.failed", outcome)
            os.replace(self.path / f"{number:06d}.save", self.path / f"{number:06d}.held")
            return
        self._write(f"{number:06d}.done", outcome)
        for ending in ("save", "held", "failed"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path / f"{number:06d}.{ending}")
        shutil.rmtree(self.path / f"{number:06d}", ignore_errors=True)

    def retry(self) -> None:
        """Let saves that could not be committed wait again."""
        for number in self._numbers("held"):
            os.replace(self.path / f"{number:06d}.held", self.path / f"{number:06d}.save")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path / f"{number:06d}.failed")

    def outcomes(self) -> dict[int, dict[str, Any]]:
        """Read what became of saves, by number."""
        found = {}
        for ending in ("done", "failed"):
            for number in self._numbers(ending):
                with contextlib.suppress(OSError, ValueError):
                    found[number] = json.loads((self.path / f"{number:06d}.{ending}").read_bytes())
        return found

    # -- who works on it

    @contextlib.contextmanager
    def worked_on(self) -> Iterator[bool]:
        """Lock the queue for working on it; False where another process has it."""
        descriptor = open_lock(self.path / "lock")
        try:
            yield take_lock(descriptor, wait=False)
        finally:
            os.close(descriptor)

    def own(self) -> int:
        """Mark the training as running, until the descriptor is closed. Raises OSError."""
        descriptor = open_lock(self.path / "owner")
        if not take_lock(descriptor, wait=False):
            os.close(descriptor)
            raise BlockingIOError(errno.EWOULDBLOCK, "its training runs", str(self.path))
        return descriptor

    def _is_owned(self) -> bool:
        try:
            os.close(self.own())
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def remove(self) -> None:
        """Remove the queue, if all of it is committed and its training is over.

        With the last one goes the folder of queues.
        """
        if self.waiting() or self._numbers("held") or self._is_owned():
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


_STATE: Final = "trainer_state.json"


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path, path.relative_to(folder).as_posix()


def queues(output_dir: str) -> list[Queue]:
    """List the queues of an output folder, the oldest first."""
    found = [p.parent for p in Path(output_dir, FOLDER).glob("*/plan.json")]
    return [Queue(p) for p in sorted(found, key=lambda p: p.stat().st_mtime_ns)]


# -- queues that a repository knows of


def register(workspace: Path, queue: Queue) -> None:
    """Let a workspace know of a queue, so that `mstore status` and the next commit find it."""
    folder = workspace / "staged"
    folder.mkdir(exist_ok=True)
    (folder / queue.path.name).write_text(str(queue.path), "utf-8", "surrogateescape")


def registered(workspace: Path) -> list[Queue]:
    """List the queues that a workspace knows of; what is no longer there is dropped."""
    found = []
    for entry in sorted((workspace / "staged").glob("*")):
        with contextlib.suppress(OSError):
            path = Path(entry.read_text("utf-8", "surrogateescape"))
            if (path / "plan.json").exists():
                found.append(Queue(path))
            else:
                entry.unlink()
    return found
