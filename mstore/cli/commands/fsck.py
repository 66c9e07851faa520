"""mstore fsck: check the store, and repair it."""

from __future__ import annotations

import click

from mstore.cli.context import examples, repo
from mstore.cli.output import echo_lines, hint, progress, show_plan, styled
from mstore.cli.params import json_options

CORRUPT = 4


@examples("""
mstore fsck
mstore fsck --quick
mstore fsck --repair
mstore fsck --repair --dry-run
mstore fsck --from /backup/store
""")
@click.command()
@click.option("--quick", is_flag=True, help="Check the sums of stored bytes only, at memory speed.")
@click.option("--repair", is_flag=True, help="Quarantine damaged parts, keep the whole ones.")
@click.option(
    "--from",
    "source",
    type=click.Path(file_okay=False),
    metavar="STORE",
    help="Repair, and fetch lost objects from another store.",
)
@click.option("--dry-run", is_flag=True, help="With --repair or --from: show the plan, change nothing.")
@json_options()
def fsck(quick: bool, repair: bool, source: str | None, dry_run: bool, as_json: bool) -> int:
    """Check the store for damage. Exits 4 if anything is damaged.

    Without --repair nothing is changed. With it, the whole objects of damaged packs go into
    new packs, damaged refs take the value that their reflog has, and the damaged files move
    to the store's folder `quarantine`.
    """
    from mstore.errors import UsageError
    from mstore.render.fsck import fsck_lines
    from mstore.render.maintenance import repair_lines

    repair = repair or source is not None
    if repair and quick:
        raise UsageError("--repair checks every id, so it cannot be --quick")
    if dry_run:
        if not repair:
            raise UsageError("--dry-run needs --repair or --from; fsck alone changes nothing")
        return _show_plan(source, as_json)
    with progress() as report:
        if repair:
            done = repo().repair(source=source, progress=report)
            found, repaired = done.found, done.done
            lines = repair_lines(done, styled)
        else:
            found, repaired = repo().fsck(quick=quick, progress=report), ()
            lines = fsck_lines(found, styled)
    if as_json:
        from mstore.cli.json_output import show_json
        from mstore.render.json.maintenance import fsck_document

        show_json(fsck_document(found, repaired))
    else:
        echo_lines(lines)
        if not found.ok and not repair:
            hint(
                "`mstore fsck --repair --dry-run` shows what can be repaired, --from STORE fetches more"
            )
    return 0 if found.ok else CORRUPT


def _show_plan(source: str | None, as_json: bool) -> int:
    with progress() as report:
        plan = repo().plan_repair(source=source, progress=report)
    show_plan(plan, as_json)
    return 0 if plan.found.ok else CORRUPT
