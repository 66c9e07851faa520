"""The object that each command gives under `--json`, in each of its forms."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mstore.render.json import changing, difference, looking, maintaining, shared


class Form(NamedTuple):
    """The output of a command in one of its forms.

    Args:
        kind: the type of the object, `schema` aside.
        elements: the key of the list that it gives element by element; None where it gives none.
        element: the type of these.
    """

    kind: Any
    elements: str | None = None
    element: Any = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that `--fields` chooses from."""
        return tuple(fields_of(self.kind if self.element is None else self.element))


def fields_of(kind: Any) -> dict[str, Any]:
    """Find the fields of a type and their types, in the order in which they are given."""
    from typing import get_type_hints

    hints: dict[str, Any] = get_type_hints(kind, include_extras=True)
    return hints


FORMS: Final = {
    "init": Form(changing.InitDocument),
    "status": Form(looking.StatusDocument),
    "commit": Form(shared.CommittedDocument),
    "commit --dry-run": Form(changing.CommitPlanDocument),
    "note": Form(changing.NotedDocument),
    "import": Form(changing.ImportDocument),
    "import --dry-run": Form(changing.ImportPlanDocument),
    "log": Form(looking.LogDocument, "versions", shared.VersionDocument),
    "compare": Form(looking.ComparisonDocument),
    "show": Form(looking.ShowDocument),
    "ls": Form(looking.FilesDocument, "files", shared.FileDocument),
    "ls --tensors": Form(looking.TensorsDocument, "tensors", shared.TensorDocument),
    "diff": Form(difference.DiffDocument),
    "du": Form(looking.UsageDocument),
    "checkout": Form(changing.CheckoutDocument),
    "checkout --dry-run": Form(changing.CheckoutPlanDocument),
    "resume": Form(changing.ResumeDocument),
    "branch": Form(changing.BranchesDocument, "branches", changing.BranchDocument),
    "branch NAME": Form(changing.NameDocument),
    "tag": Form(changing.TagsDocument, "tags", changing.TagDocument),
    "tag NAME": Form(changing.NameDocument),
    "reflog": Form(looking.ReflogDocument, "moves", looking.MoveDocument),
    "undo": Form(changing.UndoDocument),
    "undo --dry-run": Form(changing.UndoPlanDocument),
    "fsck": Form(looking.FsckDocument),
    "fsck --repair --dry-run": Form(maintaining.RepairPlanDocument),
    "gc": Form(maintaining.GcDocument),
    "gc --dry-run": Form(maintaining.GcPlanDocument),
    "forget": Form(maintaining.ForgetDocument),
    "forget --dry-run": Form(maintaining.ForgetPlanDocument),
    "repack": Form(maintaining.RepackDocument),
    "repack --dry-run": Form(maintaining.RepackPlanDocument),
    "config": Form(changing.ConfigDocument),
}
"""By the command, and the option or argument that gives it another form."""

WITHOUT: Final = {
    "cat": "its output is a file's bytes",
    "completion": "its output is a shell's script",
}
"""Commands without `--json`, and why."""
