"""Types of what gc, forget, repack and a repair give under `--json`, and their plans; see `shared`."""

from collections.abc import Mapping
from typing import TypedDict

from mstore.render.json.shared import Bytes, Id, TimeText


class UnreachableDocument(TypedDict):
    """A version that no name reaches.

    Args:
        id: the commit.
        subject: the first line of its message.
        branch: the branch that once had it; null where no reflog says.
        time: when it was made.
        freed_bytes: bytes that only it and later such versions need.
    """

    id: Id
    subject: str
    branch: str | None
    time: TimeText
    freed_bytes: Bytes


class GcPlanDocument(TypedDict):
    """The plan of a gc.

    Args:
        versions: those that would go, the oldest first.
        branch_bytes: bytes that would be freed, by the branch that once had them.
        dead_pack_count: unneeded packs.
        rewritten_pack_count: packs that would be rewritten without unneeded objects.
        merged_pack_count: small packs that would become one.
        freed_bytes: unneeded bytes in packs.
        unfinished_bytes: those of them that belong to no commit.
        purged_bytes: bytes in the trash that would be purged.
        trash_bytes: bytes that would stay in the trash.
        pack_bytes: all packs.
        now: reflogs would be ignored, and the trash would be emptied.
    """

    versions: list[UnreachableDocument]
    branch_bytes: Mapping[str, Bytes]
    dead_pack_count: int
    rewritten_pack_count: int
    merged_pack_count: int
    freed_bytes: Bytes
    unfinished_bytes: Bytes
    purged_bytes: Bytes
    trash_bytes: Bytes
    pack_bytes: Bytes
    now: bool


class GcDocument(TypedDict):
    """The result of a gc.

    Args:
        freed_bytes: bytes freed on the disk.
        trash_bytes: bytes in the trash, which are purged after a day there.
        removed_pack_count: packs that were removed.
        written_pack_count: packs that were written.
        undeleted_pack_count: packs that stay, since a running command depends on them.
        plan: its plan.
    """

    freed_bytes: Bytes
    trash_bytes: Bytes
    removed_pack_count: int
    written_pack_count: int
    undeleted_pack_count: int
    plan: GcPlanDocument


class ForgottenDocument(TypedDict):
    """The files that one version would lose.

    Args:
        id: the commit.
        subject: the first line of its message.
        roles: the roles of these files.
        file_count: the number of files.
        size_bytes: their sizes.
    """

    id: Id
    subject: str
    roles: list[str]
    file_count: int
    size_bytes: Bytes


class ForgetPlanDocument(TypedDict):
    """The plan of a forget.

    Args:
        versions: those that would lose files, the oldest first.
        kept_count: versions that keep theirs.
        freed_bytes: stored bytes that would no longer be needed.
    """

    versions: list[ForgottenDocument]
    kept_count: int
    freed_bytes: Bytes


class ForgetDocument(TypedDict):
    """The result of a forget.

    Args:
        version_count: versions that lost files.
        freed_bytes: bytes freed on the disk.
        plan: its plan.
    """

    version_count: int
    freed_bytes: Bytes
    plan: ForgetPlanDocument


class RepackDocument(TypedDict):
    """The result of a repack.

    Args:
        worth: false where neither bytes nor packs would have become fewer, and nothing was changed.
        before_bytes: all packs before.
        after_bytes: all packs now.
        removed_pack_count: packs that were removed.
        written_pack_count: packs that were written.
        kept_pack_count: old packs that stay, since a running command depends on them.
    """

    worth: bool
    before_bytes: Bytes
    after_bytes: Bytes
    removed_pack_count: int
    written_pack_count: int
    kept_pack_count: int


class RepackPlanDocument(TypedDict):
    """The plan of a repack; its gain is known only when it is done.

    Args:
        pack_count: packs that would be read, and replaced by new ones.
        object_count: the objects in them.
        raw_bytes: these objects before encoding.
        pack_bytes: all packs.
        merges: there are many small packs, which would be merged in any case.
    """

    pack_count: int
    object_count: int
    raw_bytes: Bytes
    pack_bytes: Bytes
    merges: bool


class ReflogRepairDocument(TypedDict):
    """A reflog that would lose the records that cannot be read.

    Args:
        ref: its ref, with the namespace.
        kept_count: records that would stay.
        cut_count: records that would go into quarantine.
    """

    ref: str
    kept_count: int
    cut_count: int


class RefRepairDocument(TypedDict):
    """A damaged ref that would get the value that its reflog has.

    Args:
        ref: its name, with the namespace.
        id: the object that it would name.
    """

    ref: str
    id: Id


class PackRepairDocument(TypedDict):
    """A damaged pack: its whole objects would go into a new one.

    Args:
        pack: its name.
        size_bytes: its size.
        object_count: the objects in it, as far as that can be read.
        whole_count: those that are whole.
        quarantine: the key that it would get in the store.
    """

    pack: Id
    size_bytes: Bytes
    object_count: int
    whole_count: int
    quarantine: str


class RepairPlanDocument(TypedDict):
    """The plan of a repair.

    Args:
        ok: nothing is damaged; otherwise the exit code is 4.
        reflogs: damaged ones that can be repaired.
        refs: damaged ones that can be repaired.
        packs: damaged ones that can be repaired.
        source_path: where lost objects would be fetched from; null where no store was named.
        fetched: ids of lost objects that it has, with what they need in turn.
        lost: ids of those that would stay lost.
    """

    ok: bool
    reflogs: list[ReflogRepairDocument]
    refs: list[RefRepairDocument]
    packs: list[PackRepairDocument]
    source_path: str | None
    fetched: list[Id]
    lost: list[Id]
