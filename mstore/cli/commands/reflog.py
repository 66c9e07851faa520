"""mstore reflog: the recorded moves of a branch or tag."""

from __future__ import annotations

from typing import Any

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import page
from mstore.cli.params import json_options


@examples("""
mstore reflog
mstore reflog r8
""")
@click.command()
@click.argument("name", required=False)
@json_options()
def reflog(name: str | None, as_json: bool) -> None:
    """Where a branch or tag has been; NAME@{n} names those places."""
    from mstore.text import age, escaped

    opened = repo()
    records = opened.reflog(name)
    if as_json:
        from mstore.cli.json_output import show_json_list
        from mstore.render.json.documents import move_document

        show_json_list("moves", map(move_document, records))
        return
    head = opened.head
    label = name if name not in (None, "HEAD", "@") else (head.branch if head else None) or "HEAD"

    def lines() -> Any:
        for index, record in enumerate(records):
            short = record.new.short if record.new is not None else "-------"
            said = f"{record.move.action}: {escaped(record.move.message)}"
            yield (
                f"{click.style(short, fg='yellow')} {label}@{{{index}}}  {age(record.move.time.ns):>10}"
                f"  {said}  ({escaped(record.move.author)})"
            )

    page(lines())
