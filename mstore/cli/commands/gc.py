"""mstore gc: delete objects that no name needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mstore.cli.confirm import must_confirm
from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, progress, show_plan, styled
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from mstore.api.values import GcPlan, GcResult


@examples("""
mstore gc
mstore gc --dry-run
mstore gc --now --yes
""")
@click.command()
@click.option("--now", is_flag=True, help="Ignore reflogs, and empty the trash.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_options("needs --yes or --dry-run")
def gc(now: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Free the space of objects that no branch, tag or reflog needs.

    Reflogs protect the objects that they name for 30 days. Removed packs stay in the trash for
    a day, and are restored if a running command needs them.
    """
    asks = must_confirm("gc", yes, dry_run, as_json)
    plan = repo().plan_gc(now=now)
    if not as_json:
        show_plan(plan, as_json)
    if asks and plan and not click.confirm("go on?"):
        return
    if dry_run or not plan:
        if as_json:
            _show_json(plan, None, dry_run)
        return
    with progress() as report:
        done = repo().gc(plan, progress=report)
    if as_json:
        _show_json(plan, done, dry_run)
        return
    from mstore.render.maintenance import gc_lines

    echo_lines(gc_lines(done, styled))


def _show_json(plan: GcPlan, done: GcResult | None, dry_run: bool) -> None:
    from mstore.cli.json_output import show_json
    from mstore.render.json.maintenance import gc_document

    show_json(plan.to_dict() if dry_run else gc_document(plan, done))
