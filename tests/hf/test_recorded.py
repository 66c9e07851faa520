"""What a training records of itself, without its secrets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from mstore.hf.recorded import dataset_facts, hardware_facts, json_values
from mstore.objects import encode


def test_secrets_are_left_out_wherever_they_stand() -> None:
    given = {
        "lr": 0.1,
        "token": "x",
        "hub_token": "x",
        "HF_TOKEN": "x",
        "db_password": "x",
        "apikey": "x",
        "tokens": 3,
        "deep": [{"wandb_api_key": "x", "max_new_tokens": 5}],
    }
    assert json_values(given) == {"lr": 0.1, "tokens": 3, "deep": [{"max_new_tokens": 5}]}


def test_values_of_any_kind_can_be_stored() -> None:
    given: dict[Any, Any] = {"path": Path("/x"), "big": 2**70, "odd": "\udc80", "t": (1, True), 3: None}
    found = json_values(given)
    assert found == {"path": "/x", "big": str(2**70), "odd": "?", "t": [1, True], "3": None}
    assert encode(found)


class Data:
    """A data set that says what it has."""

    column_names: Any
    _fingerprint = "abc"

    def __init__(self) -> None:
        self.column_names = ["text", 3]

    def __len__(self) -> int:
        return 7


def test_a_data_set_says_as_much_as_it_can() -> None:
    full = {"examples": 7, "columns": ["text", "3"], "fingerprint": "abc"}
    assert dataset_facts(SimpleNamespace(dataset=Data())) == full
    stream = SimpleNamespace(column_names=None)
    assert dataset_facts(SimpleNamespace(dataset=stream)) is None
    assert dataset_facts(SimpleNamespace(dataset=[1, 2])) == {"examples": 2}
    assert dataset_facts(None) is None


def test_hardware_is_the_device_and_the_processes() -> None:
    arguments = SimpleNamespace(device=torch.device("cpu"), world_size=2)
    assert hardware_facts(arguments) == {"device": "cpu", "processes": 2}
