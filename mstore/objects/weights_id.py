"""The identity of a model, whatever its sharding. Source: docs/format.md section 5.7."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.objects.encoding import encode
from mstore.objects.ids import weights_digest

if TYPE_CHECKING:
    from mstore.objects.ids import BlobId, WeightsId


def weights_id_of(tensors: list[tuple[str, str, tuple[int, ...], BlobId]]) -> WeightsId:
    """Compute the weights id of a model.

    Args:
        tensors: name, dtype, shape and BLAKE3-256 of the bytes, of every tensor.
    """
    rows = sorted(tensors, key=lambda t: (t[0].encode(), t[1], t[2], t[3].raw))
    return weights_digest(encode([[n, d, list(s), b.raw] for n, d, s, b in rows]))
