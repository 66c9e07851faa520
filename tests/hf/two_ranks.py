"""What each rank runs in test_ranks.py: rank 1 is slow to write its random state."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from mstore.hf import MStoreCallback


class Slow(Trainer):
    def _save_rng_state(self, output_dir: str) -> None:
        if self.args.process_index == 1:
            time.sleep(1.0)
        super()._save_rng_state(output_dir)


def main(base: str, home: str) -> None:
    torch.set_num_threads(1)
    row: dict[str, Any] = {"input_ids": list(range(8)), "labels": list(range(8))}
    Slow(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=TrainingArguments(
            output_dir=os.path.join(home, "out"),
            max_steps=2,
            per_device_train_batch_size=1,
            save_steps=1,
            logging_steps=1,
            use_cpu=True,
            ddp_backend="gloo",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=[row] * 8,
        callbacks=[MStoreCallback(home, training_state=True)],
    ).train()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
