"""fsck, gc, forget, repack, config, completion."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from mstore.cli.app import app, examples, repo
from mstore.cli.output import progress, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.maintain.fsck import Problem
    from mstore.maintain.gc import GcPlan

CORRUPT = 4
_SHOWN: Final = 20


@examples("""
mstore fsck
mstore fsck --quick
mstore fsck --repair
mstore fsck --from /backup/store
""")
@click.command()
@click.option("--quick", is_flag=True, help="Check the sums of stored bytes only, at memory speed.")
@click.option("--repair", is_flag=True, help="Put damaged parts aside, keep all that is whole.")
@click.option(
    "--from",
    "source",
    type=click.Path(file_okay=False),
    metavar="STORE",
    help="Repair, taking what is lost from another store.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def fsck(quick: bool, repair: bool, source: str | None, as_json: bool) -> int:
    """Check that everything stored is what was stored. Exits 4 if anything is damaged.

    Without --repair nothing is changed. With it, whole objects of damaged packs are stored
    anew, damaged refs take the value that their reflog has, and what was damaged is kept
    in the store's folder `quarantine`.
    """
    from mstore.errors import UsageError
    from mstore.text import escaped, size

    repair = repair or source is not None
    if repair and quick:
        raise UsageError("--repair checks every id, so it cannot be --quick")
    mended: tuple[str, ...] = ()
    with progress() as told:
        if repair:
            done = repo().repair(source=source, progress=told)
            found, mended = done.found, done.done
        else:
            found = repo().fsck(quick=quick, progress=told)
    if as_json:
        show_json(
            {
                "ok": found.ok,
                "repaired": list(mended),
                "quick": found.quick,
                "problems": [_plain_problem(p) for p in found.problems],
                "warnings": [_plain_problem(p) for p in found.warnings],
                "packs": found.packs,
                "objects": found.objects,
                "commits": found.commits,
                "bytes_read": found.bytes_read,
            }
        )
        return 0 if found.ok else CORRUPT
    for line in mended:
        click.echo(f"{click.style('repaired', fg='green')}: {escaped(line)}")
    for word, colour, problems in (
        ("damaged", "red", found.problems),
        ("note", "yellow", found.warnings),
    ):
        for problem in problems:
            click.echo(
                f"{click.style(word, fg=colour)}: {escaped(problem.where)}: {escaped(problem.what)}"
            )
            for use in problem.affects:
                click.echo(f"    needed by {escaped(use)}")
            if problem.hint:
                click.echo(f"    {problem.hint}")
    checked = "sums of stored bytes" if quick else "every id"
    click.echo(
        f"{found.commits} commits, {found.objects} objects in {found.packs} packs,"
        f" {size(found.bytes_read)}: checked {checked}; " + ("all well" if found.ok else "DAMAGED")
    )
    return 0 if found.ok else CORRUPT


def _plain_problem(problem: Problem) -> dict[str, Any]:
    return {
        "where": problem.where,
        "what": problem.what,
        "affects": list(problem.affects),
        "hint": problem.hint,
    }


@examples("""
mstore gc
mstore gc --dry-run
mstore gc --now --yes
""")
@click.command()
@click.option("--now", is_flag=True, help="Keep nothing for the reflogs' sake, and empty the trash.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; needs --yes or --dry-run.")
def gc(now: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Give back the bytes that no branch, tag or reflog needs.

    Reflogs keep what they name for 30 days. What goes lies in the trash for a day,
    from where it comes back if anything asks for it.
    """
    from mstore.text import size

    asks = _asks("gc", yes, dry_run, as_json)
    plan = repo().plan_gc(now=now)
    if not as_json:
        for line in _planned(plan):
            click.echo(line)
    if asks and plan and not click.confirm("go on?"):
        return
    if dry_run or not plan:
        if as_json:
            show_json({"plan": _plain_plan(plan), "done": None})
        return
    with progress() as told:
        done = repo().gc(plan, progress=told)
    if as_json:
        show_json({"plan": _plain_plan(plan), "done": asdict(done)})
        return
    click.echo(
        f"freed {size(done.freed_bytes)}: {done.removed} packs went, {done.written} were written"
    )
    if done.trash_bytes:
        click.echo(f"{size(done.trash_bytes)} lie in the trash for a day; `mstore gc --now` empties it")
    if done.came_back:
        click.echo(f"{done.came_back} packs stay: a running command leans on them")


