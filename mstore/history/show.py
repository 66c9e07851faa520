"""show, ls, cat: looking into one version without writing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.errors import Corrupt, NotFound
from mstore.history.entry import LogEntry, decorations, entry_of
from mstore.history.sizes import sizes_of_commit
from mstore.store import forgotten_since, notes_on
from mstore.text import counted, near_hint, near_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from mstore.context import Context
    from mstore.objects import BlobId, CommitId, Manifest, ManifestFile, Note
    from mstore.store import Store


@dataclass(frozen=True)
class CommitDetails:
    """A version in full."""

    entry: LogEntry
    manifest: Manifest
    notes: tuple[Note, ...]


def show(context: Context, id: CommitId) -> CommitDetails:
    """Describe a version in full. Raises NotFound, Corrupt."""
    commit = context.store.commit(id)
    entry = entry_of(context, id, commit, decorations(context).get(id, ()))
    sizes_of_commit(context.store, id, commit)
    return CommitDetails(entry, context.store.manifest(commit.manifest), notes_on(context.store, id))


def manifest_of(context: Context, id: CommitId) -> Manifest:
    """Give the manifest of a version. Raises NotFound, Corrupt."""
    return context.store.manifest(context.store.commit(id).manifest)


def file_of(manifest: Manifest, path: str) -> ManifestFile:
    """Find a file of a version. Raises NotFound, with near names."""
    file = manifest.by_path.get(path)
    if file is None:
        hint = near_hint(near_names(path, manifest.by_path))
        raise NotFound(
            f"no file {path!r} in this version", hint=hint or "`mstore ls REV` lists its files"
        )
    return file


def cat(context: Context, id: CommitId, path: str) -> Iterator[Buffer]:
    """Yield a file of a version in parts, each blob checked against its id at its end.

    Raises:
        NotFound: there is no such file.
        Corrupt: a blob is damaged; what came before it has been given already.
    """
    commit = context.store.commit(id)
    file = file_of(context.store.manifest(commit.manifest), path)
    for role, time in forgotten_since(context.store, id):
        if role == file.role:
            raise NotFound(
                f"{path} of {id.short} was forgotten on {time.iso()[:10]}, with its other {role}"
            )
    return _streamed(context.store, file)


def _streamed(store: Store, file: ManifestFile) -> Iterator[Buffer]:
    uses: dict[BlobId, int] = {}
    for segment in file.segments:
        uses[segment.blob] = uses.get(segment.blob, 0) + 1
    mixed: dict[BlobId, bytes] = {}
    for segment in file.segments:
        if uses[segment.blob] == 1 and segment.offset == 0:
            left = segment.length
            # To its end, even where less is needed: the check of the id comes last.
            for part in store.stream(segment.blob):
                view = memoryview(part).cast("B")[:left]
                left -= len(view)
                if len(view):
                    yield view
            if left:
                raise Corrupt(
                    f"blob {segment.blob.short}",
                    f"is {counted(left, 'byte')} shorter than {file.path} needs",
                )
            continue
        # Bytes between tensors: one blob, a few MiB at most, used in many places.
        if segment.blob not in mixed:
            mixed[segment.blob] = store.get(segment.blob)
        content = mixed[segment.blob][segment.offset : segment.offset + segment.length]
        if len(content) != segment.length:
            raise Corrupt(f"blob {segment.blob.short}", f"ends before what {file.path} needs of it")
        yield content
