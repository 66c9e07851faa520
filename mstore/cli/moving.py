"""checkout, branch, tag, reflog, undo: moving between versions, and their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mstore.cli.app import REVISION, examples, repo
from mstore.cli.output import page, progress, show_json, warn

if TYPE_CHECKING:
    from mstore.store import Record

_F = TypeVar("_F", bound=Callable[..., Any])


@examples("""
mstore checkout 3f9c1ab --to best
mstore checkout r8~1
mstore checkout -b retry main
""")
@click.command()
@click.argument("rev", required=False, type=REVISION)
@click.option("--to", metavar="DIR", help="Write into DIR; HEAD and the model directory stay.")
@click.option(
    "-b", "new_branch", metavar="NAME", help="Make a branch at REV (default HEAD) and stand on it."
)
@click.option(
    "--force", is_flag=True, help="Replace files that no commit has; `undo` brings them back."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def checkout(
    rev: str | None, to: str | None, new_branch: str | None, force: bool, as_json: bool
) -> None:
    """Write a version into a folder, byte for byte as it was saved.

    Without --to the model directory is written and HEAD moves.
    """
    from mstore.context import shown

    if rev is None:
        if new_branch is None:
            raise click.UsageError("which version? `mstore log` lists them")
        rev = "HEAD"
    with progress() as told:
        result = repo().checkout(rev, to=to, force=force, new_branch=new_branch, progress=told)
    for warning in result.warnings:
        warn(warning)
    if as_json:
        show_json(
            {
                "id": result.id.hex,
                "path": str(result.path) if result.path else None,
                "branch": result.branch,
                "written": result.written,
                "removed": result.removed,
                "unchanged": result.unchanged,
                "backup": str(result.backup) if result.backup else None,
                "base": str(result.base) if result.base else None,
                "load": result.load,
            }
        )
        return
    where = f" → {shown(result.path)}" if result.path is not None else ""
    counts = (
        f"{result.written} files written, {result.unchanged} right already, {result.removed} removed"
    )
    click.echo(f"{click.style(result.id.short, fg='yellow')}{where}: {counts}")
    if to is None:
        if result.branch is not None:
            click.echo(f"On branch {result.branch}")
        else:
            click.echo("HEAD stands on this commit, on no branch; `mstore checkout -b NAME` begins one")
    if result.backup is not None:
        click.echo(f"What was replaced is kept; `mstore undo` brings it back ({shown(result.backup)})")
    if result.base is not None:
        click.echo(f"Its base, which is not on this machine otherwise → {shown(result.base)}")
    if result.load is not None:
        click.echo(result.load)


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


def _check_name(name: str | None, delete: bool, rename: str | None, force: bool) -> None:
    """Refuse options that say what to do without saying to what, or two things at once."""
    if name is None and (delete or rename is not None or force):
        raise click.UsageError("NAME is missing")
    if delete and (rename is not None or force):
        raise click.UsageError("--delete goes with no other option")


def _name_command(kind: str) -> Callable[[_F], _F]:
    """Options that branch and tag share."""

    def apply(function: _F) -> _F:
        for option in reversed(
            (
                click.argument("name", required=False),
                click.argument("rev", required=False, type=REVISION),
                click.option("-d", "--delete", "delete", is_flag=True, help=f"Delete {kind} NAME."),
                click.option("--rename", metavar="NEW", help=f"Give {kind} NAME another name."),
                click.option("-f", "--force", is_flag=True, help="Move it if it exists."),
                click.option("--json", "as_json", is_flag=True, help="As JSON."),
            )
        ):
            function = option(function)
        return function

    return apply


@examples("""
mstore branch
mstore branch ablation r8~1
mstore branch r8 --rename lora-r8
mstore branch -d ablation
""")
@click.command()
@_name_command("branch")
def branch(
    name: str | None, rev: str | None, delete: bool, rename: str | None, force: bool, as_json: bool
) -> None:
    """List branches; make, move, rename or delete one."""
    from mstore.text import age, escaped

    _check_name(name, delete, rename, force)
    opened = repo(rev)
    if name is None:
        found = opened.list_branches()
        if as_json:
            show_json([{"name": b.name, "id": b.id.hex, "current": b.current} for b in found])
            return
        width = max((len(b.name) for b in found), default=0)
        for b in found:
            mark = click.style("* ", fg="green") if b.current else "  "
            subject = escaped(b.commit.message.partition("\n")[0])
            click.echo(f"{mark}{b.name:{width}}  {b.id.short}  {age(b.commit.time.ns):>10}  {subject}")
        return
    if delete:
        was = opened.delete_branch(name).short
        click.echo(f"Deleted branch {name} (was {was}); `mstore undo` brings it back")
    elif rename is not None:
        opened.rename_branch(name, rename)
        click.echo(f"{name} is now {rename}")
    else:
        click.echo(f"{name} → {opened.make_branch(name, rev, force=force).short}")


@examples("""
mstore tag
mstore tag v1 r8 -m "shipped"
mstore tag -d v1
""")
@click.command()
@_name_command("tag")
@click.option("-m", "--message", help="Keep a message, a date and who tagged.")
def tag(
    name: str | None,
    rev: str | None,
    delete: bool,
    rename: str | None,
    force: bool,
    as_json: bool,
    message: str | None,
) -> None:
    """List tags; make, move, rename or delete one."""
    from mstore.text import escaped

    _check_name(name, delete, rename, force)
    opened = repo(rev)
    if name is None:
        found = opened.list_tags()
        if as_json:
            show_json(
                [
                    {"name": t.name, "id": t.id.hex, "message": t.tag.message if t.tag else None}
                    for t in found
                ]
            )
            return
        width = max((len(t.name) for t in found), default=0)
        for t in found:
            said = escaped(t.tag.message.partition("\n")[0]) if t.tag is not None else ""
            click.echo(f"{t.name:{width}}  {t.id.short}  {said}".rstrip())
        return
    if delete:
        click.echo(
            f"Deleted tag {name} (was {opened.delete_tag(name).short}); `mstore undo` brings it back"
        )
    elif rename is not None:
        opened.rename_tag(name, rename)
        click.echo(f"{name} is now {rename}")
    else:
        click.echo(f"{name} → {opened.make_tag(name, rev, message=message, force=force).short}")


@examples("""
mstore reflog
mstore reflog r8
""")
@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def reflog(name: str | None, as_json: bool) -> None:
    """Where a branch or tag has been; NAME@{n} names those places."""
    from mstore.text import age, escaped

    opened = repo()
    records = opened.reflog(name)
    if as_json:
        show_json([_plain_record(r) for r in records])
        return
    head = opened.head
    label = name if name not in (None, "HEAD", "@") else (head.branch if head else None) or "HEAD"

    def lines() -> Any:
        for index, record in enumerate(records):
            short = record.new.short if record.new is not None else "-------"
            said = f"{record.move.action}: {escaped(record.move.message)}"
            yield (
                f"{click.style(short, fg='yellow')} {label}@{{{index}}}  {age(record.move.time.ns):>10}"
                f"  {said}  ({escaped(record.move.author)})"
            )

    page(lines())


def _plain_record(record: Record) -> dict[str, Any]:
    return {
        "number": record.number,
        "old": record.old.hex if record.old else None,
        "new": record.new.hex if record.new else None,
        "action": record.move.action,
        "message": record.move.message,
        "author": record.move.author,
        "time": record.move.time.iso(),
    }


@examples("""
mstore undo                # the last thing done in this workspace
mstore undo r8             # the last move of r8, if it was made here
""")
@click.command()
@click.argument("name", required=False)
def undo(name: str | None) -> None:
    """Take back your own last move."""
    from mstore.text import escaped

    done = repo().undo(name)
    click.echo(f"Undone: {escaped(done.action)}")
    for ref, target in done.refs.items():
        click.echo(f"{ref} → {target.short if target is not None else '(gone)'}")
    if done.restored:
        click.echo(
            f"{len(done.restored)} files brought back: "
            + ", ".join(escaped(p) for p in done.restored[:6])
        )


COMMANDS = (checkout, resume, branch, tag, reflog, undo)
