"""mstore diff: how two versions or folders differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mstore.cli.context import REVISION, examples, repo
from mstore.cli.output import complain, page, progress, show_json, terminal_width, warn

if TYPE_CHECKING:
    from mstore.compare.diff import DiffResult
    from mstore.context import Context


def _looks_like_folder(text: str) -> bool:
    return text in (".", "..") or text.startswith(("./", "../", "/", "~")) or text.endswith("/")


def _sides(a: str | None, b: str | None) -> tuple[Context | None, Any, Any]:
    """What to compare: (place or None where two folders need none, a, b)."""
    import os
    from pathlib import Path

    from mstore.errors import NoStore

    def folder(text: str | None) -> Path | None:
        return Path(text).expanduser() if text is not None and _looks_like_folder(text) else None

    one, other = folder(a), folder(b)
    try:
        place: Context | None = repo(a, b).context
    except NoStore:
        # Two folders need no store: the plainest question has the plainest answer.
        if a is None or b is None or not (os.path.isdir(a) and os.path.isdir(b)):
            raise
        return None, Path(a), Path(b)
    assert place is not None
    return (
        place,
        one or _revision_or_folder(place, a or "HEAD"),
        other or (_revision_or_folder(place, b) if b is not None else None),
    )


def _revision_or_folder(place: Context, text: str) -> Any:
    """A revision; a folder where no revision has this name and a folder does."""
    import os
    from pathlib import Path

    from mstore.errors import RevisionNotFound
    from mstore.history.query.resolve import resolve

    if os.path.isdir(text):
        try:
            resolve(place, text)
        except RevisionNotFound:
            return Path(text)
    return text


@examples("""
mstore diff r4 r8                  # two versions
mstore diff ./run-a ./run-b        # two folders; no store is needed
mstore diff                        # HEAD against the model directory
mstore diff HEAD~1 HEAD --stat
""")
@click.command()
@click.argument("a", required=False, type=REVISION)
@click.argument("b", required=False, type=REVISION)
@click.option("--stat", is_flag=True, help="How much each tensor changed: share, norm, cosine.")
@click.option("--exit-code", is_flag=True, help="Exit 1 where files differ, 0 where they do not.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def diff(a: str | None, b: str | None, stat: bool, exit_code: bool, as_json: bool) -> int:
    """What differs: LoRA ranks and shapes, configuration, metrics, tensors, files.

    A and B are versions or folders (with a `/` in them). Without B: the model
    directory; without A: HEAD.
    """
    from mstore.render.diff import diff_lines

    try:
        result = _compared(a, b, stat)
    except Exception as error:
        if exit_code and getattr(error, "exit_code", 1) == 1:
            # As in diff(1): 1 says that files differ, and nothing else may.
            complain(str(error), getattr(error, "hint", None))
            return 2
        raise
    for warning in result.warnings:
        warn(warning)
    if as_json:
        show_json(result.to_dict())
    else:
        page(
            diff_lines(
                result, width=terminal_width(), style=lambda text, colour: click.style(text, fg=colour)
            )
        )
    return 1 if exit_code and not result.same else 0


def _compared(a: str | None, b: str | None, stat: bool) -> DiffResult:
    from mstore.compare.diff import diff as compare
    from mstore.compare.diff import side_of

    place, one, other = _sides(a, b)
    with progress() as told:
        return compare(side_of(place, one), side_of(place, other), stat=stat, progress=told)
