"""A message made out of the facts, where the user gave none."""

from __future__ import annotations

import pytest

from mstore.commit.message import message_of
from mstore.formats import Facts
from mstore.formats.facts.adapter import AdapterFacts
from mstore.formats.facts.model import ModelFacts
from mstore.formats.facts.trainer import TrainerFacts


@pytest.mark.parametrize(
    ("facts", "metrics", "message"),
    [
        (Facts(), {}, "first version"),
        (Facts(adapters={"": AdapterFacts(kind="LORA", rank=8, alpha=16.0)}), {}, "LoRA r=8 alpha=16"),
        (Facts(adapters={"": AdapterFacts()}), {}, "LoRA"),
        (Facts(adapters={"": AdapterFacts(kind="IA3")}), {"loss": 1.23456}, "IA3 · loss 1.235"),
        (Facts(adapters={"a": AdapterFacts(), "b": AdapterFacts()}), {}, "2 adapters"),
        (Facts(model=ModelFacts(architectures=("GPT2LMHeadModel", "X"))), {}, "GPT2LMHeadModel"),
        (Facts(model=ModelFacts()), {"acc": 1.0}, "first version"),
        (
            Facts(trainer=TrainerFacts(global_step=7)),
            {"eval_loss": 2.0, "loss": 1.0},
            "step 7 · loss 1 · eval loss 2",
        ),
    ],
)
def test_a_message_says_what_is_known(facts: Facts, metrics: dict[str, float], message: str) -> None:
    assert message_of(facts, metrics, first=True) == message


def test_of_nothing_known_it_says_whether_it_is_the_first() -> None:
    assert message_of(Facts(), {}, first=False) == "new version"
