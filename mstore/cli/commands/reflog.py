"""mstore reflog: the recorded moves of a branch or tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import page, show_json

if TYPE_CHECKING:
    from mstore.store import Record


@examples("""
mstore reflog
mstore reflog r8
""")
@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def reflog(name: str | None, as_json: bool) -> None:
    """Where a branch or tag has been; NAME@{n} names those places."""
    from mstore.text import age, escaped

    opened = repo()
    records = opened.reflog(name)
    if as_json:
        show_json([_record_document(r) for r in records])
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


def _record_document(record: Record) -> dict[str, Any]:
    return {
        "number": record.number,
        "old": record.old.hex if record.old else None,
        "new": record.new.hex if record.new else None,
        "action": record.move.action,
        "message": record.move.message,
        "author": record.move.author,
        "time": record.move.time.iso(),
    }
