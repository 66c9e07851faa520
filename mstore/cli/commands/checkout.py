"""mstore checkout: write a version into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import echo_lines, progress, show_plan, styled, warn
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore checkout 3f9c1ab --to best
mstore checkout r8~1
mstore checkout -b retry main
""")
@click.command()
@click.argument("rev", required=False, type=REVISION)
@click.option("--to", metavar="DIR", help="Write into DIR; HEAD and the model directory do not change.")
@click.option(
    "-b", "new_branch", metavar="NAME", help="Make a branch at REV (default HEAD) and check it out."
)
@click.option("--force", is_flag=True, help="Replace files that no commit has; `undo` restores them.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@json_options()
def checkout(
    rev: Revision | None,
    to: str | None,
    new_branch: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write a version into a folder, byte for byte as it was saved.

    Without --to the model directory is written and HEAD moves.
    """
    if rev is None and new_branch is None:
        raise click.UsageError("which version? `mstore log` lists them")
    version = look_up(rev)
    if dry_run:
        plan = repo().plan_checkout(version, to=to, force=force, new_branch=new_branch)
        for warning in () if as_json else plan.warnings:
            warn(warning)
        show_plan(plan, as_json)
        return
    with progress() as report:
        result = repo().checkout(version, to=to, force=force, new_branch=new_branch, progress=report)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import checkout_document

        show_json(checkout_document(result))
        return
    from mstore.render.checkout import checkout_lines

    for warning in result.warnings:
        warn(warning)
    echo_lines(checkout_lines(result, styled))
