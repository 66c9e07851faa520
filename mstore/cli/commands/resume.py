"""mstore resume: write a version out so that training goes on from it."""

from __future__ import annotations

import click

from mstore.cli.context import REVISION, examples, repo
from mstore.cli.output import progress, show_json, warn


@examples("""
mstore resume best:eval_loss --to out/checkpoint-400
mstore resume r8~1 --to again
""")
@click.command()
@click.argument("rev", type=REVISION)
@click.option("--to", "to", required=True, metavar="DIR", help="The folder to write; new or empty.")
@click.option("--force", is_flag=True, help="Replace files that no commit has, keeping a copy.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def resume(rev: str, to: str, force: bool, as_json: bool) -> None:
    """Write a version out so that training can go on from it.

    A checkout, in which `best_model_checkpoint` of trainer_state.json is made to name a
    folder that exists here. HEAD stays where it is.
    """
    from mstore.text import escaped

    with progress() as told:
        done = repo(rev).resume(rev, to=to, force=force, progress=told)
    for warning in done.warnings:
        warn(warning)
    if as_json:
        show_json(
            {
                "commit": done.checkout.id.hex,
                "path": str(done.path),
                "step": done.step,
                "best": str(done.best) if done.best is not None else None,
                "line": done.line,
            }
        )
        return
    at = f", step {done.step}" if done.step is not None else ""
    click.echo(f"{done.checkout.id.short}{at} → {escaped(str(done.path))}")
    click.echo(done.line)
