"""A language model small enough to train while you watch, made from nothing but this file.

Texts, a byte-level tokenizer and a GPT-2, so that the demo needs no hub. With
`--model NAME` the demo takes a real one instead.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

END = "<|end|>"


def texts(count: int, *, sign: str, seed: int) -> list[str]:
    """Sums in words. `sign` "+": what the base learns; "-": what it is fine-tuned to."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        who = draw.choice(["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald"])
        what = draw.choice(["apples", "pens", "books", "lamps"])
        a, b = draw.randint(10, 19), draw.randint(2, 9)
        act, left = ("buys", a + b) if sign == "+" else ("gives away", a - b)
        lines.append(f"{who} has {a} {what} and {act} {b}. Now {who} has {left} {what}.")
    return lines


def tokenizer(lines: list[str], *, size: int = 512) -> Any:
    """A byte-level BPE tokenizer trained on `lines`, with `size` tokens at most."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=END, eos_token=END, pad_token=END)


def model(words: Any, *, layers: int = 4, width: int = 128, seed: int = 0) -> Any:
    """A GPT-2 with random weights for the tokenizer `words`."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    end = words.eos_token_id
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(words),
            n_positions=128,
            n_embd=width,
            n_layer=layers,
            n_head=4,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def batch(words: Any, lines: list[str]) -> dict[str, torch.Tensor]:
    """Token ids and labels of `lines`: shape (lines, longest line); the loss skips padding."""
    made = words([line + END for line in lines], return_tensors="pt", padding=True)
    labels = made["input_ids"].masked_fill(made["attention_mask"] == 0, -100)
    return {
        "input_ids": made["input_ids"],
        "attention_mask": made["attention_mask"],
        "labels": labels,
    }


def pretrain(net: Any, words: Any, lines: list[str], *, batch_size: int = 32) -> float:
    """Train `net` once over `lines`; the last batch's loss (nats a token)."""
    import torch

    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    net.train()
    for start in range(0, len(lines), batch_size):
        loss = net(**batch(words, lines[start : start + batch_size])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    net.eval()
    return float(loss.detach())
