"""mstore note: add metrics and metadata to a version later."""

from __future__ import annotations

import click

from mstore.cli.context import REVISION, examples, repo
from mstore.cli.params import META, METRIC, read_metrics, read_pairs


@examples("""
mstore note HEAD --metric mmlu=0.412
mstore note r8~1 --meta verdict="best so far"
""")
@click.command()
@click.argument("rev", type=REVISION)
@METRIC
@META
def note(rev: str, metric: tuple[str, ...], meta: tuple[str, ...]) -> None:
    """Add metrics or metadata to a version later; its id stays."""
    opened = repo(rev)
    made = opened.note(rev, metrics=read_metrics(metric), metadata=read_pairs(meta))
    click.echo(f"Noted on {opened.resolve(rev).short} ({made.short})")
