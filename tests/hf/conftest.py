"""Real torch, transformers, peft and trl on models that train in seconds."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from transformers import Trainer, TrainingArguments

import mstore

ROOT = Path(__file__).parents[2]


def _module(path: Path) -> ModuleType:
    """A file as a module, whatever folder it lies in."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """examples/tiny.py."""
    return _module(ROOT / "examples" / "tiny.py")


@pytest.fixture(scope="session")
def lines(tiny: ModuleType) -> list[str]:
    return tiny.texts(32, sign="+", seed=0)


@pytest.fixture(scope="session")
def words(tiny: ModuleType, lines: list[str]) -> Any:
    """A tokenizer."""
    return tiny.tokenizer(lines, size=300)


@pytest.fixture
def net(tiny: ModuleType, words: Any) -> Any:
    """A GPT-2 of two layers, 32 wide."""
    return tiny.model(words, layers=2, width=32)


@pytest.fixture(scope="session")
def base_folder(tiny: ModuleType, words: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved GPT-2 with its tokenizer; read only."""
    folder = tmp_path_factory.mktemp("models") / "base"
    tiny.model(words, layers=2, width=32).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rows(words: Any, lines: list[str]) -> list[dict[str, Any]]:
    """Training rows of equal length."""
    made = words(lines, padding="max_length", truncation=True, max_length=24)
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": ids}
        for ids, mask in zip(made["input_ids"], made["attention_mask"], strict=True)
    ]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in [n for n in os.environ if n.startswith("MSTORE_")]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def repo(home: Path) -> Any:
    """A new repository in the current folder."""
    return mstore.init(home)


@pytest.fixture
def trainer_of(net: Any, words: Any, rows: list[dict[str, Any]], home: Path) -> Any:
    """Makes a plain Trainer: four steps of two epochs, saved and evaluated each epoch."""

    def make(*callbacks: Any, model: Any = None, kind: type = Trainer, **options: Any) -> Any:
        arguments = {
            "output_dir": str(home / "out"),
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "learning_rate": 1e-2,
            "save_strategy": "epoch",
            "eval_strategy": "epoch",
            "logging_strategy": "epoch",
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
            "save_only_model": False,
            **options,
        }
        return kind(
            model=net if model is None else model,
            args=TrainingArguments(**arguments),
            train_dataset=rows[:16],
            eval_dataset=rows[16:24],
            processing_class=words,
            callbacks=list(callbacks),
        )

    return make


def tree(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Files of a folder by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in but
    }


TRAINING_STATE = (
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
    "rng_state.pth",
    "trainer_state.json",
    "training_args.bin",
)


@pytest.fixture
def compare() -> Any:
    """`tree`, and the names of training state."""
    return SimpleNamespace(tree=tree, training_state=TRAINING_STATE)
