"""mstore tag: list, make, rename and delete tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.name_command import NameChange, check_name, name_command
from mstore.cli.output import echo_lines, styled
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore tag
mstore tag v1 r8 -m "shipped"
mstore tag -d v1
""")
@click.command()
@name_command("tag")
@click.option("-m", "--message", help="Keep a message, a date and who tagged.")
@json_options()
def tag(
    name: str | None,
    rev: Revision | None,
    delete: bool,
    rename: str | None,
    force: bool,
    as_json: bool,
    message: str | None,
) -> None:
    """List tags; make, move, rename or delete one."""
    check_name(name, rev, delete=delete, rename=rename, force=force)
    opened = repo()
    if name is None:
        found = opened.list_tags()
        if as_json:
            from mstore.cli.json_output import show_json_list
            from mstore.render.json.documents import tag_document

            show_json_list("tags", map(tag_document, found))
            return
        from mstore.render.names import tag_lines

        echo_lines(tag_lines(found, styled))
        return
    if delete:
        done = NameChange("tag", "deleted", name, None, opened.delete_tag(name))
    elif rename is not None:
        opened.rename_tag(name, rename)
        (id,) = (tag.id for tag in opened.list_tags() if tag.name == rename)
        done = NameChange("tag", "renamed", rename, name, id)
    else:
        made = opened.make_tag(name, look_up(rev), message=message, force=force)
        done = NameChange("tag", "made", name, None, made)
    done.show(as_json)
