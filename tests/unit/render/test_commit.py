"""The lines that answer a commit."""

from __future__ import annotations

from mstore.formats import Facts
from mstore.objects import NoteId
from mstore.render.commit import commit_lines
from tests.unit.render.entries import commit_result


def test_a_commit_is_answered_in_two_lines_and_no_commit_in_one() -> None:
    result = commit_result(Facts())
    assert list(commit_lines(result)) == [
        f"[main {result.id.short}] one",
        " 3 tensors, 1.5 kB new of 2.0 kB",
    ]
    (nothing,) = commit_lines(commit_result(None, created=False))
    assert nothing == f"[main] nothing changed since {result.id.short}"
    (noted,) = commit_lines(commit_result(None, created=False, note=NoteId(bytes(32))))
    assert "new metrics and metadata are noted on it (0000000)" in noted


def test_what_was_left_out_is_said() -> None:
    result = commit_result(Facts(), ignored=tuple(f"p{i}\x1b" for i in range(8)))
    assert list(commit_lines(result))[-1] == (
        " left out: p0\\x1b, p1\\x1b, p2\\x1b, p3\\x1b, p4\\x1b, p5\\x1b and 2 more"
    )


def test_colours_are_asked_for_by_name() -> None:
    result = commit_result(Facts())
    styled = next(commit_lines(result, lambda text, style: f"<{style}>{text}</>"))
    assert styled == f"[main <yellow>{result.id.short}</>] one"
