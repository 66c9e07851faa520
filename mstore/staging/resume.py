"""resume: a version becomes a checkpoint folder that training goes on from.

A checkout, and then one change to it: `best_model_checkpoint` in trainer_state.json
names a folder of the machine that trained; here it is made to name one that exists.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.checkout.execute import CheckoutResult, checkout
from mstore.errors import NotFound
from mstore.formats import read_json_object
from mstore.fs.durable import replace_file
from mstore.fs.failures import storage_failed
from mstore.history.entry import entry_of
from mstore.history.query.resolve import resolved
from mstore.history.walk import walk
from mstore.objects import TRAINING_STATE
from mstore.store import forgotten_since

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.context import Context
    from mstore.history.query.resolve import AnyRevision
    from mstore.objects import Commit, CommitId
    from mstore.progress import Progress

STATE: Final = "trainer_state.json"
_STEP: Final = re.compile(r"checkpoint-([0-9]+)/?$")


@dataclass(frozen=True, kw_only=True)
class ResumeResult:
    """The result of a resume.

    Args:
        checkout: the result of the checkout.
        path: the folder to give to `trainer.train(resume_from_checkpoint=…)`.
        step: the training step that it goes on from, or None where unknown.
        best: where the best checkpoint so far lies now, or None.
        warnings: one sentence each.
    """

    checkout: CheckoutResult
    path: Path
    step: int | None
    best: Path | None
    warnings: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line of Python that goes on from here."""
        return f"trainer.train(resume_from_checkpoint={str(self.path)!r})"


def resume(
    context: Context,
    revision: AnyRevision,
    to: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> ResumeResult:
    """Write a version out so that training can go on from it.

    Args:
        context: the store, and the workspace if there is one.
        revision: what; it must hold training state.
        to: the folder; new, or as `checkout --to` wants it.
        force: as for checkout.
        progress: called with bytes written.

    Raises:
        NotFound: it has no training state: left out at commit, or forgotten since.
        Dirty, BadPath, Conflict, Corrupt, StorageFailed: as checkout.
    """
    id = resolved(context, revision).id
    commit = context.store.commit(id)
    _check_state(context, id, commit)
    done = checkout(context, id, to=to, force=force, progress=progress)
    folder = to.absolute()
    state = read_json_object((folder / STATE).read_bytes(), str(folder / STATE))
    best, warnings = _best(context, id, state, folder, progress)
    if state.get("best_model_checkpoint") is not None:
        state["best_model_checkpoint"] = str(best) if best is not None else None
        # As transformers writes it.
        content = (json.dumps(state, indent=2, sort_keys=True) + "\n").encode()
        try:
            replace_file(folder / STATE, content)
        except OSError as error:
            raise storage_failed(error, f"cannot write {folder / STATE}") from error
    step = state.get("global_step")
    return ResumeResult(
        checkout=done,
        path=folder,
        step=step if isinstance(step, int) else None,
        best=best,
        warnings=(*done.warnings, *warnings),
    )


def _check_state(context: Context, id: CommitId, commit: Commit) -> None:
    for role, time in forgotten_since(context.store, id):
        if role == TRAINING_STATE:
            day = time.iso()[:10]
            raise NotFound(
                f"{id.short} cannot be resumed from: its training state was forgotten on {day}",
                hint="the last versions of a run keep theirs; `mstore resume BRANCH --to DIR`",
            )
    paths = {f.path for f in context.store.manifest(commit.manifest).files}
    if STATE in paths and any(p.startswith(("optimizer", "scheduler", "global_step")) for p in paths):
        return
    raise NotFound(
        f"{id.short} cannot be resumed from: it has no training state",
        hint="`MStoreCallback()` keeps it for the last 2 versions, `training_state=True` for all",
    )


def _best(
    context: Context,
    id: CommitId,
    state: dict[str, Any],
    folder: Path,
    progress: Progress | None,
) -> tuple[Path | None, list[str]]:
    """Give the best checkpoint so far as a folder that exists: this one, or one written beside it."""
    named = state.get("best_model_checkpoint")
    match = _STEP.search(named) if isinstance(named, str) else None
    if match is None:
        return None, []
    step = int(match[1])
    if step == state.get("global_step"):
        return folder, []
    beside = folder.parent / f"checkpoint-{step}"
    for other, commit in walk(context.store, [id]):
        if entry_of(context, other, commit, ()).step != step:
            continue
        if not os.path.lexists(beside):
            checkout(context, other, to=beside, progress=progress)
        return beside, []
    return None, [
        f"the best checkpoint so far was {named}, and no version before {id.short} is of step {step}:"
        " training goes on without it"
    ]
