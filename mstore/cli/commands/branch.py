"""mstore branch: list, make, move, rename and delete branches."""

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
    check_name(name, rev, delete=delete, rename=rename, force=force)
    opened = repo()
    if name is None:
        found = opened.list_branches()
        if as_json:
            from mstore.cli.json_output import show_json_list
            from mstore.render.json.documents import branch_document

            show_json_list("branches", map(branch_document, found))
            return
        from mstore.render.names import branch_lines

        echo_lines(branch_lines(found, styled))
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
