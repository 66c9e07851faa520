"""The keywords of `Repository.commit`, for type checkers: a command never loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mstore.history.query.resolve import AnyRevision


class CommitFields(TypedDict, total=False):
    """The fields of `CommitOptions` as keywords of `Repository.commit`."""

    message: str | None
    branch: str | None
    start: AnyRevision | None
    base: AnyRevision | None
    without: Iterable[str]
    metadata: Mapping[str, Any] | None
    metrics: Mapping[str, float] | None
    append: bool
    allow_empty: bool
    allow_no_weights: bool
    allow_incomplete: bool
    allow_opaque: bool
    strict: bool
    by_hand: bool
