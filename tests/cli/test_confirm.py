"""Asking before bytes are given up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mstore.cli.confirm import must_confirm
from mstore.errors import UsageError


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(("yes", "dry_run"), [(True, False), (False, True), (True, True)])
def test_who_answered_or_only_looks_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, yes: bool, dry_run: bool
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: terminal))
    for as_json in (True, False):
        assert must_confirm("gc", yes, dry_run, as_json) is False


def test_a_terminal_is_asked_and_a_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    assert must_confirm("gc", False, False, False)
    with pytest.raises(UsageError, match="gc asks before it removes anything"):
        must_confirm("gc", False, False, True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(UsageError) as met:
        must_confirm("gc", False, False, False)
    assert met.value.hint == "--yes runs it without asking, --dry-run shows the plan"
