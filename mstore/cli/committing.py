"""init, status, commit, note, import: what puts versions into a store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from mstore.cli.app import REVISION, examples, repo, settings
from mstore.cli.output import hint, progress, show_json, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.api.repository import Repository
    from mstore.backend import Activity
    from mstore.commit.importing import ImportResult, PlannedImport
    from mstore.commit.plan import CommitResult
    from mstore.history.status import Status
    from mstore.workspace import Workspace

_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE
)
META = click.option(
    "--meta",
    "meta",
    multiple=True,
    metavar="K=V",
    help="Metadata; V is JSON where it parses, else text.",
)
METRIC = click.option(
    "--metric", "metric", multiple=True, metavar="K=V", help="A number to keep beside the weights."
)


def read_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Metadata from `K=V` arguments."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--meta {pair!r}: must be KEY=VALUE")
        try:
            found[key] = json.loads(text)
        except (ValueError, RecursionError):
            found[key] = text
    return found


def read_metrics(pairs: tuple[str, ...]) -> dict[str, float]:
    """Metrics from `K=V` arguments."""
    found: dict[str, float] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--metric {pair!r}: must be NAME=NUMBER")
        if not _FLOAT.fullmatch(text):
            raise click.UsageError(f"--metric {pair!r}: {text!r} is not a number")
        found[key] = float(text)
    return found


def read_meta_file(path: str) -> dict[str, Any]:
    """Metadata from a JSON file. Raises Refused with line and column."""
    from mstore.errors import Refused
    from mstore.formats import read_json_object

    try:
        with open(path, "rb") as file:
            content = file.read(64 << 20)
    except OSError as error:
        raise Refused(path, f"cannot be read: {error.strerror}") from error
    return read_json_object(content, path)


@examples("""
mstore init
mstore init --model-dir out
mstore init --store /team/models.mstore --shared
""")
@click.command()
@click.option(
    "--store", "store", metavar="DIR", help="A store elsewhere (a team's disk); made if absent."
)
@click.option("--shared", is_flag=True, help="A new store's files are group-writable.")
@click.option(
    "--model-dir", metavar="DIR", help="The folder that a bare commit takes and checkout writes."
)
@click.option("--force", is_flag=True, help="Even in a folder that looks like a model directory.")
def init(store: str | None, shared: bool, model_dir: str | None, force: bool) -> None:
    """Make a workspace here, and a store in it."""
    from mstore.api import repository
    from mstore.backend import network_type

    if settings().store or settings().workspace:
        raise click.UsageError(
            "init makes things in the current folder; `init --store DIR` comes after the word"
        )
    made = repository.init(store=store, shared=shared, model_dir=model_dir, force=force)
    workspace = made.workspace
    assert workspace is not None
    click.echo(f"Made {workspace.path}")
    if store is not None:
        click.echo(f"with its store at {made.store.path}")
    kind = network_type(made.store.path)
    if kind is not None:
        warn(
            f"{made.store.path} lies on a network file system ({kind}): a commit survives what the"
            " server keeps, and gc and repack must run when nothing else uses the store"
        )
    click.echo("Next: mstore commit DIR -m MESSAGE   (DIR: what save_model or save_pretrained wrote)")


@examples("""
mstore status
""")
@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(as_json: bool) -> None:
    """Where you stand, what changed, and what to type next."""
    from mstore.context import shown
    from mstore.text import escaped

    found = repo().status()
    if as_json:
        show_json(
            {
                "branch": found.branch,
                "commit": found.commit.hex if found.commit else None,
                "model_dir": str(found.model_dir) if found.model_dir else None,
                "problem": found.problem,
                "added": found.changes.added,
                "changed": found.changes.changed,
                "removed": found.changes.removed,
                "left_out": found.left_out,
                "activity": _plain_activity(found.activity),
                "trash_bytes": found.trash_bytes,
                "staged": _staged_saves(),
                "copies": [str(folder) for folder in found.copies],
            }
        )
        return
    at = (
        f"at {found.commit.short} {escaped((found.message or '').partition(chr(10))[0])}"
        if found.commit
        else ""
    )
    if found.branch is not None:
        click.echo(f"On branch {click.style(found.branch, fg='green')} {at or '(no commit yet)'}")
    else:
        click.echo(f"HEAD stands {at}, on no branch")
    if found.problem is not None:
        click.echo(found.problem)
    elif found.model_dir is None:
        click.echo("No model directory yet: the first folder that you commit becomes it")
    else:
        name = shown(found.model_dir)
        if not found.changes:
            click.echo(f"{name}: nothing changed")
        else:
            click.echo(f"{name}: changed since then")
            for mark, colour, paths in (
                ("new", "green", found.changes.added),
                ("changed", "yellow", found.changes.changed),
                ("gone", "red", found.changes.removed),
            ):
                for path in paths:
                    click.echo("  " + click.style(f"{mark:8}", fg=colour) + escaped(path))
    if found.left_out:
        click.echo("left out: " + left_out_text(found.left_out))
    for line in _activity(found):
        click.echo(line)
    if found.commit is None:
        click.echo(f"Next: mstore commit {'' if found.model_dir else 'DIR '}-m MESSAGE")
    elif found.changes:
        click.echo("Next: mstore commit -m MESSAGE   keeps it;   mstore diff   shows it")
    else:
        click.echo("Next: mstore log   shows the history")


def _plain_activity(now: Activity | None) -> dict[str, Any] | None:
    if now is None:
        return None
    left = [{"key": entry.key, "size_bytes": entry.size_bytes} for entry in now.left]
    return {
        "held": list(now.held),
        "running": now.running,
        "writing_bytes": now.writing_bytes,
        "left": left,
    }


def _staged_saves() -> list[dict[str, Any]]:
    workspace = repo().workspace
    assert workspace is not None
    return [{"queue": queue, "saves": count} for queue, count in _staged(workspace)]


def _activity(found: Status) -> Iterator[str]:
    from mstore.text import size

    now = found.activity
    if now is not None and now.running:
        written = size(now.writing_bytes)
        yield f"{now.running} other commands are at work in this store ({written} written so far)"
    if now is not None and "gc" in now.held:
        yield "a gc or repack is at work in this store"
    if now is not None and now.left:
        count, left = len(now.left), sum(entry.size_bytes for entry in now.left)
        yield f"{count} files ({size(left)}) of commands that were killed: the next commit sweeps them"
    for folder in found.copies:
        yield f"files that a killed checkout had replaced lie in {folder}"
    workspace = repo().workspace
    assert workspace is not None
    for queue, count in _staged(workspace):
        yield f"{count} saves of a training run wait to be committed in {queue}"
    if found.trash_bytes:
        yield f"{size(found.trash_bytes)} in the trash; `mstore gc --now` frees them"


def _staged(workspace: Workspace) -> Iterator[tuple[str, int]]:
    """Queues of training runs with the number of saves in them that no commit holds yet."""
    if not (workspace.path / "staged").is_dir():
        return
    from mstore.staging.queue import registered

    for queue in registered(workspace.path):
        if count := queue.unfinished():
            yield str(queue.path), count


def _adopt_staged(repository: Repository) -> None:
    """Commit first what a killed training run had staged."""
    workspace = repository.workspace
    if workspace is None or not any(True for _ in _staged(workspace)):
        return
    from mstore.errors import MStoreError
    from mstore.staging.queue import registered
    from mstore.training.worker import adopt

    for queue in registered(workspace.path):
        try:
            adopted = adopt(queue)
        except MStoreError as error:
            warn(f"saves of a killed run wait in {queue.path}: {error.message}")
            continue
        if adopted:
            click.echo(f"committed {adopted} saves that a killed training run had staged", err=True)


def left_out_text(paths: tuple[str, ...]) -> str:
    """Ignored paths in one line."""
    from mstore.text import escaped

    text = ", ".join(escaped(p) for p in paths[:6])
    return text + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")


@examples("""
mstore commit out -m "r=8 lr=2e-4"
mstore commit out --metric eval_loss=1.84 --meta dataset=alpaca
mstore commit out/checkpoint-500 --branch ablation --without training-state
mstore commit adapter --base main -m "adapter on our own base"
""")
@click.command()
@click.argument("path", required=False)
@click.option("-m", "--message", help="What this version is; made from the facts if left out.")
@click.option("--branch", help="Append to this branch (made if absent); HEAD stays where it is.")
@click.option(
    "--base", type=REVISION, metavar="REV", help="The version that this one was trained from."
)
@click.option(
    "--without", multiple=True, metavar="ROLE", help="Leave out files of a role, e.g. training-state."
)
@META
@METRIC
@click.option(
    "--meta-file", multiple=True, metavar="FILE", help="Metadata from a JSON object in a file."
)
@click.option("--append", is_flag=True, help="If somebody moves the branch meanwhile, follow them.")
@click.option("--allow-empty", is_flag=True, help="A commit even if nothing changed.")
@click.option("--allow-no-weights", is_flag=True, help="Accept a folder without weights.")
@click.option("--allow-incomplete", is_flag=True, help="Accept an index whose shards are missing.")
@click.option("--allow-opaque", is_flag=True, help="Keep a broken .safetensors as plain bytes.")
@click.option("--strict", is_flag=True, help="Refuse unknown fields in safetensors headers.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def commit(
    path: str | None,
    message: str | None,
    meta: tuple[str, ...],
    metric: tuple[str, ...],
    meta_file: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Keep a folder as a version.

    PATH is what `save_model`, `save_pretrained` or a Trainer wrote; the first one
    committed becomes the model directory that a later bare `commit` takes.
    """
    metadata: dict[str, Any] = {}
    for name in meta_file:
        metadata.update(read_meta_file(name))
    metadata.update(read_pairs(meta))
    opened = repo()
    _adopt_staged(opened)
    with progress() as told:
        result = opened.commit(
            path,
            message=message,
            metadata=metadata,
            metrics=read_metrics(metric),
            progress=told,
            **options,
        )
    for warning in result.warnings:
        warn(warning)
    if as_json:
        show_json(_plain_commit(result))
        return
    show_commit(result)
    if result.left_out:
        click.echo(f" left out: {left_out_text(result.left_out)}")
    if result.facts is not None and result.facts.trainer is None and not result.commit.metrics:
        paths = {f.path for f in opened.manifest(result.id).files}
        if "training_args.bin" in paths:
            hint(
                "no trainer_state.json here: `trainer.save_state()` beside save_model keeps"
                " step and losses too"
            )


