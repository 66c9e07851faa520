"""mstore du: what versions and the store cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import page
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.history.query.revision_grammar import Revision
    from mstore.maintain.du import Usage


@examples("""
mstore du                  # the whole store
mstore du HEAD r8~1
""")
@click.command()
@click.argument("revs", nargs=-1, type=REVISION, metavar="[REV]...")
@json_options()
def du(revs: tuple[Revision, ...], as_json: bool) -> None:
    """Why versions cost what they cost: bytes shared, new, stored, as deltas."""
    found = repo().du(*map(look_up, revs))
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.maintenance import usage_document

        show_json(usage_document(found))
        return
    page(_du_lines(found))


def _du_lines(found: Usage) -> Iterator[str]:
    from mstore.text import escaped, size

    for commit in found.commits:
        yield click.style(commit.id.short, fg="yellow") + " " + escaped(commit.message)
        rows = [*commit.groups[:30], commit.total]
        yield f"  {'raw':>9}  {'shared':>9}  {'new':>9}  {'stored':>9}  {'as delta':>9}  group"
        for row in rows:
            counts = (row.raw_bytes, row.shared_bytes, row.new_bytes, row.stored_bytes, row.delta_bytes)
            yield "  " + "  ".join(f"{size(n):>9}" for n in counts) + "  " + escaped(row.name)
        if len(commit.groups) > 30:
            yield f"  ({len(commit.groups) - 30} smaller groups are not shown)"
        freed = f"without this version, {size(commit.freed_bytes)} would be free"
        if commit.protected_bytes:
            more = size(commit.protected_bytes)
            freed += f"; {more} more only once the deltas that lean on it are recoded"
        yield "  " + freed
        yield ""
    share = f", {found.pack_bytes / found.raw_bytes:.0%} of that" if found.raw_bytes else ""
    yield (
        f"{found.versions} versions, {size(found.raw_bytes)} as folders;"
        f" packs {size(found.pack_bytes)}{share}"
    )
