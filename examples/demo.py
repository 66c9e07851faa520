"""The main job of mstore on real training, start to end: `make demo`.

A base model is committed on `main`. TRL fine-tunes it with LoRA twice, rank 4
and rank 8, and MStoreCallback commits every epoch on the branches `r4` and
`r8`. Then the command line looks at what happened, an early epoch is checked
out, and must compute bit for bit what the live model computed when it was
saved. A third run is killed with `kill -9`, gone on from the store alone, and
its best version found and loaded. Any step that does not hold ends the demo
with an error.

    python examples/demo.py [--model NAME] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not any(word.startswith("--model") for word in sys.argv):
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is made here: ask no hub for anything
warnings.filterwarnings("ignore")

# After what the environment must say before transformers is imported.
import tiny  # noqa: E402
import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback  # noqa: E402
from transformers.utils import logging as transformers_logging  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

import mstore  # noqa: E402
from mstore.hf import MStoreCallback, load  # noqa: E402

PROMPT = "Ada has 15 apples and gives away 6."
MARK = ".made-by-mstore-demo"


class Failed(Exception):
    """A step of the demo did not hold."""


def must(holds: bool, what: str) -> None:
    """End the demo where `what` does not hold."""
    if not holds:
        raise Failed(what)
    print(f"  ✓ {what}")


def run(folder: Path, *words: str, show: bool = True) -> str:
    """Run the real command line in `folder`; its output."""
    program = shutil.which("mstore", path=str(Path(sys.executable).parent)) or "mstore"
    print(f"\n$ mstore {' '.join(words)}", flush=True)
    done = subprocess.run(
        [program, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode != 0:
        raise Failed(f"mstore {words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    if show:
        print(done.stdout.rstrip())
    return done.stdout


@torch.no_grad()
def logits(model: Any, words: Any) -> torch.Tensor:
    """What the model computes for PROMPT, in evaluation mode: shape (1, tokens, vocabulary)."""
    training = model.training
    model.eval()
    computed = model(**words(PROMPT, return_tensors="pt").to(model.device)).logits.clone()
    model.train(training)
    return computed


class KillAt(TrainerCallback):
    """`kill -9` of this process at the beginning of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class LogitsAtSave(TrainerCallback):
    """Keeps what the live model computes at each save, by step."""

    def __init__(self, words: Any) -> None:
        self.words = words
        self.at: dict[int, torch.Tensor] = {}

    def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self.at[state.global_step] = logits(parts["model"], self.words)


def make_base(folder: Path, name: str | None) -> Any:
    """The base model in `folder`, and its tokenizer: a hub model, or one made here in seconds."""
    if name:
        words = AutoTokenizer.from_pretrained(name)
        net = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
        words.pad_token = words.pad_token or words.eos_token
    else:
        lines = tiny.texts(4000, sign="+", seed=0)
        words = tiny.tokenizer(lines + tiny.texts(100, sign="-", seed=1))
        net = tiny.model(words)
        loss = tiny.pretrain(net, words, lines)
        print(f"a GPT-2 of {net.num_parameters():,} parameters, trained on sums: loss {loss:.2f}")
    net.save_pretrained(folder)
    words.save_pretrained(folder)
    return words


def fine_tune(
    base: Path,
    out: Path,
    words: Any,
    *,
    rank: int,
    repo: mstore.Repository,
    kill_at: int = -1,
    resume: str | None = None,
) -> LogitsAtSave:
    """Two epochs of LoRA. The one line for mstore is the callback."""
    lines = tiny.texts(800, sign="-", seed=2)
    seen = LogitsAtSave(words)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        processing_class=words,
        train_dataset=Dataset.from_dict({"text": lines[:700]}),
        eval_dataset=Dataset.from_dict({"text": lines[700:]}),
        peft_config=LoraConfig(
            r=rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        args=SFTConfig(
            output_dir=str(out),
            num_train_epochs=2,
            learning_rate=2e-3,
            per_device_train_batch_size=16,
            max_length=64,
            save_strategy="epoch",
            eval_strategy="epoch",
            logging_strategy="epoch",
            use_cpu=True,
            bf16=False,  # exact logits: the model computes in the dtype that is saved
            report_to="none",
            disable_tqdm=True,
        ),
        callbacks=[MStoreCallback(store=repo), seen, KillAt(kill_at)],
    )
    trainer.remove_callback(PrinterCallback)  # the callback's own line a save says enough
    trainer.train(resume_from_checkpoint=resume)
    return seen


