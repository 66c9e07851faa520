"""mstore status: where the workspace stands, and what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import ignored_text
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.history.status import Status


@examples("""
mstore status
""")
@click.command()
@json_options()
def status(as_json: bool) -> None:
    """Where you stand, what changed, and what to type next."""
    from mstore.context import display_path
    from mstore.text import escaped

    found = repo().status()
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import status_document

        show_json(status_document(found, repo().staged()))
        return
    at = (
        f"at {found.commit.short} {escaped((found.message or '').partition(chr(10))[0])}"
        if found.commit
        else ""
    )
    if found.branch is not None:
        click.echo(f"On branch {click.style(found.branch, fg='green')} {at or '(no commit yet)'}")
    else:
        click.echo(f"HEAD stands {at}, on no branch")
    if found.problem is not None:
        click.echo(found.problem)
    elif found.model_dir is None:
        click.echo("No model directory yet: the first folder that you commit becomes it")
    else:
        name = display_path(found.model_dir)
        if not found.changes:
            click.echo(f"{name}: nothing changed")
        else:
            click.echo(f"{name}: changed since then")
            for mark, colour, paths in (
                ("new", "green", found.changes.added),
                ("changed", "yellow", found.changes.changed),
                ("gone", "red", found.changes.removed),
            ):
                for path in paths:
                    click.echo("  " + click.style(f"{mark:8}", fg=colour) + escaped(path))
    if found.ignored:
        click.echo("left out: " + ignored_text(found.ignored))
    for line in _activity(found):
        click.echo(line)
    if found.commit is None:
        click.echo(f"Next: mstore commit {'' if found.model_dir else 'DIR '}-m MESSAGE")
    elif found.changes:
        click.echo("Next: mstore commit -m MESSAGE   keeps it;   mstore diff   shows it")
    else:
        click.echo("Next: mstore log   shows the history")


def _activity(found: Status) -> Iterator[str]:
    from mstore.text import size

    now = found.activity
    if now is not None and now.running:
        written = size(now.writing_bytes)
        yield f"{now.running} other commands are at work in this store ({written} written so far)"
    if now is not None and "gc" in now.held:
        yield "a gc or repack is at work in this store"
    if now is not None and now.left:
        count, left = len(now.left), sum(entry.size_bytes for entry in now.left)
        yield f"{count} files ({size(left)}) of commands that were killed: the next commit sweeps them"
    for folder in found.copies:
        yield f"files that a killed checkout had replaced lie in {folder}"
    for queue, count in repo().staged():
        yield f"{count} saves of a training run wait to be committed in {queue}"
    if found.trash_bytes:
        yield f"{size(found.trash_bytes)} in the trash; `mstore gc --now` frees them"
