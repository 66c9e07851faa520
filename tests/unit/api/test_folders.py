"""Questions about folders that need no store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mstore.api import folders
from mstore.api.results.comparing import Difference
from mstore.errors import InvalidInput
from tests.conftest import save_tensors, write_model


def test_two_folders_are_compared_and_the_answer_prints(tmp_path: Path) -> None:
    a, b = write_model(tmp_path / "a", seed=1), write_model(tmp_path / "b", seed=2)
    found = folders.diff(a, str(b))
    assert found and {str(pair.b) for pair in found.tensors.changed} >= {"embed.weight"}
    assert isinstance(found, Difference) and "<pre>" in found._repr_html_() and not folders.diff(a, a)
    told: list[str] = []
    measured = folders.diff(a, b, stat=True, progress=lambda what, done, total: told.append(what))
    assert measured.tensors.total is not None and told


def test_a_weights_id_is_the_tensors_whatever_the_shards(tmp_path: Path) -> None:
    arrays = {"a": np.ones(3000, np.float32), "b": np.zeros(3000, np.float32)}
    save_tensors(tmp_path / "one/model.safetensors", arrays)
    for number, name in enumerate(arrays, 1):
        save_tensors(tmp_path / f"two/model-0000{number}-of-00002.safetensors", {name: arrays[name]})
    assert folders.weights_id(tmp_path / "one") == folders.weights_id(str(tmp_path / "two"))
    assert len(bytes.fromhex(folders.weights_id(tmp_path / "one"))) == 32


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "out/inner")
    with pytest.raises(InvalidInput, match="holds no weights") as met:
        folders.weights_id(tmp_path / "out")
    assert met.value.where == str(tmp_path / "out")
