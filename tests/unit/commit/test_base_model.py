"""The model that a version starts from: named by the user, or by the directory itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.commit.base_model import base_of_facts, base_of_version
from mstore.context import Context
from mstore.formats import Facts
from mstore.formats.facts.adapter import AdapterFacts
from mstore.formats.facts.model import ModelFacts
from mstore.objects import Base


def _facts(name: str | None, *, adapter: bool = True) -> Facts:
    if adapter:
        return Facts(adapters={"": AdapterFacts(base_name=name, base_revision="r1")})
    return Facts(model=ModelFacts(base_name=name, base_revision="r1"))


def test_a_version_is_a_base_by_its_weights(repo: Repository) -> None:
    id = repo.resolve("main")
    base = base_of_version(repo.store, id)
    assert base == Base(repo.store.commit(id).weights[""], id, None)


@pytest.mark.parametrize("adapter", [True, False])
def test_a_base_that_is_not_here_is_a_name(repo: Repository, tmp_path: Path, adapter: bool) -> None:
    base = base_of_facts(repo.context, _facts("org/model", adapter=adapter), tmp_path / "x")
    assert base == Base(None, None, "org/model", "r1")
    assert base_of_facts(repo.context, _facts(None, adapter=adapter), tmp_path / "x") is None
    assert base_of_facts(repo.context, Facts(), tmp_path / "x") is None


def test_one_that_lies_on_this_machine_is_known_by_its_weights(
    repo: Repository, tmp_path: Path, place: Context
) -> None:
    tip = repo.resolve("main")
    weights = repo.store.commit(tip).weights[""]
    name = str(tmp_path / "out")
    assert base_of_facts(repo.context, _facts(name), tmp_path / "x") == Base(weights, tip, name, "r1")
    alone = base_of_facts(place, _facts(name), tmp_path / "x")
    assert alone == Base(weights, None, name, "r1"), "this store has no such version"


def test_a_folder_is_not_its_own_base_and_a_broken_one_is_a_name(
    repo: Repository, tmp_path: Path
) -> None:
    inside = str(tmp_path / "out")
    assert base_of_facts(repo.context, _facts(inside), tmp_path / "out") == Base(
        None, None, inside, "r1"
    )
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/model.safetensors").symlink_to("nowhere")
    odd = str(tmp_path / "odd")
    assert base_of_facts(repo.context, _facts(odd), tmp_path / "x") == Base(None, None, odd, "r1")
