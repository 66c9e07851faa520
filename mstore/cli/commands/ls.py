"""mstore ls: the files or tensors of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import page
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore ls r8
mstore ls HEAD --tensors
""")
@click.command()
@click.argument("rev", default="HEAD", type=REVISION)
@click.option("--tensors", is_flag=True, help="List every tensor with dtype and shape.")
@json_options()
def ls(rev: Revision, tensors: bool, as_json: bool) -> None:
    """List the files of a version, or its tensors."""
    from mstore.cli.json_output import show_json_list
    from mstore.render.show import file_line, tensor_line

    opened, version = repo(), look_up(rev)
    if tensors:
        found = opened.tensors(version)
        if as_json:
            from mstore.render.json.documents import tensor_document

            show_json_list("tensors", map(tensor_document, found), id=version.id.hex)
            return
        page(map(tensor_line, found))
        return
    files = opened.manifest(version).files
    if as_json:
        from mstore.render.json.documents import file_document

        show_json_list("files", map(file_document, files), id=version.id.hex)
        return
    page(map(file_line, files))
