"""What the system says becomes an error of ours, with the file, the reason and a hint."""

from __future__ import annotations

import errno
import os

import pytest

from mstore.errors import BadPath, DurabilityUnknown, StorageFailed
from mstore.fs.failures import UnconfirmedChange, storage_failed, translated, unreadable, write_failed


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EIO, None),
    ],
)
def test_a_failure_says_what_why_and_what_to_do(number: int, hint: str | None) -> None:
    found = storage_failed(_error(number), "cannot read /x")
    assert str(found) == f"cannot read /x: {os.strerror(number)}"
    assert (found.errno, found.hint) == (number, hint)


def test_an_error_without_a_number_keeps_its_text() -> None:
    found = storage_failed(OSError("odd"), "cannot read /x")
    assert (str(found), found.errno, found.hint) == ("cannot read /x: odd", None, None)


def test_a_block_is_translated_and_other_errors_pass() -> None:
    with pytest.raises(StorageFailed, match="cannot make /x") as met, translated("cannot make /x"):
        raise _error(errno.ENOSPC)
    assert isinstance(met.value.__cause__, OSError)
    with pytest.raises(ValueError, match="ours"), translated("cannot make /x"):
        raise ValueError("ours")


def test_a_change_that_the_disk_did_not_confirm_is_told_from_a_failure() -> None:
    change = UnconfirmedChange(errno.EIO, "Input/output error")
    with (
        pytest.raises(DurabilityUnknown) as met,
        translated("cannot write HEAD", done="HEAD was replaced"),
    ):
        raise change
    assert str(met.value).startswith("HEAD was replaced, but the disk did not confirm")
    assert str(met.value).endswith("Input/output error") and met.value.errno == errno.EIO
    # Where nobody says what was done, it is a failure like others.
    with pytest.raises(StorageFailed) as failed, translated("cannot write HEAD"):
        raise change
    assert not isinstance(failed.value, DurabilityUnknown)


@pytest.mark.parametrize("number", [errno.ELOOP, errno.ENOTDIR])
def test_a_link_on_the_way_of_a_write_is_bad_input(number: int) -> None:
    found = write_failed(_error(number), "out/a")
    assert isinstance(found, BadPath) and found.where == "out/a" and "link" in found.rule


def test_another_failed_write_is_the_systems() -> None:
    found = write_failed(_error(errno.ENOSPC), "out/a")
    assert isinstance(found, StorageFailed) and str(found).startswith("cannot write out/a: ")


def test_a_users_file_that_cannot_be_read_is_bad_input() -> None:
    found = unreadable(_error(errno.EACCES), "a.json")
    assert (found.where, found.rule) == ("a.json", "cannot be read: Permission denied")
    found = unreadable(_error(errno.ELOOP), "a.json", "cannot be listed")
    assert found.rule == "cannot be listed: is a symbolic link"