def _asks(command: str, yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Whether to ask before anything is removed. Raises UsageError where nobody can answer."""
    from mstore.errors import UsageError

    asks = not (yes or dry_run)
    if asks and (as_json or not sys.stdin.isatty()):
        what = f"{command} asks before it removes anything"
        raise UsageError(what, hint="--yes answers, --dry-run looks")
    return asks


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
    help="Versions of each branch, from its tip, that keep theirs.",
)
@click.option("--keep-best", metavar="METRIC", help="So does the best version of each branch.")
@click.option("--branch", metavar="NAME", help="Of this branch alone.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; needs --yes or --dry-run.")
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

    The versions keep their ids and all other files; a note on each says what was dropped
    and when, and checkout leaves it out. What a tag names is not touched.
    """
    from mstore.text import escaped, size

    asks = _asks("forget", yes, dry_run, as_json)
    repository = repo()
    plan = repository.plan_forget(*roles, keep_last=keep_last, keep_best=keep_best, branch=branch)
    plain = {
        "commits": [
            {
                "id": c.id.hex,
                "message": c.message,
                "roles": list(c.roles),
                "files": c.files,
                "size_bytes": c.size_bytes,
            }
            for c in plan.commits
        ],
        "kept": plan.kept,
        "freed_bytes": plan.freed_bytes,
    }
    if not as_json:
        for commit in plan.commits:
            click.echo(
                f"  {click.style(commit.id.short, fg='yellow')}  {size(commit.size_bytes):>9}"
                f"  {', '.join(commit.roles)}  {escaped(commit.message)}"
            )
        if not plan.commits:
            click.echo(f"nothing to forget: {plan.kept} versions keep theirs")
        else:
            click.echo(
                f"frees {size(plan.freed_bytes)} of {len(plan.commits)} versions for good;"
                f" {plan.kept} keep theirs"
            )
    if dry_run or not plan.commits or (asks and not click.confirm("go on?")):
        if as_json:
            show_json({"plan": plain, "done": None})
        return
    with progress() as told:
        done = repository.run_forget(plan, progress=told)
    if as_json:
        show_json({"plan": plain, "done": asdict(done)})
    else:
        click.echo(f"freed {size(done.freed_bytes)}")


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
            "packs hold more that is dead than they should, and are written anew",
        ),
        (len(plan.merged_packs), "small packs become one"),
    ):
        if count:
            yield f"{count} {what}"
    yield f"frees {size(plan.freed_bytes + plan.trash_bytes)} of {size(plan.store_bytes)}" + _in_trash(
        plan
    )


def _in_trash(plan: GcPlan) -> str:
    from mstore.text import size

    return f"; {size(plan.kept_trash_bytes)} in the trash for a day" if plan.kept_trash_bytes else ""


def _plain_plan(plan: GcPlan) -> dict[str, Any]:
    return {
        "commits": [
            {
                "id": c.id.hex,
                "message": c.message,
                "branch": c.branch,
                "time_ns": c.time_ns,
                "freed_bytes": c.freed_bytes,
            }
            for c in plan.commits
        ],
        "branches": dict(plan.branches()),
        "dead_packs": len(plan.dead_packs),
        "rewritten_packs": len(plan.rewritten_packs),
        "merged_packs": len(plan.merged_packs),
        "freed_bytes": plan.freed_bytes,
        "trash_bytes": plan.trash_bytes,
        "kept_trash_bytes": plan.kept_trash_bytes,
        "store_bytes": plan.store_bytes,
    }


@examples("""
mstore repack
""")
@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def repack(as_json: bool) -> None:
    """Code again what was stored in haste, and merge small packs.

    New packs are read back and checked before old ones go. It may be interrupted.
    """
    from mstore.text import size

    with progress() as told:
        done = repo().repack(progress=told)
    if as_json:
        show_json(asdict(done))
    elif not done.worth:
        click.echo(f"{size(done.before_bytes)}: nothing to gain, nothing changed")
    else:
        click.echo(
            f"{size(done.before_bytes)} → {size(done.after_bytes)}:"
            f" {done.removed} packs became {done.written}"
            + (f"; {done.kept} old ones are still leant on" if done.kept else "")
        )


@examples("""
mstore config
mstore config author "Ada <ada@example.org>"
mstore config model-dir out
mstore config --unset author
""")
@click.command()
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Remove KEY.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def config(key: str | None, value: str | None, unset: bool, as_json: bool) -> None:
    """Show or set what this workspace is configured to: author, model-dir."""
    from mstore.errors import NotFound, UsageError
    from mstore.text import escaped
    from mstore.workspace import CONFIG_KEYS

    workspace = repo().place.need_workspace("config")
    if key is None:
        if unset:
            raise UsageError("--unset needs a KEY")
        values = workspace.config()
        if as_json:
            show_json(values)
            return
        for name, what in CONFIG_KEYS.items():
            click.echo(f"{name} = {escaped(values[name])}" if name in values else f"# {name}: {what}")
        return
    if unset or value is not None:
        if unset and value is not None:
            raise UsageError("--unset takes no value")
        workspace.set_config(key, None if unset else value)
        return
    if key not in CONFIG_KEYS:
        raise UsageError(f"no such configuration: {key!r}", hint="known: " + ", ".join(CONFIG_KEYS))
    values = workspace.config()
    if key not in values:
        raise NotFound(f"{key} is not set")
    if as_json:
        show_json(values[key])
    else:
        click.echo(escaped(values[key]))


@examples("""
mstore completion bash >> ~/.bashrc
mstore completion fish > ~/.config/fish/completions/mstore.fish
""")
@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options, branches and tags."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(app, {}, "mstore", "_MSTORE_COMPLETE").source())


COMMANDS = (fsck, gc, forget, repack, config, completion)
