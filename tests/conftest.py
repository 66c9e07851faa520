"""Fixtures that tests of several layers share. No test touches the network or the user's home."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from mstore.context import Context
from mstore.store import Store

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No configuration of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith("MSTORE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield


def save_tensors(path: Path, tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Write a .safetensors file with the real library."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=metadata)


def write_adapter(
    folder: Path, *, rank: int = 4, seed: int = 0, width: int = 64, layers: int = 2
) -> Path:
    """A LoRA adapter as PEFT lays it out."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        prefix = f"base_model.model.transformer.h.{layer}.attn.c_attn"
        tensors[f"{prefix}.lora_A.weight"] = rng.standard_normal((rank, width)).astype(np.float32)
        tensors[f"{prefix}.lora_B.weight"] = rng.standard_normal((3 * width, rank)).astype(np.float32)
    save_tensors(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": ["c_attn"],
        "base_model_name_or_path": "gpt2",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def write_model(folder: Path, *, seed: int = 0, elements: int = 20_000) -> Path:
    """A small model directory: weights, configuration, a tokenizer file."""
    rng = np.random.default_rng(seed)
    save_tensors(
        folder / "model.safetensors",
        {
            "embed.weight": rng.standard_normal(elements).astype(np.float32),
            "head.weight": rng.standard_normal((10, elements // 100)).astype(np.float16),
            "scale": np.array(seed, np.float32),
        },
        {"format": "pt"},
    )
    (folder / "config.json").write_text(
        json.dumps({"architectures": ["GPT2LMHeadModel"], "seed": seed})
    )
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by path, `.mstore` left out."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and ".mstore" not in p.relative_to(folder).parts
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store with its catalog beside it."""
    path = tmp_path / "store"
    Store.create(path)
    return Store.at(path, catalog_path=lambda id: tmp_path / "catalog.sqlite")


@pytest.fixture
def place(store: Store) -> Context:
    """A place without a workspace."""
    return Context(store, None, "Ada <ada@example.org>")


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the current one, for tests that type commands."""
    folder = tmp_path / "workshop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada <ada@example.org>")
    return folder


@pytest.fixture
def mstore(workshop: Path, capfdbinary: Any) -> Callable[..., Any]:
    """Runs a command line in this process: `mstore("log", "-n", "3")` → (code, out, err)."""
    from mstore.cli import run

    def call(*arguments: str, code: int | None = 0) -> Any:
        capfdbinary.readouterr()
        got = run(list(arguments))
        out, err = (b.decode("utf-8", "surrogateescape") for b in capfdbinary.readouterr())
        assert "Traceback" not in err
        if code is not None:
            assert got == code, f"mstore {' '.join(arguments)} gave {got}, not {code}\n{out}{err}"
        return got, out, err

    return call
