"""One line of Python that loads a folder just checked out, on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mstore.checkout.load_snippet import BaseSource, base_source, line_that_loads
from mstore.formats import Facts
from mstore.formats.facts.adapter import AdapterFacts
from mstore.formats.facts.model import ModelFacts
from mstore.objects import Base, Commit, CommitId, Manifest, ManifestFile, ManifestId, Time
from mstore.store import Store
from mstore.store.transaction import Transaction

COMMIT = Commit((), ManifestId(bytes(32)), "Ada", Time(0, 0), "", {}, {})
PATH = Path("/x/it's")


def _adapter(folder: str = "", **facts: Any) -> Facts:
    return Facts(adapters={folder: AdapterFacts(**facts)})


def _model(*architectures: str) -> Facts:
    return Facts(model=ModelFacts(architectures=architectures))


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("GPT2LMHeadModel", "AutoModelForCausalLM"),
        ("LlamaForCausalLM", "AutoModelForCausalLM"),
        ("T5ForConditionalGeneration", "AutoModelForSeq2SeqLM"),
        ("BertForSequenceClassification", "AutoModelForSequenceClassification"),
        ("BertModel", "AutoModel"),
    ],
)
def test_a_model_is_loaded_by_its_architecture(architecture: str, kind: str) -> None:
    line = line_that_loads(_model(architecture), PATH, None, None)
    assert line == f'from transformers import {kind}; model = {kind}.from_pretrained("/x/it\'s")'
    compile(line, "line", "exec")
    assert line_that_loads(Facts(), PATH, None, None) is None
    assert line_that_loads(_model(), PATH, None, None) is None


@pytest.mark.parametrize(
    ("facts", "source", "base", "parts"),
    [
        (
            _adapter(task_type="SEQ_CLS"),
            BaseSource("org/m", "r1"),
            None,
            ["AutoModelForSequenceClassification.from_pretrained('org/m', revision='r1')"],
        ),
        (_adapter(), BaseSource("org/m"), Path("/y"), ["AutoModelForCausalLM.from_pretrained('/y')"]),
        (
            _adapter(task_type="NEW"),
            BaseSource(None),
            None,
            ["AutoModelForCausalLM", "'PUT THE BASE MODEL HERE'"],
        ),
        (_adapter("second"), BaseSource("org/m"), None, [", subfolder='second')"]),
    ],
)
def test_an_adapter_is_loaded_onto_its_base(
    facts: Facts, source: BaseSource, base: Path | None, parts: list[str]
) -> None:
    line = line_that_loads(facts, PATH, source, base)
    assert line is not None and line.startswith("from peft import PeftModel;")
    compile(line, "line", "exec")
    assert [part for part in parts if part not in line] == []


def test_a_base_is_a_folder_here_else_a_version_else_a_name(store: Store, tmp_path: Path) -> None:
    empty = Manifest(())
    here = base_source(store, COMMIT, empty, _adapter(base_name=str(tmp_path)))
    assert here == BaseSource(str(tmp_path))
    hub = base_source(store, COMMIT, empty, _adapter(base_name="org/m", base_revision="r1"))
    assert hub == BaseSource("org/m", "r1")
    two = Facts(adapters={"a": AdapterFacts(base_name="x"), "b": AdapterFacts(base_name="y")})
    assert base_source(store, COMMIT, empty, two) == BaseSource(None)
    with Transaction(store, threads=1) as transaction:
        transaction.put(COMMIT)
        transaction.publish()
    tuned = replace(COMMIT, base=Base(None, COMMIT.id, None))
    assert base_source(store, tuned, empty, _adapter(base_name="org/m")) == BaseSource(
        None, None, COMMIT.id
    )
    gone = replace(COMMIT, base=Base(None, CommitId(bytes(32)), None))
    assert base_source(store, gone, empty, _adapter(base_name="org/m")) == BaseSource("org/m")


def test_what_has_weights_of_its_own_needs_no_base(store: Store) -> None:
    weights = Manifest((ManifestFile("model.safetensors", "weights", 0, ()),))
    index = Manifest((ManifestFile("model.safetensors.index.json", "weights", 0, ()),))
    assert base_source(store, COMMIT, weights, _adapter(base_name="org/m")) is None
    assert base_source(store, COMMIT, Manifest(()), _model("X")) is None
    assert base_source(store, COMMIT, index, _adapter(base_name="org/m")) == BaseSource("org/m")
