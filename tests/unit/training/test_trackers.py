"""The commit's id in the run of an experiment tracker that is at work; one that fails is left alone."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from mstore.training.trackers import tell_trackers

ID = "ab" * 32


@pytest.fixture(autouse=True)
def _none_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wandb", "mlflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_without_a_tracker_none_is_imported() -> None:
    tell_trackers(ID, 3)
    assert not {"wandb", "mlflow"} & set(sys.modules)


def test_trackers_that_have_a_run_open_learn_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    summary: dict[str, object] = {}
    tags: dict[str, object] = {}
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=SimpleNamespace(summary=summary)))
    monkeypatch.setitem(
        sys.modules,
        "mlflow",
        SimpleNamespace(active_run=object, set_tags=tags.update),
    )
    tell_trackers(ID, 3)
    assert summary == {"mstore/commit": ID, "mstore/step": 3}
    assert tags == {"mstore.commit": ID, "mstore.step.3": ID}


def test_trackers_without_a_run_are_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tags: dict[str, object] = {}
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    monkeypatch.setitem(
        sys.modules,
        "mlflow",
        SimpleNamespace(active_run=lambda: None, set_tags=tags.update),
    )
    tell_trackers(ID, 3)
    assert tags == {}


def test_a_tracker_that_fails_stops_neither_training_nor_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("no network")

    tags: dict[str, object] = {}
    broken = SimpleNamespace(run=SimpleNamespace(summary=SimpleNamespace(update=fail)))
    monkeypatch.setitem(sys.modules, "wandb", broken)
    monkeypatch.setitem(
        sys.modules,
        "mlflow",
        SimpleNamespace(active_run=object, set_tags=tags.update),
    )
    tell_trackers(ID, 3)
    assert tags["mstore.commit"] == ID
