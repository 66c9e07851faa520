"""fsck: is everything in the store what was stored, and all there?

From the names down (refs → commits → manifests → blobs) and from the bytes up
(every pack, every block). It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mstore.codec import BLOCK_HEADER_SIZE
from mstore.errors import Corrupt, MStoreError, NotFound, StorageFailed, Unsupported
from mstore.objects import CommitId, NoteId, ObjectId, TagId
from mstore.store import forgotten_roles
from mstore.store.pack import read_footer
from mstore.store.pack_keys import name_of_key, pack_key
from mstore.worktree.destination import check_paths

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.objects import Manifest
    from mstore.progress import Progress
    from mstore.store import Store


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be.

    Args:
        where: the pack, ref or object.
        what: the rule that does not hold.
        affects: commits and files that need it.
        hint: what to do, or None.
    """

    where: str
    what: str
    affects: tuple[str, ...] = ()
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class FsckResult:
    """What fsck found.

    Args:
        problems: damage; empty if all is well.
        warnings: what is unusual and harmless.
        packs, objects, commits: how many were looked at.
        bytes_read: stored bytes that were checked.
        quick: blocks were checked by their sums, not objects by their ids.
    """

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    packs: int = 0
    objects: int = 0
    commits: int = 0
    bytes_read: int = 0
    quick: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


