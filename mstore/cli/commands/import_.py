"""mstore import: turn checkpoint folders into history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mstore.cli.commit_text import commit_document, show_commit
from mstore.cli.context import examples, repo
from mstore.cli.output import progress, show_json, warn

if TYPE_CHECKING:
    from mstore.commit.importing import ImportResult, PlannedImport
    from mstore.commit.plan import CommitResult


@examples("""
mstore import out                       # out/checkpoint-500, out/checkpoint-1000, …
mstore import runs/2026-01-* --branch january
mstore import out --dry-run
""")
@click.command("import")
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--branch", help="Onto this branch; default: one for each DIR, of its name.")
@click.option("--dry-run", is_flag=True, help="Show the plan only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def import_(folders: tuple[str, ...], branch: str | None, dry_run: bool, as_json: bool) -> None:
    """Turn checkpoint folders into history.

    Each folder becomes a commit with its metrics, ordered by step or date. What is
    there already is left alone, and so are HEAD, the model directory and the folders.
    """
    from pathlib import Path

    from mstore.commit.importing import ImportResult, plan_import, run_import
    from mstore.text import size

    opened = repo()
    planned = plan_import([Path(f) for f in folders], branch=branch)
    for item in planned:
        if item.warning is not None:
            warn(item.warning)
    if dry_run:
        result = ImportResult(planned=planned, size_bytes=sum(p.size_bytes for p in planned))
        if not as_json:
            for item in planned:
                click.echo(f"{item.branch}: {item.order}  {size(item.size_bytes)}  {item.path}")
    else:

        def told(item: PlannedImport, result: CommitResult) -> None:
            if not as_json:
                click.echo(f"{item.path}: ", nl=False)
                show_commit(result)

        with progress() as bar:
            result = run_import(opened.context, planned, progress=bar, on_commit=told)
    if as_json:
        show_json(_import_document(result))
        return
    count = f"{len(planned)} checkpoint{'s' if len(planned) != 1 else ''}"
    if dry_run:
        click.echo(f"{size(result.size_bytes)} in {count}; nothing was imported (--dry-run)")
    else:
        click.echo(f"{size(result.size_bytes)} in {count} → {size(result.stored_bytes)}")


def _import_document(result: ImportResult) -> dict[str, Any]:
    return {
        "planned": [
            {"path": str(p.path), "branch": p.branch, "order": p.order, "size_bytes": p.size_bytes}
            for p in result.planned
        ],
        "commits": [commit_document(c) for c in result.commits],
        "size_bytes": result.size_bytes,
        "stored_bytes": result.stored_bytes,
    }
