"""Frozen values and their encoding; no I/O. Source: docs/format.md sections 3 to 5."""

from mstore.objects.commit import Base, Commit
from mstore.objects.encoding import decode, encode
from mstore.objects.ids import (
    ID_TYPES,
    BlobId,
    CommitId,
    Kind,
    LayoutId,
    ManifestId,
    NoteId,
    ObjectId,
    TagId,
    WeightsId,
    blob_id,
    hasher_of_blob,
    object_id,
    pack_name,
)
from mstore.objects.layout import Layout, Slice, TensorEntry
from mstore.objects.manifest import (
    MODEL_ROLES,
    ROLES,
    TRAINING_STATE,
    Manifest,
    ManifestFile,
    Segment,
    holds_tensors,
    pack_group,
)
from mstore.objects.note import Note
from mstore.objects.paths import check_path, folded
from mstore.objects.segments import tensor_blobs
from mstore.objects.tag import Tag
from mstore.objects.time import Time
from mstore.objects.weights_id import weights_id_of

__all__ = [
    "ID_TYPES",
    "MODEL_ROLES",
    "ROLES",
    "TRAINING_STATE",
    "Base",
    "BlobId",
    "Commit",
    "CommitId",
    "Kind",
    "Layout",
    "LayoutId",
    "Manifest",
    "ManifestFile",
    "ManifestId",
    "Note",
    "NoteId",
    "ObjectId",
    "Segment",
    "Slice",
    "Tag",
    "TagId",
    "TensorEntry",
    "Time",
    "WeightsId",
    "blob_id",
    "check_path",
    "decode",
    "encode",
    "folded",
    "hasher_of_blob",
    "holds_tensors",
    "object_id",
    "pack_group",
    "pack_name",
    "tensor_blobs",
    "weights_id_of",
]
