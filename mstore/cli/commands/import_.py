"""mstore import: turn checkpoint folders into history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, progress, show_plan, styled, warn
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from mstore.api.values import CommitResult, PlannedImport


@examples("""
mstore import out                       # out/checkpoint-500, out/checkpoint-1000, …
mstore import runs/2026-01-* --branch january
mstore import out --dry-run
""")
@click.command("import")
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--branch", help="Commit to this branch (default: one for each DIR, of its name).")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@json_options()
def import_(folders: tuple[str, ...], branch: str | None, dry_run: bool, as_json: bool) -> None:
    """Turn checkpoint folders into history.

    Each folder becomes a commit with its metrics, ordered by step or date. What
    its branch has already is not committed again. HEAD, the model directory and the
    folders do not change.
    """
    from mstore.render.importing import import_summary, imported_lines

    opened = repo()
    plan = opened.plan_import(folders, branch=branch)
    for item in plan.folders:
        if item.warning is not None and not as_json:
            warn(item.warning)
    if dry_run:
        show_plan(plan, as_json)
        return

    def show(item: PlannedImport, result: CommitResult) -> None:
        if not as_json:
            echo_lines(imported_lines(item, result, styled))

    with progress() as report:
        result = opened.run_import(plan, progress=report, on_commit=show)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import import_document

        entries = opened.entries(made.id for made in result.commits)
        show_json(import_document(plan, result, entries))
        return
    click.echo(import_summary(result))