@dataclass
class Findings:
    """What a check has found so far.

    Args:
        problems, warnings: as in `FsckResult`.
        bad, good: objects of which a copy is damaged, or is whole.
        lost: objects that something needs and no readable copy is left of.
        packs: packs that hold damage.
        refs, logs: refs and reflogs, with their namespaces, that are damaged.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    bad: dict[ObjectId, str] = field(default_factory=dict)
    good: set[ObjectId] = field(default_factory=set)
    lost: set[ObjectId] = field(default_factory=set)
    packs: set[bytes] = field(default_factory=set)
    refs: set[str] = field(default_factory=set)
    logs: set[str] = field(default_factory=set)
    packs_seen: int = 0
    commits: int = 0
    objects: int = 0
    bytes_read: int = 0
    quick: bool = False

    def problem(self, where: str, what: str, hint: str | None = None) -> None:
        """Take note of damage."""
        self.problems.append(Problem(where, what, (), hint))


def fsck(context: Context, *, quick: bool = False, progress: Progress | None = None) -> FsckResult:
    """Check a store.

    Args:
        context: the store, and the workspace if there is one.
        quick: check stored bytes by their sums at memory speed; decode and hash nothing.
        progress: told of bytes checked.

    Raises:
        StorageFailed: the system failed.
    """
    return result_of(check(context, quick=quick, progress=progress))


def check(context: Context, *, quick: bool, progress: Progress | None) -> Findings:
    """Check a store; see `fsck`."""
    store = context.store
    store.rebuild()
    findings = Findings(quick=quick)
    findings.packs_seen = _check_packs(store, findings, quick, progress)
    findings.commits = _check_names(context, findings)
    return findings


def result_of(findings: Findings) -> FsckResult:
    """Findings as a value."""
    return FsckResult(
        problems=tuple(findings.problems),
        warnings=tuple(findings.warnings),
        packs=findings.packs_seen,
        objects=findings.objects,
        commits=findings.commits,
        bytes_read=findings.bytes_read,
        quick=findings.quick,
    )


# -- from the bytes up


def _check_packs(store: Store, findings: Findings, quick: bool, progress: Progress | None) -> int:
    entries = []
    try:
        for entry in store.backend.list("packs"):
            name = name_of_key(entry.key)
            if name is None:
                findings.warnings.append(Problem(entry.key, "is no pack's name; it is not read"))
            else:
                entries.append((name, entry.size_bytes))
    except Corrupt as error:
        findings.problem(error.where, error.rule)
    total, done = sum(size for _, size in entries), 0
    for name, size in entries:
        known = len(findings.problems)
        check_pack_file(store, name, findings, quick=quick)
        if len(findings.problems) > known:
            findings.packs.add(name)
        done += size
        if progress is not None:
            progress("checking", done, total)
    for id in findings.good:
        findings.bad.pop(id, None)
    return len(entries)


def check_pack_file(store: Store, name: bytes, findings: Findings, *, quick: bool = True) -> None:
    """Check one pack, byte for byte: by the sums of what is stored, or by the ids of its objects."""
    where = f"pack {name.hex()[:12]}"
    try:
        expected_size, frames = read_footer(store.backend, name)
    except (Corrupt, Unsupported) as error:
        findings.problem(where, getattr(error, "rule", str(error)))
        return
    except KeyError:
        return
    size = store.backend.size(pack_key(name))
    if expected_size != size:
        findings.problem(where, f"has {size} bytes where its footer accounts for {expected_size}")
    if store.backend.get(pack_key(name), size=8) != b"MSTOREP1":
        findings.problem(where, "does not begin with a pack's magic")
    position = 8
    for index, frame in enumerate(frames):
        findings.objects += 1
        id = frame.head.id
        if frame.offset != position:
            findings.problem(where, f"frame {index} does not begin where the one before it ends")
        position = frame.offset + frame.stored_size
        try:
            reader = store.reader_of(name, frame)
            reader.check_frame_start()
            if quick:
                for block in range(len(frame.blocks)):
                    reader.stored_block(block)
            else:
                reader.check_id()
            findings.good.add(id)
        except (Corrupt, Unsupported, NotFound) as error:
            rule = error.rule if isinstance(error, Corrupt) else error.message
            inside = error.where if isinstance(error, Corrupt) else where
            findings.problem(inside, rule)
            findings.bad.setdefault(id, rule)
        except KeyError:
            findings.problem(where, "vanished while it was checked")
            return
        findings.bytes_read += frame.stored_size + BLOCK_HEADER_SIZE


# -- from the names down


def _check_names(context: Context, findings: Findings) -> int:
    store = context.store
    refs = store.refs
    tips: list[tuple[CommitId, str]] = []
    for namespace in ("heads", "tags", "notes", "pins"):
        try:
            names = list(refs.names(namespace))
        except Corrupt as error:
            findings.problem(error.where, error.rule)
            continue
        for name in names:
            _check_ref(store, namespace, name, findings, tips)
        for name in refs.logged(namespace):
            _check_reflog(store, namespace, name, name in names, findings)
    for name in refs.logged("refused"):
        _check_reflog(store, "refused", name, True, findings)
    if context.workspace is not None:
        try:
            head = context.workspace.head
            if head.commit is not None:
                tips.append((head.commit, "HEAD"))
        except MStoreError as error:
            findings.problem("HEAD", error.message)
    return _check_commits(store, tips, findings)


def _check_ref(
    store: Store, namespace: str, name: str, findings: Findings, tips: list[tuple[CommitId, str]]
) -> None:
    where = f"refs/{namespace}/{name}"
    try:
        value = store.refs.read(f"{namespace}/{name}")
    except (Corrupt, StorageFailed) as error:
        last = _last_logged(store, f"{namespace}/{name}")
        findings.refs.add(f"{namespace}/{name}")
        hint = None
        if last is not None:
            hint = f"its reflog says {last.hex}"
            if namespace == "heads":
                hint += f": `mstore branch -f {name} {last.short}` puts it back"
        findings.problem(where, getattr(error, "rule", error.message), hint)
        if isinstance(last, CommitId):
            tips.append((last, where))
        return
    if value is None:
        return
    try:
        target: ObjectId = value.target
        if isinstance(target, TagId):
            target = store.tag(target).target
        if isinstance(target, CommitId):
            tips.append((target, where))
        elif isinstance(target, NoteId):
            _check_notes(store, namespace, name, target, findings)
    except (Corrupt, NotFound, Unsupported) as error:
        findings.lost.add(value.target)
        findings.problem(where, error.message)


def _check_notes(store: Store, namespace: str, name: str, id: NoteId, findings: Findings) -> None:
    """Check all notes of a chain; they are about the object that their ref is named after."""
    where, next_id = f"refs/{namespace}/{name}", id
    while True:
        try:
            note = store.note(next_id)
        except (Corrupt, NotFound, Unsupported) as error:
            findings.lost.add(next_id)
            findings.problem(where, error.message)
            return
        if namespace != "notes" or note.subject.hex != name:
            findings.problem(where, f"its note {next_id.short} is about {note.subject.short}")
        if note.previous is None:
            return
        next_id = note.previous


def _last_logged(store: Store, name: str) -> ObjectId | None:
    records = store.refs.log_readable(name)
    return records[0].new if records else None


def _check_reflog(store: Store, namespace: str, name: str, exists: bool, findings: Findings) -> None:
    where = f"logs/{namespace}/{name}"
    try:
        records = store.refs.log_even_unfinished(f"{namespace}/{name}")
    except Corrupt as error:
        findings.logs.add(f"{namespace}/{name}")
        findings.problem(error.where, error.rule)
        return
    if not exists and records and records[0].new is not None:
        findings.warnings.append(
            Problem(
                where,
                f"ends with a move to {records[0].new.short}, and there is no such ref: an unfinished"
                " move, or the ref's file was lost",
                hint=f"`mstore branch {name} {records[0].new.short}` makes it"
                if namespace == "heads"
                else None,
            )
        )


def _check_commits(store: Store, tips: list[tuple[CommitId, str]], findings: Findings) -> int:
    """Walk all history once; gives the number of commits."""
    seen: set[CommitId] = set()
    manifests: set[Any] = set()
    affected: dict[ObjectId, list[str]] = {}
    waiting = list(tips)
    while waiting:
        id, needed_by = waiting.pop()
        if id in seen:
            continue
        seen.add(id)
        try:
            commit = store.commit(id)
        except (MStoreError, KeyError) as error:
            findings.lost.add(id)
            findings.problem(f"commit {id.short}", f"{_said(error)} (needed by {needed_by})")
            continue
        waiting += [(parent, f"commit {id.short}") for parent in commit.parents]
        try:
            dropped = forgotten_roles(store, id)
        except MStoreError:  # Named with the notes' ref.
            dropped = frozenset()
        if (commit.manifest, dropped) in manifests:
            continue
        manifests.add((commit.manifest, dropped))
        try:
            manifest = store.manifest(commit.manifest)
            check_paths(manifest.files)
        except (MStoreError, KeyError) as error:
            findings.lost.add(commit.manifest)
            findings.problem(
                f"manifest {commit.manifest.short}", f"{_said(error)} (of commit {id.short})"
            )
            continue
        _check_manifest(store, id, manifest, dropped, findings, affected)
    # Each damaged or missing object once, with what needs it.
    findings.lost |= affected.keys()
    for object, uses in affected.items():
        what = findings.bad.get(object) or "is in no readable pack"
        named = tuple(uses[:20]) + ((f"and {len(uses) - 20} more",) if len(uses) > 20 else ())
        findings.problems.append(Problem(object.label, what, named))
    return len(seen)


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, MStoreError) else "is missing"


def _check_manifest(
    store: Store,
    id: CommitId,
    manifest: Manifest,
    dropped: frozenset[str],
    findings: Findings,
    affected: dict[ObjectId, list[str]],
) -> None:
    for file in manifest.files:
        if file.role in dropped:
            continue
        position = 0
        tensors = {}
        if file.layout is not None:
            if not _is_readable(store, findings, file.layout):
                affected.setdefault(file.layout, []).append(f"{id.short}:{file.path}")
            else:
                tensors = {t.begin: t.name for t in store.layout(file.layout).tensors}
        for segment in file.segments:
            if not _is_readable(store, findings, segment.blob):
                tensor = f" tensor {tensors[position]!r}" if position in tensors else ""
                affected.setdefault(segment.blob, []).append(f"{id.short}:{file.path}{tensor}")
            elif segment.offset + segment.length > (store.size_of(segment.blob) or 0):
                findings.problem(
                    f"manifest {manifest.id.short}",
                    f"{file.path} needs bytes beyond the end of blob {segment.blob.short}"
                    f" (of commit {id.short})",
                )
            position += segment.length


def _is_readable(store: Store, findings: Findings, id: ObjectId) -> bool:
    if id in findings.good:
        return True
    if id in findings.bad:
        return False
    if not store.has(id):
        store.undelete(lambda other: other == id)
    return store.has(id)


__all__ = ["Findings", "FsckResult", "Problem", "check", "fsck", "result_of"]
