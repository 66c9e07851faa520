"""mstore resume: write a version out so that training goes on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import echo_lines, progress, styled, warn
from mstore.cli.params import REVISION, json_options

if TYPE_CHECKING:
    from mstore.api.values import Revision


@examples("""
mstore resume best:eval_loss --to out/checkpoint-400
mstore resume r8~1 --to again
""")
@click.command()
@click.argument("rev", type=REVISION)
@click.option("--to", "to", required=True, metavar="DIR", help="Write into this folder, new or empty.")
@click.option("--force", is_flag=True, help="Replace files that no commit has, keeping a copy.")
@json_options()
def resume(rev: Revision, to: str, force: bool, as_json: bool) -> None:
    """Write a version out so that training can go on from it.

    Like `checkout --to`, but `best_model_checkpoint` of trainer_state.json then names a
    folder that exists here. HEAD does not move.
    """
    version = look_up(rev)
    with progress() as report:
        done = repo().resume(version, to=to, force=force, progress=report)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.documents import resume_document

        show_json(resume_document(done))
        return
    for warning in done.warnings:
        warn(warning)
    from mstore.render.checkout import resume_lines

    echo_lines(resume_lines(done, styled))