def _plain_commit(result: CommitResult) -> dict[str, Any]:
    return {
        "id": result.id.hex,
        "branch": result.branch,
        "created": result.created,
        "note": result.note.hex if result.note else None,
        "message": result.commit.message,
        "metrics": dict(result.commit.metrics),
        "tensors": result.tensors,
        "size_bytes": result.size_bytes,
        "new_bytes": result.new_bytes,
        "stored_bytes": result.stored_bytes,
        "left_out": result.left_out,
        "warnings": result.warnings,
    }


def show_commit(result: CommitResult) -> None:
    """The two lines that answer a commit."""
    from mstore.text import escaped

    if not result.created:
        said = f"nothing changed since {result.id.short}"
        if result.note is not None:
            said += f"; what is new is noted on it ({result.note.short})"
        click.echo(f"[{escaped(result.branch)}] {said}")
        return
    subject = escaped(result.commit.message.partition("\n")[0])
    click.echo(f"[{escaped(result.branch)} {click.style(result.id.short, fg='yellow')}] {subject}")
    click.echo(" " + facts_line(result))


def facts_line(result: CommitResult) -> str:
    """What a commit holds, in one line."""
    from mstore.formats.folder import adapter_of
    from mstore.text import escaped, number, size

    facts, parts = result.facts, []
    assert facts is not None  # a commit that was made has facts
    adapter = adapter_of(facts)
    if adapter is not None:
        text = "LoRA" if adapter.kind in (None, "LORA") else escaped(str(adapter.kind))
        if adapter.use_dora:
            text = "DoRA"
        text += f" r={adapter.rank}" if adapter.rank is not None else ""
        text += f" alpha={adapter.alpha:g}" if adapter.alpha is not None else ""
        text += f" on {len(adapter.modules)} modules" if adapter.modules else ""
        parts.append(text)
    elif facts.adapters:
        parts.append(f"{len(facts.adapters)} adapters: {', '.join(escaped(a) for a in facts.adapters)}")
    elif facts.model is not None:
        model = facts.model
        text = escaped(model.architectures[0]) if model.architectures else "model"
        if model.parameter_count:
            text += f" {_count(model.parameter_count)} parameters"
        if model.dtype:
            text += f" {escaped(model.dtype)}"
        parts.append(text)
    parts.append(f"{result.tensors} tensors, {size(result.new_bytes)} new of {size(result.size_bytes)}")
    base = result.commit.base
    if base is not None:
        parts.append(
            "base " + (escaped(base.name) if base.name else base.commit.short if base.commit else "?")
        )
    if facts.trainer is not None and facts.trainer.global_step is not None:
        parts.append(f"step {facts.trainer.global_step}")
    for name in ("loss", "eval_loss"):
        if name in result.commit.metrics:
            parts.append(f"{name.replace('_', ' ')} {number(result.commit.metrics[name])}")
    return " · ".join(parts)


