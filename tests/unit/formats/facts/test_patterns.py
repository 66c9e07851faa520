"""PEFT's patterns by module: the same value, and no expression that could hang."""

from __future__ import annotations

import re

import pytest

from mstore.formats.facts.adapter import adapter_facts
from mstore.formats.facts.patterns import value_by_pattern
from mstore.objects import Layout, TensorEntry


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({}, 8),
        ({"q_proj": 4}, 4),
        ({"proj": 4}, 8),  # not a whole part of the key
        ({"attn.q_proj": 4, "q_proj": 2}, 4),  # the first one counts
        ({"q_proj": 2, "attn.q_proj": 4}, 2),
        ({r"layers\.1\..*": 4}, 4),
        ({r".*\.[qk]_proj": 3}, 3),
        ({"layers.1.attn.q.proj": 5}, 5),  # a dot is any letter
        ({"k_proj": 1, "(": 2}, None),  # PEFT would fail on it
        ({"q_proj": 1, "(": 2}, 1),
    ],
)
def test_the_first_pattern_that_matches_the_end_of_the_key(patterns, expected):
    key = "layers.1.attn.q_proj"
    assert value_by_pattern(patterns, key, 8) == expected
    if expected is not None:
        peft = next((p for p in patterns if re.match(rf"(.*\.)?({p})$", key)), None)
        assert patterns.get(peft, 8) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)" * 40 + "b",
        "a?" * 200 + "b",
        "(",
        r"(a)\1",
        ".*" * 12 + "b",
        "(?=a)a",
        "a" * 9000 + "+",
    ],
)
def test_expressions_that_could_hang_are_not_run(pattern):
    name = "a" * 250 + ".lin"
    facts = adapter_facts(
        {"r": 2, "lora_alpha": 2, "alpha_pattern": {pattern: 9}},
        Layout("x", (TensorEntry(f"{name}.lora_A.weight", "F32", (2, 4), 0, 32),)),
    )
    assert facts.module_rank(name) == 2
    assert facts.module_scaling(name) is None


def test_many_literal_patterns_are_quick():
    names = [f"model.layers.{i}.self_attn.q_proj" for i in range(600)]
    config = {"r": 2, "lora_alpha": 2, "alpha_pattern": {n: i for i, n in enumerate(names)}}
    tensors = tuple(TensorEntry(f"{n}.lora_A.weight", "F32", (2, 4), 0, 32) for n in names)
    facts = adapter_facts(config, Layout("x", tensors))
    assert [facts.module_scaling(n) for n in names] == [i / 2 for i in range(600)]
