"""What kind of disk a folder lies on, by the system's table of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.fs.mounts import network_type

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
40 22 0:50 / /net rw - nfs4 server:/net rw
41 40 254:1 / /net/fast rw - xfs /dev/vdb rw
42 22 0:51 / /mnt/a\040b rw - fuse.sshfs host:/x rw
43 22 0:52 / /mnt/local rw - fuse.bindfs /dev/fuse rw
44 22 0:53 / /over rw - ext4 /dev/vdc rw
45 22 0:54 / /over rw - cifs //server/over rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/store", None),
        ("/net/ada/run/.mstore", "nfs4"),
        ("/net", "nfs4"),
        ("/nets/ada", None),
        ("/net/fast/run", None),
        ("/mnt/a b/store", "fuse.sshfs"),
        ("/mnt/local/store", None),
        ("/over/store", "cifs"),
    ],
)
def test_network_disks_are_known_by_their_mounts(folder: str, kind: str | None) -> None:
    assert network_type(Path(folder), mounts=MOUNTS) == kind
