"""Which repository a training script means, and which device this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mstore.api.repository import Repository
from mstore.errors import NoStore
from mstore.hf.devices import (
    author_named,
    device_or_cpu,
    present_devices,
    repository_at,
    repository_named,
    store_folder,
)


def test_a_repository_is_named_by_folder_or_given(repo: Repository, home: Path, tmp_path: Path) -> None:
    assert repository_at(repo) is repo
    (home / "deep").mkdir()
    assert store_folder(repository_at(home / "deep")) == store_folder(repo) == str(home)
    alone = repository_at(str(repo.store.path))
    assert alone.workspace is None and store_folder(alone) == str(repo.store.path)
    with pytest.raises(NoStore):
        repository_at(tmp_path / "nowhere")


def test_the_environment_names_a_workspace_before_a_store(
    repo: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repository_named() is None and author_named() is None
    monkeypatch.setenv("MSTORE_STORE", str(repo.store.path))
    monkeypatch.setenv("MSTORE_AUTHOR", "Bo")
    found = repository_named()
    assert found is not None and found.workspace is None and found.context.author == "Bo"
    monkeypatch.setenv("MSTORE_WORKSPACE", str(home))
    found = repository_named()
    assert found is not None and found.workspace is not None
    for name in ("MSTORE_STORE", "MSTORE_WORKSPACE", "MSTORE_AUTHOR"):
        monkeypatch.setenv(name, "")
    assert repository_named() is None and author_named() is None
    monkeypatch.setenv("MSTORE_STORE", str(home / "nowhere"))
    with pytest.raises(NoStore):
        repository_named()


def test_a_device_that_is_not_here_is_the_cpu_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert device_or_cpu(None) is None
    assert device_or_cpu("cpu") == device_or_cpu(torch.device("cpu")) == torch.device("cpu")
    assert caplog.text == ""
    assert device_or_cpu("cuda:99") == torch.device("cpu")
    assert "no device cuda:99 on this machine" in caplog.text
    with pytest.raises(RuntimeError):
        device_or_cpu("abacus")


@pytest.mark.parametrize("named", ["auto", "balanced", "sequential", {"": "cuda:99"}, None])
def test_what_names_no_single_device_is_left_as_it_is(named: Any) -> None:
    assert present_devices({"device_map": named, "x": 1}) == {"device_map": named, "x": 1}
    assert present_devices({"x": 1}) == {"x": 1}
    assert present_devices({"device_map": "cuda:99"}) == {"device_map": torch.device("cpu")}
