"""mstore branch: list, make, move, rename and delete branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.name_command import NameChange, check_name, name_command
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from mstore.history.query.revision_grammar import Revision


@examples("""
mstore branch
mstore branch ablation r8~1
mstore branch r8 --rename lora-r8
mstore branch -d ablation
""")
@click.command()
@name_command("branch")
@json_options()
def branch(
    name: str | None, rev: Revision | None, delete: bool, rename: str | None, force: bool, as_json: bool
) -> None:
    """List branches; make, move, rename or delete one."""
    from mstore.text import age, escaped

    check_name(name, delete, rename, force)
    opened = repo()
    if name is None:
        found = opened.list_branches()
        if as_json:
            from mstore.cli.json_output import show_json_list
            from mstore.render.json.documents import branch_document

            show_json_list("branches", map(branch_document, found))
            return
        width = max((len(b.name) for b in found), default=0)
        for b in found:
            mark = click.style("* ", fg="green") if b.current else "  "
            subject = escaped(b.commit.message.partition("\n")[0])
            click.echo(f"{mark}{b.name:{width}}  {b.id.short}  {age(b.commit.time.ns):>10}  {subject}")
        return
    if delete:
        done = NameChange("branch", "deleted", name, None, opened.delete_branch(name))
    elif rename is not None:
        opened.rename_branch(name, rename)
        done = NameChange("branch", "renamed", rename, name, opened.branches()[rename])
    else:
        made = opened.make_branch(name, look_up(rev), force=force)
        done = NameChange("branch", "made", name, None, made)
    done.show(as_json)
