"""The Trainer callback: every save becomes a commit, and no error of ours ends a training run.

Hides when and where transformers' Trainer saves (docs of the traps: on_save is
given no path, fires on every rank, after the rotation of old checkpoints, and
not at all for saves on SIGTERM or with `save_strategy="no"`). It never writes
into a checkpoint folder. Training waits until a save is frozen in the staging
folder; a process of its own commits it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from transformers import TrainerCallback

from mstore.api.repository import Repository
from mstore.errors import MStoreError, NotFound
from mstore.hf.devices import author_named, store_folder
from mstore.hf.discovery import find_repository
from mstore.hf.loading import commit_of
from mstore.hf.recorded import dataset_facts, hardware_facts, json_values, quantization_facts
from mstore.staging.checkpoints import STATE_KEY, Save, checkpoints, read_save, save_of_state, trial_of
from mstore.staging.queue import CannotStage, queues
from mstore.staging.run_plan import Origin, RunPlan
from mstore.text import counted
from mstore.training.background import Background, Behind
from mstore.training.naming import wanted_name
from mstore.training.run import Run, reason
from mstore.training.worker import adopt

if TYPE_CHECKING:
    from collections.abc import Iterator

_log: Final = logging.getLogger("mstore.hf")
_STATES_KEPT: Final = 2


@dataclass(frozen=True)
class _Identity:
    """The run that a call of `train()` belongs to.

    Args:
        run_id: constant over all resumptions.
        attempt: this call of `train()`.
        origin: the save resumed from, or None.
    """

    run_id: str
    attempt: str
    origin: Origin | None


@contextlib.contextmanager
def _contained(what: str) -> Iterator[None]:
    """Turn every error of the block into a warning: a training run costs more than a commit."""
    try:
        yield
    except Exception as error:
        _log.warning("mstore: could not %s: %s", what, reason(error))
        _log.debug("in full:", exc_info=True)


def _wait_for_all_ranks() -> None:
    """Wait until every rank has come here: the others may still be writing their files."""
    from accelerate import PartialState

    PartialState().wait_for_everyone()


class MStoreCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Commit every save of a Trainer, with the metrics of its step.

    `Trainer(…, callbacks=[MStoreCallback()])` is all there is to do. Each call
    of `train()` writes a branch of its own; a resumed run goes on where the
    save that it came from was committed.

    No exception ever leaves a hook: a failure is logged as a warning by
    the logger `mstore.hf`, and tried again at the end of training.

    Args:
        store: a folder with `.mstore` in it (made if there is none), the folder
            of a shared store, or a Repository. Default: found upward from the
            current folder, then from the output folder, else made in the
            current folder.
        branch: its name. Default: the run's name, else the output folder's.
            Where it exists, a fresh run takes `name-2`, `name-3` …
        training_state: of how many versions of a branch, from its tip, optimizer,
            scheduler, random states and `training_args.bin` are kept, so that a checkout
            can be resumed from; True: all, False: none. Default: `mstore config
            keep-training-state`, else 2.
        background: commit in a process of its own, so that training waits only until the
            save is frozen (hard links; on a disk without them training waits for the commit).
        behind: what a save does that finds another one waiting to be committed: `"wait"` for
            it, or take its place (`"latest"`).
        frozen: a pattern of the names of tensors that must not change; a commit in which one
            did says so.
        base: revision of the model that was started from. Default: what
            `mstore.hf.load` loaded, else what the adapter's configuration says.
    """

    def __init__(  # noqa: PLR0913 - what users type, since 0.1
        self,
        store: str | os.PathLike[str] | Repository | None = None,
        branch: str | None = None,
        training_state: bool | int | None = None,
        *,
        background: bool = True,
        behind: Behind = "wait",
        frozen: str | None = None,
        base: str | None = None,
    ) -> None:
        if behind not in ("wait", "latest"):
            raise ValueError(f"behind is 'wait' or 'latest', not {behind!r}")
        if frozen is not None:
            re.compile(frozen)
        self._store = store
        self._branch = branch
        self._training_state = training_state
        self._in_background = background
        self._behind: Behind = behind
        self._frozen = frozen
        self._base = base
        self._background: Background | None = None
        self._trials = 0
        self._began = time.monotonic()
        self._identity: _Identity | None = None
        self._run: Run | None = None

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON.

        `restore_callback_states_from_checkpoint` makes transformers build the
        callback again, from these alone.
        """
        store = store_folder(self._store) if isinstance(self._store, Repository) else self._store
        given = {
            "store": None if store is None else os.path.abspath(os.fspath(store)),
            "branch": self._branch,
            "training_state": self._training_state,
            "background": None if self._in_background else False,
            "behind": None if self._behind == "wait" else self._behind,
            "frozen": self._frozen,
            "base": self._base,
        }
        return {key: value for key, value in given.items() if value is not None}

    def _enter(self, args: Any, state: Any) -> _Identity:
        """Write the run's id into the Trainer's state, and so into every trainer_state.json."""
        held = state.stateful_callbacks
        if not isinstance(held.get(STATE_KEY), dict):
            held.pop(STATE_KEY, None)
        entry = held.setdefault(STATE_KEY, {"args": {}, "attributes": {}})
        entry["args"] = self._arguments()
        attributes = entry.setdefault("attributes", {})
        attributes["greater_is_better"] = args.greater_is_better
        # Every later save has a later step: at this one, the entry is already this
        # attempt's if another callback of this kind was here a moment ago.
        if attributes.get("resumed_from", {}).get("step") != state.global_step:
            attributes["resumed_from"] = {
                "step": state.global_step,
                "attempt": attributes.get("attempt"),
            }
            attributes["attempt"] = uuid.uuid4().hex[:12]
        resumed = state.global_step > 0 and "run_id" in attributes
        origin = Origin(state.global_step, attributes["resumed_from"]["attempt"]) if resumed else None
        run_id: str = attributes.setdefault("run_id", uuid.uuid4().hex)
        return _Identity(run_id, attributes["attempt"], origin)

    def _metadata(self, args: Any, state: Any, parts: dict[str, Any]) -> dict[str, Any]:
        """Collect the facts of the run when it begins."""
        found: dict[str, Any] = {}
        with _contained("record the training arguments"):
            found["training_arguments"] = json_values(args.to_dict())
        with _contained("record the data set"):
            loaders = {"train": "train_dataloader", "eval": "eval_dataloader"}
            sets = {name: dataset_facts(parts.get(key)) for name, key in loaders.items()}
            if any(sets.values()):
                found["dataset"] = json_values({k: v for k, v in sets.items() if v})
        with _contained("record the hardware"):
            found["hardware"] = hardware_facts(args)
        with _contained("record the quantization"):
            quantization = quantization_facts(parts.get("model"))
            if quantization:
                found["quantization"] = json_values(quantization)
        with _contained("record the trial"):
            if state.is_hyper_param_search and state.trial_params:
                found["trial"] = json_values(dict(state.trial_params))
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return a state with the store as its folder: parallel searches pickle the Trainer."""
        held = dict(self.__dict__)
        if isinstance(self._store, Repository):
            held["_store"] = store_folder(self._store)
        return {**held, "_run": None, "_background": None}

    def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Find the store and where the commits go; say early what will not work."""
        self._began = time.monotonic()
        background, self._background = self._background, None
        self._run, self._identity = None, None
        if background is not None:
            with _contained("finish the commits of a run that was interrupted"):
                adopt(background.leave())
        with _contained("prepare the run's commits"):
            self._identity = self._enter(args, state)
            if state.is_world_process_zero:
                self._say_early(args)
                self._run = self._begun(args, state, parts, self._identity)

    def _begun(self, args: Any, state: Any, parts: dict[str, Any], identity: _Identity) -> Run:
        """Open the store and begin the run."""
        repository = find_repository(self._store, args.output_dir)
        for queue in queues(args.output_dir):
            with _contained(f"commit what was staged in {queue.path}"):
                if adopted := adopt(queue, wait=identity.origin is not None):
                    _log.warning(
                        "mstore: committed %s that a killed run had left staged",
                        counted(adopted, "save"),
                    )
        kept = self._kept_states(repository, getattr(args, "hub_token", None))
        plan = RunPlan(
            repository=store_folder(repository),
            author=author_named() or repository.author,
            output_dir=os.path.abspath(args.output_dir),
            name=wanted_name(self._branch, args.run_name, args.output_dir),
            named=self._branch is not None,
            run_id=identity.run_id,
            attempt=identity.attempt,
            origin=identity.origin,
            training_state=kept != 0,
            keep_last=kept,
            base=self._base_in(repository, parts.get("model")),
            frozen=self._frozen,
            metadata=self._metadata(args, state, parts),
        )
        run = Run(repository, plan)
        if (origin := identity.origin) is not None:
            # A run killed right after a save on SIGTERM never came to its own sweep.
            for save in run.missed(attempt=origin.attempt, up_to=origin.step):
                if save.step > run.resumed_at:
                    run.try_commit(save)
        if self._in_background:
            with _contained("commit in the background"):
                self._background = Background(run, self._behind)
        return run

    def _kept_states(self, repository: Repository, token: object) -> int | None:
        """Return of how many versions training state is kept; None: of all."""
        given = self._training_state
        if isinstance(given, bool):
            return None if given else 0
        if given is not None:
            return given
        if token:
            return 0  # The user did not ask for it, and training_args.bin holds the token in clear.
        workspace = repository.workspace
        configured = workspace.config().get("keep-training-state") if workspace is not None else None
        if configured is None:
            return _STATES_KEPT
        return None if configured == "all" else int(configured)

    def _base_in(self, repository: Repository, model: Any) -> str | None:
        """Give the commit of the model that was started from, as it is now: its branch may move."""
        loaded = commit_of(model)
        named = self._base or loaded
        if named is None:
            return None
        try:
            return repository.resolve(named).hex
        except MStoreError as error:
            if self._base:
                _log.warning("mstore: the commits will name no base: %s", reason(error))
            return None  # loaded from another store, say

    def _say_early(self, args: Any) -> None:
        if args.save_strategy == "no":
            _log.warning(
                'mstore: save_strategy="no": there will be one commit, of the model as it is when '
                "training ends, and none if training is interrupted"
            )
            if args.fsdp or args.deepspeed:
                _log.warning(
                    "mstore: the weights are spread over several ranks and cannot be saved from here: "
                    "call trainer.save_model() after training and commit that folder"
                )
        if self._training_state is not False and getattr(args, "hub_token", None):
            what = "no training state is kept" if self._training_state is None else "it is kept"
            _log.warning(
                "mstore: training_args.bin holds your hub_token in clear, and %s: "
                "log in with `hf auth login` instead of passing hub_token", what,
            )  # fmt: skip

    def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Commit the save that was just written."""
        with _contained(f"commit the save of step {state.global_step}"):
            _wait_for_all_ranks()
            if state.is_world_process_zero and self._identity is not None:
                # Where the store could not be opened at first, it may be there by now.
                run = self._run or self._begun(args, state, parts, self._identity)
                self._run = run
                save, trial = self._located(args, state, run)
                if self._background is None or not self._staged(self._background, save, trial):
                    run.catch_up(before=save.step)
                    run.try_commit(save, trial)
                    run.forget_states()

    def _located(self, args: Any, state: Any, run: Run) -> tuple[Save, str]:
        """Give the save just written and its trial's name ("" outside a search).

        Raises:
            NotFound: there is no such folder.
        """
        for path in checkpoints(args.output_dir, step=state.global_step):
            found = read_save(path)
            if found is not None and (found.run_id, found.attempt) == (
                run.plan.run_id,
                run.plan.attempt,
            ):
                save = replace(save_of_state(path, state), wall_s=time.monotonic() - self._began)
                return save, trial_of(path, args.output_dir)
        raise NotFound(f"no complete checkpoint-{state.global_step} of this run in {args.output_dir}")

    def _staged(self, background: Background, save: Save, trial: str) -> bool:
        """Hand a save to the worker; False where training has to wait for the commit."""
        try:
            background.put(save, trial)
            return True
        except CannotStage as error:
            _log.warning("mstore: %s: training waits for each commit", error)
        except OSError as error:
            _log.warning("mstore: could not stage %s: %s", save.path, reason(error))
        self._background = None
        assert self._run is not None
        self._finish(background, self._run)
        return False

    def _finish(self, background: Background, run: Run) -> None:
        """Wait for the worker, and commit what it could not."""
        queue = background.leave()
        run.look_again()
        adopt(queue, run.repository)
        run.look_again()
        for step in run.commits:
            run.failed.pop(step, None)

    def on_train_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Commit what on_save missed: saves on SIGTERM, failures, and all of `save_strategy="no"`."""
        with _contained("commit what was missed during training"):
            _wait_for_all_ranks()
            run, identity, background = self._run, self._identity, self._background
            self._run, self._identity, self._background = None, None, None
            if not state.is_world_process_zero or identity is None:
                return
            if run is None:
                run = self._begun(args, state, parts, identity)
                background = self._background
            self._background = None
            if background is not None:
                with _contained("finish the commits in the background"):
                    self._finish(background, run)
            if args.save_strategy == "no" and run.last_step < state.global_step:
                self._commit_model(run, args, state, parts)
            for save in run.missed(attempt=run.plan.attempt):
                trial = trial_of(save.path, args.output_dir)
                run.try_commit(save, trial, aside=save.step < run.last_step)
            with _contained("drop old training state"):
                run.forget_states()
            if background is not None:
                adopt(background.leave(), run.repository)
            for step, why in sorted(run.failed.items()):
                _log.warning("mstore: no commit holds the save of step %d: %s", step, why)

    def _commit_model(self, run: Run, args: Any, state: Any, parts: dict[str, Any]) -> None:
        """Save the live model to a folder of our own and commit that."""
        from accelerate.utils import extract_model_from_parallel

        if args.fsdp or args.deepspeed:
            return
        trial = ""
        if state.is_hyper_param_search:
            trial = state.trial_name or f"run-{self._trials}"
            self._trials += 1
        with tempfile.TemporaryDirectory(prefix="mstore-") as folder:
            extract_model_from_parallel(parts["model"]).save_pretrained(folder)
            if parts.get("processing_class") is not None:
                parts["processing_class"].save_pretrained(folder)
            state.save_to_json(os.path.join(folder, "trainer_state.json"))
            run.try_commit(save_of_state(folder, state), trial)
