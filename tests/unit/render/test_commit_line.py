"""What a commit holds, in one line."""

from __future__ import annotations

import pytest

from mstore.formats import Facts
from mstore.formats.facts.adapter import AdapterFacts
from mstore.formats.facts.model import ModelFacts
from mstore.formats.facts.trainer import TrainerFacts
from mstore.objects import Base, CommitId, WeightsId
from mstore.render.commit_line import facts_line
from tests.unit.render.entries import commit_result

TAIL = "3 tensors, 1.5 kB new of 2.0 kB"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (Facts(), TAIL),
        (
            Facts(adapters={"": AdapterFacts(kind="LORA", rank=8, alpha=16.0, modules={"q": {}})}),
            f"LoRA r=8 alpha=16 on 1 module · {TAIL}",
        ),
        (Facts(adapters={"": AdapterFacts(use_dora=True)}), f"DoRA · {TAIL}"),
        (Facts(adapters={"": AdapterFacts(kind="IA3\x1b")}), f"IA3\\x1b · {TAIL}"),
        (Facts(adapters={"a": AdapterFacts(), "b": AdapterFacts()}), f"2 adapters: a, b · {TAIL}"),
        (
            Facts(model=ModelFacts(architectures=("GPT2",), parameter_count=124_000_000, dtype="F32")),
            f"GPT2 124M parameters F32 · {TAIL}",
        ),
        (Facts(model=ModelFacts(parameter_count=1_500_000_000)), f"model 1.5B parameters · {TAIL}"),
        (Facts(model=ModelFacts(parameter_count=12)), f"model 12 parameters · {TAIL}"),
        (Facts(trainer=TrainerFacts(global_step=7)), f"{TAIL} · step 7"),
    ],
)
def test_a_line_says_what_a_commit_holds(facts: Facts, line: str) -> None:
    assert facts_line(commit_result(facts)) == line


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        (Base(None, None, "org/m"), "base org/m"),
        (Base(None, CommitId(bytes(32)), None), "base 0000000"),
        (Base(WeightsId(bytes(32)), None, None), "base ?"),
    ],
)
def test_the_base_is_a_name_or_a_version(base: Base, shown: str) -> None:
    metrics = {"eval_loss": 2.0, "loss": 1.23456, "acc": 1.0}
    line = facts_line(commit_result(Facts(), commit={"base": base, "metrics": metrics}))
    assert line == f"{TAIL} · {shown} · loss 1.235 · eval loss 2"
