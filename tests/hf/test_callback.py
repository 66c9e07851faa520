"""MStoreCallback against the real Trainer: what is committed, where, and that it never hurts."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer, TrainerCallback

import mstore
from mstore.hf import MStoreCallback

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


def steps(repo: Any, rev: str) -> list[int]:
    """Steps of a branch's commits by runs, oldest first."""
    return [e.step for e in repo.log(rev) if "run" in e.metadata][::-1]


def at_step(repo: Any, rev: str, step: int) -> Any:
    """The commit of a step."""
    return next(e for e in repo.log(rev) if e.step == step)


class Watch(TrainerCallback):
    """Records what the checkpoint folder holds around every other callback's on_save."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}

    def look(self, args: Any, state: Any) -> Any:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        return {
            str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.stat().st_size, p.stat().st_ino)
            for p in [folder, *folder.rglob("*")]
        }


class First(Watch):
    def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self.before[state.global_step] = self.look(args, state)


class Last(Watch):
    def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self.after[state.global_step] = self.look(args, state)


class Stop(TrainerCallback):
    """Ends training at a step, as a crash would: nothing is called afterwards."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


# What is committed


def test_each_save_is_a_commit_with_its_metrics(repo: Any, home: Path, trainer_of: Any) -> None:
    first, last = First(), Last()
    trainer = trainer_of(first, MStoreCallback(repo), last)
    trainer.train()
    assert steps(repo, "out") == [2, 4]
    for step in (2, 4):
        entry = at_step(repo, "out", step)
        logged = [e for e in trainer.state.log_history if e["step"] == step]
        assert entry.metrics["loss"] == next(e["loss"] for e in logged if "loss" in e)
        assert entry.metrics["eval_loss"] == next(e["eval_loss"] for e in logged if "eval_loss" in e)
        assert entry.message.startswith(f"step {step} · epoch {step / 2} · loss ")
        assert entry.metadata["recorded"]["trainer"]["global_step"] == step
        assert entry.metadata["recorded"]["trainer"]["run_id"]
        assert entry.metadata["training_arguments"]["learning_rate"] == 1e-2
        assert entry.metadata["dataset"]["train"]["examples"] == 16
    # Rotation goes by a checkpoint folder's time: nothing may be written there.
    assert first.before == last.after


def test_a_checkout_is_the_checkpoint_byte_for_byte(
    repo: Any, home: Path, trainer_of: Any, compare: Any
) -> None:
    trainer_of(MStoreCallback(repo, training_state=True)).train()
    repo.checkout("out", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(home / "out/checkpoint-4")
    assert {"optimizer.pt", "rng_state.pth", "training_args.bin"} <= set(compare.tree(home / "back"))


def test_training_state_is_left_out_where_asked_for(
    repo: Any, home: Path, trainer_of: Any, compare: Any
) -> None:
    trainer_of(MStoreCallback(repo, training_state=False)).train()
    repo.checkout("out", to=home / "back")
    assert compare.tree(home / "back") == compare.tree(
        home / "out/checkpoint-4", but=compare.training_state
    )


def test_adapters_of_trl(
    repo: Any, home: Path, base_folder: Path, words: Any, lines: list[str]
) -> None:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    repo.commit(base_folder, branch="main")
    SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base_folder),
        processing_class=words,
        train_dataset=Dataset.from_dict({"text": lines[:16]}),
        eval_dataset=Dataset.from_dict({"text": lines[16:24]}),
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=SFTConfig(
            output_dir=str(home / "sft"),
            num_train_epochs=1,
            max_length=32,
            save_strategy="epoch",
            eval_strategy="epoch",
            logging_strategy="epoch",
            use_cpu=True,
            bf16=False,
            report_to="none",
            disable_tqdm=True,
        ),
        callbacks=[MStoreCallback(repo)],
    ).train()
    entry = repo.log("sft")[0]
    assert {"loss", "eval_loss"} <= set(entry.metrics)
    assert entry.metadata["dataset"]["train"]["fingerprint"]
    assert entry.metadata["recorded"]["adapters"][""]["rank"] == 4
    assert entry.commit.base is not None
    assert entry.commit.base.commit == repo.resolve("main")
    assert {f.role for f in repo.manifest("sft").files if f.path.startswith("adapter")} == {"adapter"}