def _count(elements: int) -> str:
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if elements >= limit:
            return f"{elements / limit:.3g}{unit}"
    return str(elements)


@examples("""
mstore note HEAD --metric mmlu=0.412
mstore note r8~1 --meta verdict="best so far"
""")
@click.command()
@click.argument("rev", type=REVISION)
@METRIC
@META
def note(rev: str, metric: tuple[str, ...], meta: tuple[str, ...]) -> None:
    """Add metrics or metadata to a version later; its id stays."""
    opened = repo(rev)
    made = opened.note(rev, metrics=read_metrics(metric), metadata=read_pairs(meta))
    click.echo(f"Noted on {opened.resolve(rev).short} ({made.short})")


@examples("""
mstore import out                       # out/checkpoint-500, out/checkpoint-1000, …
mstore import runs/2026-01-* --branch january
mstore import out --dry-run
""")
@click.command("import")
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--branch", help="Onto this branch; default: one for each DIR, of its name.")
@click.option("--dry-run", is_flag=True, help="Show the plan only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def import_(folders: tuple[str, ...], branch: str | None, dry_run: bool, as_json: bool) -> None:
    """Turn checkpoint folders into history.

    Each folder becomes a commit with its metrics, ordered by step or date. What is
    there already is left alone, and so are HEAD, the model directory and the folders.
    """
    from pathlib import Path

    from mstore.commit.importing import ImportResult, plan_import, run_import
    from mstore.text import size

    opened = repo()
    planned = plan_import([Path(f) for f in folders], branch=branch)
    for item in planned:
        if item.warning is not None:
            warn(item.warning)
    if dry_run:
        result = ImportResult(planned=planned, size_bytes=sum(p.size_bytes for p in planned))
        if not as_json:
            for item in planned:
                click.echo(f"{item.branch}: {item.order}  {size(item.size_bytes)}  {item.path}")
    else:

        def told(item: PlannedImport, result: CommitResult) -> None:
            if not as_json:
                click.echo(f"{item.path}: ", nl=False)
                show_commit(result)

        with progress() as bar:
            result = run_import(opened.place, planned, progress=bar, told=told)
    if as_json:
        show_json(_plain_import(result))
        return
    count = f"{len(planned)} checkpoint{'s' if len(planned) != 1 else ''}"
    if dry_run:
        click.echo(f"{size(result.size_bytes)} in {count}; nothing was imported (--dry-run)")
    else:
        click.echo(f"{size(result.size_bytes)} in {count} → {size(result.stored_bytes)}")


def _plain_import(result: ImportResult) -> dict[str, Any]:
    return {
        "planned": [
            {"path": str(p.path), "branch": p.branch, "order": p.order, "size_bytes": p.size_bytes}
            for p in result.planned
        ],
        "commits": [_plain_commit(c) for c in result.commits],
        "size_bytes": result.size_bytes,
        "stored_bytes": result.stored_bytes,
    }


COMMANDS = (init, status, commit, note, import_)