def killed_and_resumed(out: Path, base: Path, words: Any, repo: mstore.Repository) -> None:
    """A run that is killed in its second epoch, and gone on from what the store has of it."""
    print("\n— a run that is killed with kill -9, and gone on from the store alone")
    killed = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--out", str(out), "--die"], check=False
    )
    must(killed.returncode == -signal.SIGKILL, "the training process was killed in its second epoch")
    end = time.monotonic() + 60
    while "r2" not in repo.branches() and time.monotonic() < end:
        time.sleep(0.1)  # its worker lives on, and commits what was staged
    must("r2" in repo.branches(), "the save before it is committed")
    shutil.rmtree(out / "r2")
    step = repo.log("r2")[0].step or 0
    run(out, "resume", "r2", "--to", f"r2/checkpoint-{step}")
    fine_tune(base, out / "r2", words, rank=2, repo=repo, resume=str(out / f"r2/checkpoint-{step}"))
    steps = [e.step for e in repo.log("r2")[:2]]
    must(steps == [2 * step, step], "the resumed run goes on where the killed one ended")
    run(out, "log", "--all", "--where", "r <= 4 and eval_loss < 10", "--sort", "eval_loss", "-n", "2")
    best = repo.log("best:eval_loss@r2", limit=1)[0]
    must(
        best.metrics["eval_loss"] == min(e.metrics["eval_loss"] for e in repo.log("r2")[:2]),
        "best: finds it",
    )
    must(load(repo, "best:eval_loss@r2") is not None, "and it loads, on its base")


def bytes_under(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fresh(folder: Path) -> Path:
    """An empty folder; one that an earlier demo made is cleared, any other is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise Failed(f"{folder} is not empty and not from an earlier demo: pass another --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


def demo(out: Path, name: str | None) -> None:
    """All of it. Raises Failed where a step does not hold."""
    out = fresh(out)
    repo = mstore.init(out)

    print("\n— a base model, committed on main")
    base = out / "base"  # absolute, so that the adapters find it from anywhere
    words = make_base(base, name)
    run(out, "commit", "base", "-m", "base")

    print("\n— two fine-tuning runs; MStoreCallback commits each epoch")
    live = {rank: fine_tune(base, out / f"r{rank}", words, rank=rank, repo=repo) for rank in (4, 8)}
    for rank in (4, 8):
        entries = repo.log(f"r{rank}")
        must(len(entries) == 3, f"r{rank} holds two epochs on top of the base")
        must(
            all(math.isfinite(e.metrics[k]) for e in entries[:2] for k in ("loss", "eval_loss")),
            f"each epoch of r{rank} has its loss and evaluation loss",
        )
    run(out, "log", "--graph", "--all")
    run(out, "diff", "r4", "r8")
    lora = json.loads(run(out, "diff", "r4", "r8", "--json", show=False))["lora"]
    must(lora["a"]["rank"] == 4 and lora["b"]["rank"] == 8, "diff tells rank 4 from rank 8")

    print("\n— back to an early epoch")
    run(out, "checkout", "r8~1", "--to", "early")
    early = out / "early"
    step = min(live[8].at)
    for path in sorted(early.iterdir()):
        saved = out / "r8" / f"checkpoint-{step}" / path.name
        if path.read_bytes() != saved.read_bytes():
            raise Failed(f"{path.name} is not what the Trainer wrote")
    must(True, "every file is byte for byte what the Trainer wrote")
    again = logits(AutoModelForCausalLM.from_pretrained(early), AutoTokenizer.from_pretrained(early))
    must(
        torch.equal(again, live[8].at[step]),
        "from_pretrained: the live model's logits, bit for bit",
    )
    must(torch.equal(logits(load(repo, "r8~1"), words), again), "mstore.hf.load: the same")
    must(not torch.equal(again, live[8].at[max(live[8].at)]), "and not those of the last epoch")

    killed_and_resumed(out, base, words, repo)

    print("\n— what is kept")
    everything = repo.log(all=True)
    copies = sum(repo.manifest(entry.id.hex).size_bytes for entry in everything)
    kept = bytes_under(out / ".mstore")
    print(f"  {len(everything)} timestamped directories  {copies / 1e6:6.2f} MB")
    print(f"  all of them in .mstore    {kept / 1e6:6.2f} MB")
    must(kept < copies, f"{1 - kept / copies:.0%} less than timestamped directories")


def main() -> int:
    """0, or 1 where something does not hold."""
    parser = argparse.ArgumentParser(
        description="mstore on real training, in a minute", allow_abbrev=False
    )
    parser.add_argument("--model", metavar="NAME", help="a causal language model of the hub")
    parser.add_argument("--out", metavar="DIR", default="demo-out", help="default: demo-out")
    parser.add_argument("--die", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    transformers_logging.disable_progress_bar()
    logging.basicConfig(format="  %(message)s", stream=sys.stdout)
    logging.getLogger("mstore.hf").setLevel(logging.INFO)
    began = time.monotonic()
    if chosen.die:
        there = Path(chosen.out).resolve()
        words = AutoTokenizer.from_pretrained(there / "base")
        repo = mstore.open(there)
        fine_tune(there / "base", there / "r2", words, rank=2, repo=repo, kill_at=60)
        return 1
    try:
        demo(Path(chosen.out).resolve(), chosen.model)
    except Failed as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    print(f"\nAll of it held, in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
