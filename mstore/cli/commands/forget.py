"""mstore forget: drop files of a role from old versions for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.confirm import must_confirm
from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, progress, show_plan, styled
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from mstore.api.values import ForgetPlan, ForgetResult


@examples("""
mstore forget --role training-state --keep-last 2
mstore forget --role training-state --keep-last 2 --keep-best eval_loss --dry-run
""")
@click.command()
@click.option("--role", "roles", multiple=True, required=True, help="Drop files of this role.")
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Keep the files of the last N versions of each branch.",
)
@click.option(
    "--keep-best", metavar="METRIC", help="Keep those of the best version of each branch, too."
)
@click.option("--branch", metavar="NAME", help="Drop files from this branch alone.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_options("needs --yes or --dry-run")
def forget(
    roles: tuple[str, ...],
    keep_last: int,
    keep_best: str | None,
    branch: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Drop files from old versions for good, such as the optimizer's states.

    The versions keep their ids and all other files; a note on each records which files were
    dropped and when, and checkout leaves them out. Tagged versions are not touched.
    """
    asks = must_confirm("forget", yes, dry_run, as_json)
    repository = repo()
    plan = repository.plan_forget(*roles, keep_last=keep_last, keep_best=keep_best, branch=branch)
    if not as_json:
        show_plan(plan, as_json)
    if dry_run or not plan.commits or (asks and not click.confirm("go on?")):
        if as_json:
            _show_json(plan, None, dry_run)
        return
    with progress() as report:
        done = repository.run_forget(plan, progress=report)
    if as_json:
        _show_json(plan, done, dry_run)
    else:
        from mstore.render.maintenance import forget_lines

        echo_lines(forget_lines(done, styled))


def _show_json(plan: ForgetPlan, done: ForgetResult | None, dry_run: bool) -> None:
    from mstore.cli.json_output import show_json
    from mstore.render.json.maintenance import forget_document

    show_json(plan.to_dict() if dry_run else forget_document(plan, done))
