"""mstore commit: keep a model directory as a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mstore.cli.context import examples, look_up, repo
from mstore.cli.output import echo_lines, hint, progress, show_plan, styled, warn
from mstore.cli.params import META, METRIC, REVISION, json_options, read_metrics, read_pairs

if TYPE_CHECKING:
    from mstore.api.repository import Repository
    from mstore.api.values import CommitResult, Revision


def _adopt_staged(repository: Repository) -> None:
    """Commit the saves that a killed training run had staged."""
    waiting = repository.staged()
    if not waiting:
        return
    from mstore.text import counted
    from mstore.training.worker import adopt_staged

    for queue, adopted in adopt_staged(queue for queue, _ in waiting):
        if not isinstance(adopted, int):
            warn(f"cannot commit the saves of a killed run in {queue}: {adopted.message}")
        elif adopted:
            saves = counted(adopted, "save")
            click.echo(f"committed {saves} that a killed training run had staged", err=True)


@examples("""
mstore commit out -m "r=8 lr=2e-4"
mstore commit out --metric eval_loss=1.84 --meta dataset=alpaca
mstore commit out/checkpoint-500 --branch ablation --without training-state
mstore commit adapter --base main -m "adapter on our own base"
""")
@click.command()
@click.argument("path", required=False)
@click.option("-m", "--message", help="Describe this version (default: its facts).")
@click.option("--branch", help="Commit to this branch, made if absent; HEAD does not move.")
@click.option(
    "--base", type=REVISION, metavar="REV", help="Name the version that this one was trained from."
)
@click.option(
    "--without", multiple=True, metavar="ROLE", help="Leave out files of a role, e.g. training-state."
)
@META
@METRIC
@click.option(
    "--meta-file", multiple=True, metavar="FILE", help="Add metadata from a JSON object in a file."
)
@click.option(
    "--append", is_flag=True, help="Commit on top if another process moves the branch meanwhile."
)
@click.option("--allow-empty", is_flag=True, help="Allow a commit that changes nothing.")
@click.option("--allow-no-weights", is_flag=True, help="Accept a folder without weights.")
@click.option("--allow-incomplete", is_flag=True, help="Accept an index whose shards are missing.")
@click.option("--allow-opaque", is_flag=True, help="Keep a broken .safetensors as plain bytes.")
@click.option("--strict", is_flag=True, help="Refuse unknown fields in safetensors headers.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@json_options()
def commit(
    path: str | None,
    message: str | None,
    base: Revision | None,
    meta: tuple[str, ...],
    metric: tuple[str, ...],
    meta_file: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Keep a folder as a version.

    PATH is a folder that `save_model`, `save_pretrained` or a Trainer wrote; the first one
    committed becomes the model directory that a later bare `commit` takes.
    """
    metadata: dict[str, Any] = {}
    if meta_file:
        from mstore.api.metadata import read_metadata

        for name in meta_file:
            metadata.update(read_metadata(name))
    metadata.update(read_pairs(meta))
    opened = repo()
    if not dry_run:
        _adopt_staged(opened)
    plan = opened.plan_commit(
        path,
        message=message,
        base=look_up(base) if base is not None else None,
        metadata=metadata,
        metrics=read_metrics(metric),
        **options,
    )
    if dry_run:
        show_plan(plan, as_json)
        return
    with progress() as report:
        result = opened.run_commit(plan, progress=report)
    if as_json:
        _show_json(opened, result)
    else:
        _show(opened, result)


def _show_json(opened: Repository, result: CommitResult) -> None:
    from mstore.cli.json_output import show_json
    from mstore.render.json.documents import committed_document

    (entry,) = opened.entries([result.id]).values()
    show_json(committed_document(entry, result))


def _show(opened: Repository, result: CommitResult) -> None:
    from mstore.render.commit import commit_lines

    for warning in result.warnings:
        warn(warning)
    echo_lines(commit_lines(result, styled))
    if result.facts is not None and result.facts.trainer is None and not result.commit.metrics:
        paths = {f.path for f in opened.manifest(result.id).files}
        if "training_args.bin" in paths:
            hint(
                "no trainer_state.json here: `trainer.save_state()` beside save_model keeps"
                " step and losses too"
            )
