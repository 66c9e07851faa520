"""mstore note: add metrics and metadata to a version later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.params import META, METRIC, REVISION, read_metrics, read_pairs

if TYPE_CHECKING:
    from mstore.history.query.revision_grammar import Revision


@examples("""
mstore note HEAD --metric mmlu=0.412
mstore note r8~1 --meta verdict="best so far"
""")
@click.command()
@click.argument("rev", type=REVISION)
@METRIC
@META
def note(rev: Revision, metric: tuple[str, ...], meta: tuple[str, ...]) -> None:
    """Add metrics or metadata to a version later; its id stays."""
    opened, version = repo(), look_up(rev)
    made = opened.note(version, metrics=read_metrics(metric), metadata=read_pairs(meta))
    click.echo(f"Noted on {version.id.short} ({made.short})")
