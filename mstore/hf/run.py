"""One call of `train()` as a line of commits.

Hides where the commits go: which branch, from which commit it starts, and what
becomes of saves that could not be committed when they were written. Knows
nothing of torch or of the Trainer.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import Conflict, NotFound
from mstore.hf.naming import branch_name, free_name
from mstore.hf.saves import Save, checkpoints, read_save, step_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.objects import CommitId, Time
    from mstore.ops.commitstart import CommitResult
    from mstore.repository import Repository

_log: Final = logging.getLogger("mstore.hf")


@dataclass(frozen=True)
class Origin:
    """The save that a run was resumed from.

    Args:
        step: its step.
        attempt: the call of `train()` that wrote it, or None where unknown.
    """

    step: int
    attempt: str | None


@dataclass(frozen=True)
class _Committed:
    """A commit of this run, found in the store or made by us."""

    id: CommitId
    step: int
    attempt: str | None
    branch: str | None
    time: Time


def _commits_of(repository: Repository, run_id: str) -> list[_Committed]:
    """All commits of a run, whichever branch they are on."""
    found = []
    for entry in repository.log(all=True):
        recorded, ours = (entry.commit.metadata.get(key) for key in ("recorded", "run"))
        # A checkpoint that was committed by hand has only what its trainer_state.json says.
        trainer = recorded.get("trainer") if isinstance(recorded, dict) else None
        ours = ours if isinstance(ours, dict) else {}
        if isinstance(trainer, dict) and trainer.get("run_id") == run_id and entry.step is not None:
            branch, attempt = ours.get("branch"), ours.get("attempt")
            found.append(_Committed(entry.id, entry.step, attempt, branch, entry.commit.time))
    return found


class Run:
    """Commits the saves of one call of `train()`.

    A fresh run makes a branch of its own. A resumed run goes on where the save
    that it came from was committed: on the same branch if that is still its
    tip, else on a new branch from there.

    Args:
        repository: where to.
        name: the branch asked for.
        named: whether somebody chose that name (else it was derived from a folder).
        run_id: constant over all resumptions.
        attempt: this call of `train()`.
        origin: the save resumed from, or None for a fresh run.
        training_state: whether optimizer, scheduler and random states are kept.
        base: revision of the model that was started from, or None to have it found.
        metadata: kept with each commit.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        name: str,
        named: bool,
        run_id: str,
        attempt: str,
        origin: Origin | None,
        training_state: bool,
        base: str | None,
        metadata: Mapping[str, Any],
    ) -> None:
        self.repository = repository
        self.run_id = run_id
        self.attempt = attempt
        self.failed: dict[int, str] = {}
        self._name = name
        self._named = named
        self._origin = origin
        self._training_state = training_state
        self._base = base
        self._metadata = metadata
        self._branch: str | None = None
        self._commits: list[_Committed] = []
        self._warned: set[str] = set()
        self._before = _commits_of(repository, run_id) if origin is not None else []

    @property
    def last_step(self) -> int:
        """Step of the newest save committed by this call of `train()`, -1 before the first."""
        return max((c.step for c in self._commits), default=-1)

    @property
    def resumed_at(self) -> int:
        """Step of the commit that this run goes on from, -1 where it is fresh."""
        came_from = self._came_from()
        return came_from.step if came_from is not None else -1

    def _came_from(self) -> _Committed | None:
        """The commit of the save resumed from, else the last one before it in this run."""
        if self._origin is None:
            return None
        before = [c for c in self._before if c.step <= self._origin.step]
        # Two resumptions of one save go through the same steps: the attempt tells them apart.
        mine = self._origin.attempt
        return max(before, key=lambda c: (c.attempt == mine, c.step, c.time), default=None)

    def _place(self, trial: str) -> tuple[str, str | None]:
        """The branch for the first commit, and where to begin it (None: it exists, and goes on)."""
        branches = self.repository.branches()
        wanted = f"{self._name}/{branch_name(trial)}" if trial else self._name
        came_from = self._came_from()
        if came_from is not None:
            own = came_from.branch or wanted
            if self._named and not re.fullmatch(rf"{re.escape(wanted)}(-\d+)?", own):
                own = wanted  # somebody wants this run on another branch from here on
            if branches.get(own) == came_from.id:
                return own, None
            start = str(came_from.id)
        else:
            start = self._head()
        name = free_name(wanted, branches)
        if name != wanted:
            _log.warning("mstore: a branch %s exists already: this run goes to %s", wanted, name)
        return name, start

    def _head(self) -> str:
        """The commit that HEAD stands on, "" where there is none."""
        if self.repository.workspace is None:
            return ""
        try:
            return self.repository.resolve("HEAD").hex
        except NotFound:
            return ""

    def _aside(self, branch: str, step: int) -> tuple[str, str]:
        """The branch for a save that is older than what `branch` holds, and where to begin it."""
        earlier = [c for c in self._commits if c.step < step]
        parent = max(earlier, key=lambda c: c.step) if earlier else self._came_from()
        name = free_name(f"{branch}-step-{step}", self.repository.branches())
        return name, parent.id.hex if parent is not None else ""

    def commit(self, save: Save, *, trial: str = "", aside: bool = False) -> CommitResult:
        """Commit a save.

        Args:
            save: a complete one.
            trial: in a search, the name of the trial.
            aside: it is older than what the branch holds, and gets a branch of its own.

        Raises:
            MStoreError: it could not be committed; the branch is as before.
        """
        if self._branch is not None and not aside:
            result = self._append(save, self._branch, None)
        else:
            for last_try in (False, False, False, True):
                name, start = (
                    self._aside(self._branch, save.step) if self._branch else self._place(trial)
                )
                try:
                    result = self._append(save, name, start)
                    break
                except Conflict:
                    # Another run took the name, or went on with the branch, a moment ago.
                    if last_try:
                        raise
            if self._branch is None:
                self._branch = result.branch
        _log.info("mstore: %s", result)
        for warning in result.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _log.warning("mstore: %s", warning)
        return result

    def _append(self, save: Save, branch: str, start: str | None) -> CommitResult:
        """Commit to a branch: to its end, or, where `start` is given, as the first of a new one."""
        run: dict[str, Any] = {"branch": branch, "attempt": save.attempt}
        if self._origin is not None:
            run["resumed_from"] = self._origin.step
        result = self.repository.commit(
            save.path,
            message=save.message,
            branch=branch,
            start=start,
            base=self._base,
            without=() if self._training_state else ("training-state",),
            metadata={**self._metadata, "run": run},
            metrics=save.metrics,
            append=self._branch is not None,
            by_hand=False,  # a checkpoint that rotates away is nobody's model directory
            allow_empty=True,  # a save that changed nothing is still the save of its step
        )
        done = _Committed(result.id, save.step, save.attempt, branch, result.commit.time)
        (self._commits if save.attempt == self.attempt else self._before).append(done)
        self.failed.pop(save.step, None)
        return result

    def missed(self, output_dir: str, *, attempt: str | None, up_to: int | None = None) -> list[Save]:
        """Complete saves of this run that lie in the output folder and in no commit, oldest first.

        Args:
            output_dir: the Trainer's.
            attempt: the call of `train()` that wrote them.
            up_to: no later step than this.
        """
        known = {c.step for c in (*self._commits, *self._before) if c.attempt == attempt}
        found = []
        for path in checkpoints(output_dir):
            if step_of(path) in known or (up_to is not None and step_of(path) > up_to):
                continue
            save = read_save(path)
            if save is not None and (save.run_id, save.attempt) == (self.run_id, attempt):
                found.append(save)
        return sorted(found, key=lambda s: s.step)
