"""mstore gc: delete what no name needs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from mstore.cli.confirm import must_confirm
from mstore.cli.context import examples, repo
from mstore.cli.output import progress
from mstore.cli.params import json_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.maintain.gc_plan import GcPlan
    from mstore.maintain.gc_run import GcResult

_SHOWN: Final = 20


@examples("""
mstore gc
mstore gc --dry-run
mstore gc --now --yes
""")
@click.command()
@click.option("--now", is_flag=True, help="Keep nothing for the reflogs' sake, and empty the trash.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_options("needs --yes or --dry-run")
def gc(now: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Give back the bytes that no branch, tag or reflog needs.

    Reflogs keep what they name for 30 days. What goes lies in the trash for a day,
    from where it comes back if anything asks for it.
    """
    from mstore.text import size

    asks = must_confirm("gc", yes, dry_run, as_json)
    plan = repo().plan_gc(now=now)
    if not as_json:
        for line in _planned(plan):
            click.echo(line)
    if asks and plan and not click.confirm("go on?"):
        return
    if dry_run or not plan:
        if as_json:
            _show_json(plan, None, dry_run)
        return
    with progress() as told:
        done = repo().gc(plan, progress=told)
    if as_json:
        _show_json(plan, done, dry_run)
        return
    click.echo(
        f"freed {size(done.freed_bytes)}: {done.removed} packs were removed, {done.written} written"
    )
    if done.trash_bytes:
        click.echo(f"{size(done.trash_bytes)} lie in the trash for a day; `mstore gc --now` empties it")
    if done.undeleted:
        click.echo(f"{done.undeleted} packs stay: a running command needs them")


def _planned(plan: GcPlan) -> Iterator[str]:
    from mstore.text import escaped, size

    if not plan:
        yield f"{size(plan.store_bytes)} in packs, all of it needed" + _in_trash(plan)
        return
    if plan.commits:
        yield f"{len(plan.commits)} versions that no name reaches:"
    for commit in plan.commits[-_SHOWN:]:
        day = datetime.fromtimestamp(commit.time_ns // 10**9).date()
        yield (
            f"  {click.style(commit.id.short, fg='yellow')}  {day}  {size(commit.freed_bytes):>9}"
            f"  {escaped(commit.message)}" + (f"  (was on {commit.branch})" if commit.branch else "")
        )
    if len(plan.commits) > _SHOWN:
        yield f"  and {len(plan.commits) - _SHOWN} older ones"
    for branch, freed in sorted(plan.branches().items(), key=lambda item: -item[1]):
        yield f"  {size(freed):>9}  {escaped(branch)}"
    for count, what in (
        (
            len(plan.rewritten_packs),
            "packs are rewritten without what nothing needs",
        ),
        (len(plan.merged_packs), "small packs are merged into one"),
    ):
        if count:
            yield f"{count} {what}"
    yield f"frees {size(plan.freed_bytes + plan.trash_bytes)} of {size(plan.store_bytes)}" + _in_trash(
        plan
    )


def _in_trash(plan: GcPlan) -> str:
    from mstore.text import size

    return f"; {size(plan.kept_trash_bytes)} in the trash for a day" if plan.kept_trash_bytes else ""


def _show_json(plan: GcPlan, done: GcResult | None, dry_run: bool) -> None:
    from mstore.cli.json_output import show_json
    from mstore.render.json.maintenance import gc_document

    show_json(plan.to_dict() if dry_run else gc_document(plan, done))
