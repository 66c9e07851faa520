"""The plan of one call of `train()`, as it begins; it travels as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Origin:
    """The save that a run was resumed from.

    Args:
        step: its step.
        attempt: the call of `train()` that wrote it, or None where unknown.
    """

    step: int
    attempt: str | None


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """The plan of one call of `train()`, as it begins; travels as JSON.

    Args:
        repository: the folder that opens it: with `.mstore` in it, or the store alone.
        author: who acts, or None.
        output_dir: the Trainer's.
        name: the branch asked for.
        named: the name was chosen by the user (else derived from a folder).
        run_id: constant over all resumptions.
        attempt: this call of `train()`.
        origin: the save resumed from, or None for a fresh run.
        training_state: whether optimizer, scheduler and random states are kept.
        keep_last: how many versions of the branch keep them; None: all.
        base: revision of the model that was started from, or None to have it found.
        frozen: a pattern of names of tensors that must not change, or None.
        metadata: kept with each commit.
    """

    repository: str
    author: str | None
    output_dir: str
    name: str
    named: bool
    run_id: str
    attempt: str
    origin: Origin | None
    training_state: bool
    keep_last: int | None
    base: str | None
    frozen: str | None
    metadata: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> RunPlan:
        """Read what `document` gave. Raises KeyError, TypeError."""
        origin = Origin(**document["origin"]) if document["origin"] is not None else None
        return cls(**{**document, "origin": origin})
