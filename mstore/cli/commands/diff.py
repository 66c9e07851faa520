"""mstore diff: how two versions or folders differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import fail, page, progress, styled, terminal_width, warn
from mstore.cli.params import SIDE, json_options

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.api.values import DiffResult, Revision


@examples("""
mstore diff r4 r8                  # two versions
mstore diff ./run-a ./run-b        # two folders; no store is needed
mstore diff                        # HEAD against the model directory
mstore diff HEAD~1 HEAD --stat
""")
@click.command()
@click.argument("a", required=False, type=SIDE)
@click.argument("b", required=False, type=SIDE)
@click.option("--stat", is_flag=True, help="Measure how much each tensor changed: share, norm, cosine.")
@click.option("--exit-code", is_flag=True, help="Exit 1 where files differ, 0 where they do not.")
@json_options()
def diff(
    a: Revision | Path | None, b: Revision | Path | None, stat: bool, exit_code: bool, as_json: bool
) -> int:
    """Show differences: LoRA ranks and shapes, configuration, metrics, tensors, files.

    A and B are versions or folders. `.`, and a name that begins with `./`, `../`, `/` or `~`
    or ends in `/`, is a folder; anything else is a version, or a folder where no version has
    this name. Without B: the model directory; without A: HEAD.
    """
    try:
        result = _compared(a, b, stat)
    except Exception as error:
        if exit_code and getattr(error, "exit_code", 1) == 1:
            # As in diff(1): 1 says that files differ, and nothing else may.
            code = getattr(error, "code", "defect")
            return fail(code, 2, str(error), getattr(error, "hint", None))
        raise
    for warning in () if as_json else result.warnings:
        warn(warning)
    if as_json:
        from mstore.cli.json_output import show_json

        show_json(result.to_dict())
    else:
        from mstore.render.diff import diff_lines

        page(diff_lines(result, width=terminal_width(), style=styled))
    return 1 if exit_code and not result.same else 0


def _compared(a: Revision | Path | None, b: Revision | Path | None, stat: bool) -> DiffResult:
    from pathlib import Path

    from mstore.api.folders import diff as diff_folders
    from mstore.errors import NoStore, NotFound

    with progress() as report:
        try:
            opened = repo()
        except NoStore:
            # Two folders need no store: the plainest question has the plainest answer.
            for side in (a, b):
                if isinstance(side, Path) and not side.is_dir():
                    raise NotFound(f"no such folder: {side}") from None
            if not all(side is not None and Path(str(side)).is_dir() for side in (a, b)):
                raise
            return diff_folders(str(a), str(b), stat=stat, progress=report)
        return opened.diff("HEAD" if a is None else a, b, stat=stat, progress=report)
