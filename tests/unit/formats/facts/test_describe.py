"""All facts of a directory: broken files, fields of the wrong type, what goes into a commit."""

from __future__ import annotations

import pytest

from mstore.formats import describe
from mstore.objects import encode
from tests.unit.formats.facts.folders import Folder


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[]", "not a JSON object"),
        (b'{"a": 1,\n "b": }', "line 2 column 7"),
        (b"\xff", "not UTF-8"),
        (b'{"a":' * 5000, "nested"),
        (b'{"a":' + b"1" * 5000 + b"}", "not JSON"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "adapter_config.json", "trainer_state.json"])
def test_broken_json_is_a_warning(name, content, fragment):
    facts = Folder({name: content}).facts()
    assert (facts.model, dict(facts.adapters), facts.trainer) == (None, {}, None)
    (warning,) = facts.warnings
    assert warning.startswith(f"{name}: ")
    assert fragment in warning


def test_huge_json_is_not_read():
    class Huge(Folder):
        def size_bytes(self, path, /):
            return 1 << 40

    folder = Huge({"config.json": {}})
    assert "larger" in describe(folder, {}).warnings[0]
    assert folder.reads == []


@pytest.mark.parametrize("junk", [None, 1, -1, 1.5, True, "", "x", [], [1], {}, {"a": []}, 10**300])
def test_fields_of_the_wrong_type_give_no_facts(junk):
    config = [
        "architectures",
        "model_type",
        "dtype",
        "_name_or_path",
        "quantization_config",
        "auto_map",
    ]
    adapter = ["peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules"]
    adapter += ["target_parameters", "use_rslora", "use_dora", "bias", "modules_to_save", "revision"]
    state = ["global_step", "epoch", "max_steps", "log_history", "best_metric", "stateful_callbacks"]
    facts = Folder(
        {
            "config.json": dict.fromkeys(config, junk),
            "adapter_config.json": dict.fromkeys(adapter, junk),
            "trainer_state.json": dict.fromkeys(state, junk),
        }
    ).facts()
    assert facts.warnings == ()
    encode(facts.to_dict())


def test_lone_surrogates_become_text():
    facts = Folder({"config.json": b'{"model_type":"\\ud800","architectures":["\\udfff"]}'}).facts()
    encode(facts.to_dict())
