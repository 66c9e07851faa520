"""mstore note: add metrics and metadata to a version later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.params import META, METRIC, REVISION, json_options, read_metrics, read_pairs

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore note HEAD --metric mmlu=0.412
mstore note r8~1 --meta verdict="best so far"
""")
@click.command()
@click.argument("rev", type=REVISION)
@METRIC
@META
@json_options()
def note(rev: Revision, metric: tuple[str, ...], meta: tuple[str, ...], as_json: bool) -> None:
    """Add metrics or metadata to a version later; its id stays."""
    opened, version = repo(), look_up(rev)
    made = opened.note(version, metrics=read_metrics(metric), metadata=read_pairs(meta))
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import noted_document

        (entry,) = opened.entries([version.id]).values()
        show_json(noted_document(entry, made))
        return
    click.echo(f"Noted on {version.id.short} ({made.short})")