def test_a_diverged_run(repo: Any, home: Path, trainer_of: Any, net: Any) -> None:
    class Diverged(Trainer):
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            return super().compute_loss(*args, **kwargs) * float("nan")

    trainer_of(
        MStoreCallback(repo, training_state=True),
        kind=Diverged,
        eval_strategy="no",
        logging_nan_inf_filter=False,
    ).train()
    assert "NaN" in (home / "out/checkpoint-4/trainer_state.json").read_text()
    entry = repo.log("out")[0]
    assert math.isnan(entry.metrics["loss"])
    assert entry.message == "step 4 · epoch 2.0 · loss nan"


def test_no_secret_is_recorded(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trainer_of(MStoreCallback(repo), hub_token="hf_secret").train()
    assert any("no training state is kept" in r.getMessage() for r in caplog.records)
    arguments = repo.log("out")[0].metadata["training_arguments"]
    assert "num_train_epochs" in arguments
    assert not any(key.endswith("_token") for key in arguments)
    commits = [
        repo.log("out", limit=1)[0].commit.encoded,
        *(repo.read_file("out", f.path) for f in repo.manifest("out").files),
    ]
    assert not any(b"hf_secret" in stored for stored in commits)


def test_a_token_inside_training_args_is_warned_of(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trainer_of(MStoreCallback(repo, training_state=True), hub_token="hf_secret").train()
    assert any("hub_token" in r.getMessage() for r in caplog.records)
    # The warning is deserved: transformers pickles it in clear.
    assert b"hf_secret" in repo.read_file("out", "training_args.bin")


def test_arguments_become_what_a_commit_can_hold() -> None:
    from mstore.hf.recorded import json_values
    from mstore.objects import encode

    kept = json_values(
        {
            "model_init_kwargs": {"token": "hf_x", "dtype": "auto"},
            "push_to_hub_token": "x",
            "list": [{"api_key": "x", "kept": Path("p")}],
            "max_tokens": 3,
            "large": 2**64,
            "odd": "\udcff",
            "nan": math.inf,
        }
    )
    assert kept == {
        "model_init_kwargs": {"dtype": "auto"},
        "list": [{"kept": "p"}],
        "max_tokens": 3,
        "large": str(2**64),
        "odd": "?",
        "nan": math.inf,
    }
    encode(kept)


# When Trainer saves


def test_rotation_and_best_model(repo: Any, home: Path, trainer_of: Any) -> None:
    trainer_of(
        MStoreCallback(repo),
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=True,  # so the first save is the best: the later ones are rotated away
        num_train_epochs=3,
    ).train()
    assert [p.name for p in (home / "out").iterdir()] == ["checkpoint-2"]
    assert steps(repo, "out") == [2, 4, 6]
    assert repo.log("out")[0].metadata["recorded"]["trainer"]["greater_is_better"] is True


def test_without_saves_the_end_is_committed(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture, compare: Any
) -> None:
    trainer = trainer_of(MStoreCallback(repo), save_strategy="no")
    trainer.train()
    assert any('save_strategy="no"' in r.getMessage() for r in caplog.records)
    assert steps(repo, "out") == [4]
    entry = repo.log("out")[0]
    assert {"loss", "eval_loss"} <= set(entry.metrics)
    trainer.model.save_pretrained(home / "expected")
    repo.checkout("out", to=home / "back")
    back = compare.tree(home / "back")
    for name, content in compare.tree(home / "expected").items():
        assert back[name] == content
    assert "tokenizer.json" in back
    assert not list((home / "out").glob("*"))


class Terminate(TrainerCallback):
    """What SIGTERM does at the end of a step, without the three seconds that its timer waits."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.saved: list[int] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        if state.global_step == self.step:
            self.jit.is_checkpoint_requested = True

    def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self.saved.append(state.global_step)

    def train(self, trainer: Any) -> None:
        known = trainer.callback_handler.callbacks
        self.jit = next(c.jit_manager for c in known if hasattr(c, "jit_manager"))
        trainer.train()


@pytest.mark.parametrize(
    ("at", "saved", "committed"),
    [
        (4, [2], [2, 4]),  # at an epoch's end: on_save is never called for it
        (3, [2, 4], [2, 3, 4]),  # within one: the save comes before the epoch's own
    ],
)
def test_saves_on_sigterm_are_swept_up(
    repo: Any, home: Path, trainer_of: Any, at: int, saved: list[int], committed: list[int]
) -> None:
    terminate = Terminate(at)
    trainer = trainer_of(
        terminate, MStoreCallback(repo), enable_jit_checkpoint=True, num_train_epochs=3
    )
    terminate.train(trainer)
    assert terminate.saved == saved
    assert trainer.state.global_step == 4
    assert steps(repo, "out") == committed
    assert set(repo.branches()) == {"out"}


def test_a_save_that_was_cut_off_is_skipped(repo: Any, home: Path, trainer_of: Any) -> None:
    class CutOff(TrainerCallback):
        """A save on SIGTERM that was killed half way leaves this."""

        def on_train_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            half = home / "out/checkpoint-3"
            shutil.copytree(home / "out/checkpoint-4", half)
            state = json.loads((half / "trainer_state.json").read_text())
            (half / "trainer_state.json").write_text(json.dumps({**state, "global_step": 3}))
            (half / "checkpoint-is-incomplete.txt").touch()

    trainer_of(CutOff(), MStoreCallback(repo)).train()
    assert steps(repo, "out") == [2, 4]
    assert set(repo.branches()) == {"out"}


def test_checkpoints_of_others_are_not_swept_up(repo: Any, home: Path, trainer_of: Any) -> None:
    trainer_of().train()
    (home / "out/checkpoint-4").rename(home / "out/checkpoint-99")
    trainer_of(MStoreCallback(repo)).train()
    assert steps(repo, "out") == [2, 4]


# Which branch


def test_fresh_runs_never_share_a_branch(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        trainer_of(MStoreCallback(repo)).train()
    assert set(repo.branches()) == {"out", "out-2", "out-3"}
    assert all(steps(repo, name) == [2, 4] for name in repo.branches())
    assert any("goes to out-2" in r.getMessage() for r in caplog.records)


def test_a_name_taken_at_the_same_moment_is_left_to_the_other(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer_of(MStoreCallback(repo)).train()
    nothing: dict[str, Any] = {}
    branches, looks = type(repo).branches, iter([nothing])
    # The first look comes before the other run made its branch, the commit after.
    monkeypatch.setattr(type(repo), "branches", lambda self: next(looks, None) or branches(self))
    trainer_of(MStoreCallback(repo)).train()
    monkeypatch.undo()
    assert steps(repo, "out") == steps(repo, "out-2") == [2, 4]


def test_the_branch_is_the_argument_then_the_runs_name(repo: Any, home: Path, trainer_of: Any) -> None:
    trainer_of(MStoreCallback(repo, "mine"), run_name="lr 1e-2").train()
    trainer_of(MStoreCallback(repo), run_name="lr 1e-2").train()
    trainer_of(MStoreCallback(repo), run_name=str(home / "out")).train()
    assert set(repo.branches()) == {"mine", "lr-1e-2", "out"}


def test_a_run_starts_from_head(repo: Any, home: Path, trainer_of: Any, base_folder: Path) -> None:
    base = repo.commit(base_folder, branch="main").id
    trainer_of(MStoreCallback(repo)).train()
    assert repo.log("out")[-1].id == base
    assert repo.resolve("HEAD") == base
    assert repo.branches()["main"] == base


def test_a_search_gives_each_trial_a_branch(
    repo: Any, home: Path, trainer_of: Any, tiny: Any, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.trainer_utils import HPSearchBackend

    class Trial(dict[str, Any]):
        """What optuna hands to Trainer.train, as far as the Trainer looks."""

        number = 0

        @property
        def params(self) -> dict[str, Any]:
            return dict(self)

    monkeypatch.setattr("transformers.integrations.hp_params", dict)
    monkeypatch.setitem(sys.modules, "optuna", types.ModuleType("optuna"))
    trainer = trainer_of(MStoreCallback(repo))
    trainer.model_init = lambda _: tiny.model(words, layers=1, width=32)
    trainer.hp_search_backend = HPSearchBackend.OPTUNA
    trainer.hp_space = dict
    trainer.compute_objective = lambda metrics: metrics["eval_loss"]
    for number, rate in enumerate((1e-2, 1e-3)):
        trial = Trial(learning_rate=rate)
        trial.number = number
        trainer.train(trial=trial)
    assert set(repo.branches()) == {"out/run-0", "out/run-1"}
    for number, rate in enumerate((1e-2, 1e-3)):
        assert steps(repo, f"out/run-{number}") == [2, 4]
        entry = repo.log(f"out/run-{number}")[0]
        assert entry.metadata["trial"] == {"learning_rate": rate}
        assert entry.metadata["training_arguments"]["learning_rate"] == rate


# Resuming


def test_a_resumed_run_goes_on(repo: Any, home: Path, trainer_of: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(MStoreCallback(repo, background=False), Stop(3)).train()
    assert steps(repo, "out") == [2]
    trainer_of(MStoreCallback(repo)).train(resume_from_checkpoint=True)
    assert steps(repo, "out") == [2, 4]
    assert set(repo.branches()) == {"out"}
    assert len({e.metadata["recorded"]["trainer"]["run_id"] for e in repo.log("out")}) == 1
    assert len({e.metadata["run"]["attempt"] for e in repo.log("out")}) == 2


def test_a_run_resumed_from_behind_its_tip_branches_there(
    repo: Any, home: Path, trainer_of: Any
) -> None:
    trainer_of(MStoreCallback(repo)).train()
    early = at_step(repo, "out", 2).id
    tip = repo.branches()["out"]
    trainer_of(MStoreCallback(repo)).train(resume_from_checkpoint=str(home / "out/checkpoint-2"))
    assert set(repo.branches()) == {"out", "out-2"}
    assert repo.branches()["out"] == tip
    # The same computation gives the same model again, and yet it is a save of its own.
    assert steps(repo, "out-2") == [2, 4]
    assert repo.log("out-2")[1].id == early


def test_two_resumptions_of_one_save_are_told_apart(repo: Any, home: Path, trainer_of: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(MStoreCallback(repo, background=False), Stop(3)).train()
    for place in ("a", "b"):
        shutil.copytree(home / "out", home / place)
        with pytest.raises(KeyboardInterrupt):
            trainer_of(
                MStoreCallback(repo, background=False),
                Stop(5),
                output_dir=str(home / place),
                num_train_epochs=3,
            ).train(resume_from_checkpoint=True)
    # Both wrote step 4 of one run; each goes on from its own.
    four = {p: json.loads((home / p / "checkpoint-4/trainer_state.json").read_text()) for p in "ab"}
    for place in ("a", "b"):
        trainer_of(MStoreCallback(repo), output_dir=str(home / place), num_train_epochs=3).train(
            resume_from_checkpoint=True
        )
        attempt = four[place]["stateful_callbacks"]["MStoreCallback"]["attributes"]["attempt"]
        (name,) = [
            n
            for n in repo.branches()
            if 6 in steps(repo, n) and at_step(repo, n, 4).metadata["run"]["attempt"] == attempt
        ]
        assert steps(repo, name) == [2, 4, 6]


def test_resuming_a_checkpoint_made_without_the_callback(
    repo: Any, home: Path, trainer_of: Any
) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(Stop(3)).train()
    trainer_of(MStoreCallback(repo)).train(resume_from_checkpoint=True)
    assert steps(repo, "out") == [4]


def test_dropping_the_callback_when_resuming(repo: Any, home: Path, trainer_of: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(MStoreCallback(repo, background=False), Stop(3)).train()
    trainer_of().train(resume_from_checkpoint=True)
    assert steps(repo, "out") == [2]


def test_a_save_that_nobody_came_to_commit_is_committed_on_resuming(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(type(repo), "commit", _fails)
        with pytest.raises(KeyboardInterrupt):
            trainer_of(MStoreCallback(repo, background=False), Stop(3)).train()
    assert not repo.branches()
    trainer_of(MStoreCallback(repo), save_total_limit=1).train(resume_from_checkpoint=True)
    assert steps(repo, "out") == [2, 4]


def test_an_older_save_never_goes_behind_the_one_resumed_from(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _fails_at(repo, broken, {2}, times=9)
        with pytest.raises(KeyboardInterrupt):
            trainer_of(MStoreCallback(repo, background=False), Stop(5), num_train_epochs=3).train()
    assert steps(repo, "out") == [4]
    trainer_of(MStoreCallback(repo, background=False), num_train_epochs=3).train(
        resume_from_checkpoint=True
    )
    assert steps(repo, "out") == [4, 6]


def test_restored_callbacks_keep_their_arguments(repo: Any, home: Path, trainer_of: Any) -> None:
    """transformers then builds the callback anew, from what trainer_state.json holds."""
    with pytest.raises(KeyboardInterrupt):
        trainer_of(MStoreCallback(repo, "mine", training_state=True), Stop(3)).train()
    trainer_of(
        MStoreCallback(repo, "mine", training_state=True), restore_callback_states_from_checkpoint=True
    ).train(resume_from_checkpoint=True)
    assert steps(repo, "mine") == [2, 4]
    assert "optimizer.pt" in {f.path for f in repo.manifest("mine").files}


# Which store


def test_a_store_is_found_from_the_current_folder(repo: Any, home: Path, trainer_of: Any) -> None:
    os.makedirs(home / "deep/er")
    os.chdir(home / "deep/er")
    trainer_of(MStoreCallback()).train()
    assert steps(repo, "out") == [2, 4]


def test_a_store_is_found_from_the_output_folder(home: Path, tmp_path: Path, trainer_of: Any) -> None:
    project = tmp_path / "project"
    project.mkdir()
    repo = mstore.init(project)
    trainer_of(MStoreCallback(), output_dir=str(project / "runs/out")).train()
    assert steps(repo, "out") == [2, 4]
    assert not (home / ".mstore").exists()


def test_a_store_is_made_and_that_is_said(
    home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trainer_of(MStoreCallback()).train()
    assert steps(mstore.open(home), "out") == [2, 4]
    assert any(str(home) in r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING)


def test_a_path_names_a_folder_or_a_store(
    repo: Any, home: Path, tmp_path: Path, trainer_of: Any
) -> None:
    trainer_of(MStoreCallback(home)).train()
    assert steps(repo, "out") == [2, 4]
    trainer_of(MStoreCallback(repo.store.path, "shared")).train()
    assert steps(repo, "shared") == [2, 4]
    trainer_of(MStoreCallback(tmp_path / "new")).train()
    assert steps(mstore.open(tmp_path / "new"), "out") == [2, 4]


# It never hurts


def _fails(*args: Any, **kwargs: Any) -> Any:
    raise mstore.errors.StorageFailed("no space left on device", errno=28)


def test_a_failing_store_does_not_end_training(
    repo: Any,
    home: Path,
    trainer_of: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(type(repo), "commit", _fails)
    trainer = trainer_of(MStoreCallback(repo, background=False))
    trainer.train()
    assert trainer.state.global_step == 4
    said = [r.getMessage() for r in caplog.records]
    assert any("no space left" in m and "checkpoint-2" in m for m in said)
    assert any("no commit holds the save of step 4" in m for m in said)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where it likes")
def test_a_read_only_store_does_not_end_training(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [p for p in [home / ".mstore", *(home / ".mstore").rglob("*")] if p.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    try:
        trainer = trainer_of(MStoreCallback(repo))
        trainer.train()
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert trainer.state.global_step == 4
    assert any("no commit holds" in r.getMessage() for r in caplog.records)


def test_a_store_that_takes_no_writes_does_not_end_training(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # The same for root, to whom nothing is read-only: no file can be made where these folders were.
    for name in ("tmp", "packs"):
        shutil.rmtree(repo.store.path / name)
        (repo.store.path / name).write_text("")
    trainer = trainer_of(MStoreCallback(repo))
    trainer.train()
    assert trainer.state.global_step == 4
    assert any("no commit holds the save of step 4" in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize("store", ["a-file", "/proc/nowhere/store"])
def test_a_store_that_cannot_be_does_not_end_training(
    home: Path, trainer_of: Any, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "a-file").write_text("not a folder")
    trainer = trainer_of(MStoreCallback(store))
    trainer.train()
    assert trainer.state.global_step == 4
    assert any("could not" in r.getMessage() for r in caplog.records)


def test_a_store_deleted_in_mid_run_does_not_end_training(
    repo: Any, home: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Vandal(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            shutil.rmtree(home / ".mstore", ignore_errors=True)

    trainer = trainer_of(Vandal(), MStoreCallback(repo))
    trainer.train()
    assert trainer.state.global_step == 4


@pytest.mark.parametrize(
    "error", [OSError(5, "io"), RuntimeError("bug"), RecursionError(), MemoryError()]
)
def test_no_error_of_any_kind_leaves_a_hook(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise error

    for name in ("commit", "branches", "log"):
        monkeypatch.setattr(type(repo), name, broken)
    trainer = trainer_of(MStoreCallback(repo, background=False), num_train_epochs=1)
    trainer.train()
    assert trainer.state.global_step == 2


def _fails_at(repo: Any, monkeypatch: pytest.MonkeyPatch, failing: set[int], times: int) -> None:
    """Let commits of some steps fail their first `times` tries."""
    commit = type(repo).commit
    tries: dict[int, int] = {}

    def sometimes(self: Any, path: Any = None, **options: Any) -> Any:
        step = int(str(path).rpartition("-")[2])
        tries[step] = tries.get(step, 0) + 1
        if step in failing and tries[step] <= times:
            _fails()
        return commit(self, path, **options)

    monkeypatch.setattr(type(repo), "commit", sometimes)


def test_a_failed_save_is_retried_before_the_next(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_at(repo, monkeypatch, {2, 4}, times=1)
    trainer_of(MStoreCallback(repo, background=False)).train()
    assert steps(repo, "out") == [2, 4]


def test_a_failed_save_is_retried_at_the_end_beside_its_branch(
    repo: Any, home: Path, trainer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_at(repo, monkeypatch, {4}, times=2)
    trainer_of(MStoreCallback(repo, background=False), num_train_epochs=3).train()
    # The tip stays the newest model; the late one starts from the save before it.
    assert steps(repo, "out") == [2, 6]
    assert steps(repo, "out-step-4") == [2, 4]


def test_a_lost_save_is_said(
    repo: Any,
    home: Path,
    trainer_of: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _fails_at(repo, monkeypatch, {2}, times=1)
    trainer_of(MStoreCallback(repo, background=False), save_total_limit=1).train()
    assert steps(repo, "out") == [4]
    assert any("no commit holds the save of step 2" in r.getMessage() for r in caplog.records)


def test_the_class_itself_may_be_passed(repo: Any, home: Path, trainer_of: Any) -> None:
    trainer_of(MStoreCallback, num_train_epochs=1).train()
    assert steps(repo, "out") == [2]


def test_two_callbacks_on_one_trainer(repo: Any, home: Path, tmp_path: Path, trainer_of: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(MStoreCallback(repo), MStoreCallback(tmp_path / "second"), Stop(3)).train()
    trainer_of(MStoreCallback(repo), MStoreCallback(tmp_path / "second")).train(
        resume_from_checkpoint=True
    )
    assert steps(repo, "out") == steps(mstore.open(tmp_path / "second"), "out") == [2, 4]


def test_a_store_that_appears_in_mid_run_takes_it_all(
    home: Path, tmp_path: Path, trainer_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "mount"
    place.write_text("not mounted yet")

    class Mount(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            if place.is_file() and state.global_step == 2:
                place.unlink()

    trainer_of(MStoreCallback(place), Mount()).train()
    assert steps(mstore.open(place), "out") == [2, 4]


def test_it_travels_to_other_processes(repo: Any, home: Path, trainer_of: Any) -> None:
    import copy

    trainer_of(copy.deepcopy(MStoreCallback(repo, "far"))).train()
    assert steps(repo, "far") == [2, 4]


def test_the_environment_names_store_and_author(tmp_path, monkeypatch) -> None:
    from mstore.hf.discovery import find_repository

    mstore.init(tmp_path / "elsewhere").close()
    monkeypatch.setenv("MSTORE_WORKSPACE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("MSTORE_AUTHOR", "Grace <grace@example.org>")
    monkeypatch.chdir(tmp_path)
    found = find_repository(None, str(tmp_path / "out"))
    assert found.workspace is not None
    assert found.workspace.path == tmp_path / "elsewhere" / ".mstore"
    assert found.context.author == "Grace <grace@example.org>"
