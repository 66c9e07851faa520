"""The kind of disk of a folder: a local one keeps the promises, a network one less."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
# Types of mounts whose bytes lie on another machine, as Linux spells them.
_NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "cvmfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "smb3",
        "smbfs",
        "wekafs",
    }
)
_NETWORK_FUSE: Final = (
    "blobfuse",
    "ceph",
    "gcsfuse",
    "glusterfs",
    "goofys",
    "juicefs",
    "mfs",
    "rclone",
    "s3",
    "sshfs",
)


def network_type(folder: Path, *, mounts: str | None = None) -> str | None:
    """Return the type of the network file system that a folder lies on; None on a local disk.

    Args:
        folder: where; need not exist yet.
        mounts: the text of /proc/self/mountinfo (proc(5)); None: read it. Where the system
            has no such file (macOS), nothing is found.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        except OSError:
            return None
    path = os.path.realpath(folder)
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point the later hides the earlier.
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    if kind in _NETWORK:
        return kind
    program = kind.removeprefix("fuse.")
    return kind if kind.startswith("fuse.") and program.startswith(_NETWORK_FUSE) else None
