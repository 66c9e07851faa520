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

from mstore.errors import Conflict, MStoreError, NotFound
from mstore.objects import TRAINING_STATE, CommitId
from mstore.staging.checkpoints import Save, checkpoints, read_save, step_of, trial_of
from mstore.training.naming import branch_name, free_name

if TYPE_CHECKING:
    from mstore.api.repository import Repository
    from mstore.api.values import CommitResult
    from mstore.objects import Time
    from mstore.staging.run_plan import RunPlan

_log: Final = logging.getLogger("mstore.hf")


def reason(error: Exception) -> str:
    """Format an error as one line."""
    if isinstance(error, MStoreError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class _Committed:
    """A commit of this run, found in the store or made by us."""

    id: CommitId
    step: int
    attempt: str | None
    branch: str | None
    time: Time


def _commits_of(repository: Repository, run_id: str) -> list[_Committed]:
    """List all commits of a run, whichever branch they are on."""
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
        plan: the plan of the run.
        begun: this call of `train()` may have committed before, in another process.
    """

    def __init__(self, repository: Repository, plan: RunPlan, *, begun: bool = False) -> None:
        self.repository = repository
        self.plan = plan
        self.failed: dict[int, str] = {}
        self._branch: str | None = None
        self._warned: set[str] = set()
        known = _commits_of(repository, plan.run_id) if begun or plan.origin is not None else []
        self._before = [c for c in known if c.attempt != plan.attempt]
        self._commits = [c for c in known if c.attempt == plan.attempt]
        if self._commits:
            own = [c for c in self._commits if c.branch is not None]
            self._branch = max(own, key=lambda c: c.step).branch if own else None

    def look_again(self) -> None:
        """Learn what another process has committed for this call of `train()`."""
        fresh = Run(self.repository, self.plan, begun=True)
        self._before, self._commits, self._branch = fresh._before, fresh._commits, fresh._branch

    @property
    def commits(self) -> dict[int, CommitId]:
        """The commits of this call of `train()`, by step."""
        return {c.step: c.id for c in self._commits}

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
        """Give the commit of the save resumed from, else the last one before it in this run."""
        if self.plan.origin is None:
            return None
        before = [c for c in self._before if c.step <= self.plan.origin.step]
        # Two resumptions of one save go through the same steps: the attempt tells them apart.
        mine = self.plan.origin.attempt
        return max(before, key=lambda c: (c.attempt == mine, c.step, c.time), default=None)

    def _destination(self, trial: str) -> tuple[str, CommitId | str | None]:
        """Give the branch for the first commit and where to begin it (None: it exists)."""
        branches = self.repository.branches()
        wanted = f"{self.plan.name}/{branch_name(trial)}" if trial else self.plan.name
        came_from = self._came_from()
        if came_from is not None:
            own = came_from.branch or wanted
            if self.plan.named and not re.fullmatch(rf"{re.escape(wanted)}(-\d+)?", own):
                own = wanted  # the run goes to another branch from here on
            if branches.get(own) == came_from.id:
                return own, None
            start: CommitId | str = came_from.id
        else:
            start = self._head()
        name = free_name(wanted, branches)
        if name != wanted:
            _log.warning("mstore: a branch %s exists already: this run goes to %s", wanted, name)
        return name, start

    def _head(self) -> CommitId | str:
        """Return HEAD's commit, "" where there is none."""
        if self.repository.workspace is None:
            return ""
        try:
            return self.repository.resolve("HEAD")
        except NotFound:
            return ""

    def _aside(self, branch: str, step: int) -> tuple[str, CommitId | str]:
        """Give the branch for a save that is older than what `branch` holds, and where to begin it."""
        earlier = [c for c in self._commits if c.step < step]
        parent = max(earlier, key=lambda c: c.step) if earlier else self._came_from()
        name = free_name(f"{branch}-step-{step}", self.repository.branches())
        return name, parent.id if parent is not None else ""

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
                    self._aside(self._branch, save.step) if self._branch else self._destination(trial)
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
        _log.info("mstore: %s", str(result).partition("\n")[0])
        for warning in result.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _log.warning("mstore: %s", warning)
        return result

    def _append(self, save: Save, branch: str, start: CommitId | str | None) -> CommitResult:
        """Commit to a branch: to its end, or, where `start` is given, as the first of a new one."""
        run: dict[str, Any] = {"branch": branch, "attempt": save.attempt}
        if self.plan.origin is not None:
            run["resumed_from"] = self.plan.origin.step
        if save.tokens is not None:
            run["tokens"] = save.tokens
        if save.wall_s is not None:
            run["wall_s"] = round(save.wall_s, 3)
        result = self.repository.commit(
            save.path,
            message=save.message,
            branch=branch,
            start=start,
            base=CommitId.parse(self.plan.base) if self.plan.base is not None else None,
            without=() if self.plan.training_state else (TRAINING_STATE,),
            metadata={**self.plan.metadata, "run": run},
            metrics=save.metrics,
            append=self._branch is not None,
            by_hand=False,  # a checkpoint that rotates away is no user's model directory
            allow_empty=True,  # a save that changed nothing is still the save of its step
        )
        done = _Committed(result.id, save.step, save.attempt, branch, result.commit.time)
        (self._commits if save.attempt == self.plan.attempt else self._before).append(done)
        self.failed.pop(save.step, None)
        return result

    def try_commit(self, save: Save, trial: str = "", *, aside: bool = False) -> CommitResult | None:
        """Commit, or record the reason for a failure."""
        try:
            return self.commit(save, trial=trial, aside=aside)
        except Exception as error:
            self.failed[save.step] = reason(error)
            _log.warning("mstore: could not commit %s: %s", save.path, reason(error))
            _log.debug("in full:", exc_info=True)
            return None

    def catch_up(self, *, before: int) -> None:
        """Commit saves that failed, or that on_save was not called for, while they still come next."""
        for save in self.missed(attempt=self.plan.attempt, up_to=before - 1):
            late = save.step < self.last_step
            if late or self.try_commit(save, trial_of(save.path, self.plan.output_dir)) is None:
                break

    def forget_states(self) -> None:
        """Drop training state of older versions of the branch, as the plan says."""
        plan = self.plan
        if self._branch is None or not plan.training_state or plan.keep_last is None:
            return
        self.repository.forget(TRAINING_STATE, keep_last=plan.keep_last, branch=self._branch)

    def missed(self, *, attempt: str | None, up_to: int | None = None) -> list[Save]:
        """Complete saves of this run that lie in the output folder and in no commit, oldest first.

        Args:
            attempt: the call of `train()` that wrote them.
            up_to: no later step than this.
        """
        known = {c.step for c in (*self._commits, *self._before) if c.attempt == attempt}
        found = []
        for path in checkpoints(self.plan.output_dir):
            if step_of(path) in known or (up_to is not None and step_of(path) > up_to):
                continue
            save = read_save(path)
            if save is not None and (save.run_id, save.attempt) == (self.plan.run_id, attempt):
                found.append(save)
        return sorted(found, key=lambda s: s.step)
