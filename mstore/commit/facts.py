"""The records of a commit beside a model directory's files: facts, metadata, a token's warning."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mstore.commit.environment import environment
from mstore.errors import MStoreError
from mstore.formats import Facts, holds_token
from mstore.modeldir.read import Tree, read_folder
from mstore.objects import TRAINING_STATE, holds_tensors
from mstore.text import storable
from mstore.worktree.scan import OpenFile, Scan, checkpoints_in, scan

if TYPE_CHECKING:
    from mstore.commit.options import CommitOptions

_TOKEN_SCAN_BYTES: Final = 16 << 20


def facts_with_trainer(tree: Tree, found: Scan) -> Facts:
    """Read facts; without a trainer_state.json, take those of the equal checkpoint in the folder."""
    facts = tree.facts()
    if facts.trainer is not None:
        return facts
    checkpoints = [
        c for c in checkpoints_in(found.root) if (found.root / c / "trainer_state.json").is_file()
    ]
    if not checkpoints:
        return facts
    own = tree.weights()
    own_sizes = _weight_sizes(tree.entries.values())
    for name in reversed(checkpoints):
        try:
            inside = scan(found.root / name)
            if not own_sizes <= {f.stamp.size_bytes for f in inside.files}:
                continue
            other = read_folder(found.root / name, without=frozenset({TRAINING_STATE}))
            if other.weights() == own:
                with_state = replace(other, found=inside).facts()
                return replace(facts, trainer=with_state.trainer)
        except MStoreError:
            continue
    return facts


def _weight_sizes(entries: Any) -> set[int]:
    return {e.size_bytes for e in entries if holds_tensors(e.role, e.path)}


def token_warnings(found: Scan, options: CommitOptions) -> list[str]:
    """Warn of a hub token that lies in clear in the folder."""
    if TRAINING_STATE in options.without:
        return []
    for file in found.files:
        name = file.path.rpartition("/")[2]
        if name == "training_args.bin" and file.stamp.size_bytes <= _TOKEN_SCAN_BYTES:
            with OpenFile(file) as source:
                if holds_token(source):
                    readers = "everyone who can read this store can read it"
                    return [f"{file.path} holds a hub token in plain text; {readers}"]
    return []


def recorded_metadata(facts: Facts, options: CommitOptions) -> dict[str, Any]:
    """Give the metadata of a commit: the user's, and under `recorded` what mstore found out."""
    recorded = {k: v for k, v in facts.to_dict().items() if v}
    if "trainer" in recorded:
        # The metrics are the commit's own.
        recorded["trainer"] = {k: v for k, v in recorded["trainer"].items() if k != "metrics"}
    recorded["environment"] = environment()
    if options.without:
        recorded["without"] = sorted(options.without)
    whole: dict[str, Any] = storable({**options.metadata, "recorded": recorded})
    return whole
