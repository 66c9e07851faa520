"""The look-up of a revision, over a small real store with a workspace."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.context import Context
from mstore.errors import (
    Ambiguous,
    Corrupt,
    InvalidInput,
    MStoreError,
    NotFound,
    RevisionNotFound,
    UsageError,
)
from mstore.history import walk as walking
from mstore.history.query.resolve import Resolved, resolve, resolved
from mstore.history.query.revision_grammar import parse
from mstore.objects import Commit, CommitId, Manifest, Tag, Time
from mstore.store.transaction import Transaction
from mstore.workspace import Head

TICKS = count(1_700_000_000)


def _time() -> Time:
    return Time(next(TICKS) * 10**9, 0)


def _put(
    context: Context, message: str, *parents: CommitId, step: int = 0, **metrics: float
) -> CommitId:
    manifest = Manifest(())
    trainer = {"recorded": {"trainer": {"global_step": step}}} if step else {}
    made = Commit(parents, manifest.id, "Ada", _time(), message, trainer, metrics)
    with Transaction(context.store, threads=1) as transaction:
        transaction.put(manifest)
        transaction.put(made)
        transaction.publish()
    return made.id


def _point(context: Context, ref: str, target: Any) -> None:
    context.store.refs.move(ref, target, context.move("test", ""), force=True)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """`main`: one, two, three (HEAD); `side`: four, merged from two and one; v1: a tag on one."""
    repo = mstore.init(tmp_path)
    context = repo.context
    one = _put(context, "one", step=1, eval_loss=3.0, acc=0.1)
    two = _put(context, "two", one, step=2, eval_loss=1.0, acc=0.2, **{"hits@10": 0.5})
    three = _put(context, "three", two, step=3, eval_loss=2.0, acc=0.3)
    four = _put(context, "four", two, one, step=4, eval_loss=0.5)
    five = _put(context, "five", two, step=4, eval_loss=9.0)
    for id in (one, two, three):
        _point(context, "heads/main", id)
    _point(context, "heads/side", four)
    _point(context, "heads/other@home", five)
    _point(context, "tags/v1", one)
    tag = Tag(two, "v2", "shipped", "Ada", _time())
    with Transaction(context.store, threads=1) as transaction:
        transaction.put(tag)
        transaction.publish()
    _point(context, "tags/v2", tag.id)
    return repo


def _ids(repo: Repository) -> dict[str, CommitId]:
    return {e.message: e.id for e in repo.log(all=True)}


FORMS = [
    ("HEAD", "three", "main"),
    ("@", "three", "main"),
    ("main", "three", "main"),
    ("side", "four", "side"),
    ("last:main", "three", "main"),
    ("last:other@home", "five", "other@home"),
    ("v1", "one", None),
    ("v2", "two", None),
    ("HEAD~1", "two", None),
    ("HEAD~0", "three", None),
    ("main^0", "three", None),
    ("main~2", "one", None),
    ("main^^", "one", None),
    ("side^2", "one", None),
    ("side^1~1", "one", None),
    ("v2~1", "one", None),
    ("main@{0}", "three", None),
    ("main@{2}", "one", None),
    ("HEAD@{1}", "two", None),
    ("@{1}", "two", None),
    ("main@{1}~1", "one", None),
    ("best:eval_loss", "two", None),
    ("min:eval_loss", "two", None),
    ("max:eval_loss", "one", None),
    ("max:acc", "three", None),
    ("best:eval_loss@side", "four", None),
    ("max:eval_loss@other@home", None, None),
    ('max:"eval_loss"@other@home', "five", None),
    ('max:"hits@10"', "two", None),
    ("best:eval_loss~1", "one", None),
    ("step:2", "two", None),
    ("step:4@side", "four", None),
    ("step:4@other@home^", "two", None),
]


@pytest.mark.parametrize(("text", "message", "branch"), FORMS)
def test_every_form(repo: Repository, text: str, message: str | None, branch: str | None) -> None:
    if message is None:
        # The last @ of a bare metric begins the branch: quotes say where the metric ends.
        with pytest.raises(RevisionNotFound):
            resolve(repo.context, parse(text))
        return
    assert resolve(repo.context, parse(text)) == Resolved(_ids(repo)[message], branch)


def test_ids(repo: Repository) -> None:
    one = _ids(repo)["one"]
    for text in (one.hex, one.hex[:20], one.hex[:9]):
        assert resolve(repo.context, parse(text)) == Resolved(one)


def test_whatever_says_which_version(repo: Repository) -> None:
    one, context = _ids(repo)["one"], repo.context
    for revision in ("main~2", parse("main~2"), one, Resolved(one)):
        assert resolved(context, revision) == Resolved(one)
        assert repo.look_up(revision) == Resolved(one) and repo.resolve(revision) == one
        assert repo.show(revision).entry.id == one
        assert [e.id for e in repo.log(revision)] == [one]
        assert repo.manifest(revision).files == ()
        assert repo.make_tag("again", revision, force=True) == one
        assert repo.compare(revision, "main").entries[0].id == one
        assert repo.diff(revision, "main").same
        assert [c.id for c in repo.du(revision).commits] == [one]
    told = Resolved(one, "main", "said already")
    assert resolved(context, told) is told


def test_a_commit_id_is_no_name(repo: Repository) -> None:
    ids = _ids(repo)
    _point(repo.context, f"heads/{ids['one'].hex}", ids["two"])
    assert resolved(repo.context, ids["one"]) == Resolved(ids["one"])
    by_text = resolved(repo.context, ids["one"].hex)
    assert by_text.id == ids["two"] and by_text.warning is not None
    with pytest.raises(RevisionNotFound):
        repo.show(CommitId(bytes(32)))


@pytest.mark.parametrize(
    ("text", "error", "message", "hint"),
    [
        ("zzz", RevisionNotFound, "no such revision: 'zzz'", "there are: main"),
        ("mian", RevisionNotFound, "'mian'", "near it: main"),
        ("SIDE", RevisionNotFound, "'SIDE'", "near it: side"),
        ("last:mian", RevisionNotFound, "'mian'", "near it: main"),
        ("best:acc@mian", RevisionNotFound, "'mian'", "near it: main"),
        ("0000000", RevisionNotFound, "'0000000'", "there are"),
        ("abc", RevisionNotFound, "'abc'", None),
        ("../heads/main", RevisionNotFound, "'../heads/main'", None),
        ("worst:eval_loss", RevisionNotFound, "'worst:eval_loss'", None),
        ("main~3", RevisionNotFound, "'main~3'", "has no parent"),
        ("main~999999999999", RevisionNotFound, "'main~999999999999'", "has no parent"),
        ("main^2", RevisionNotFound, "'main^2'", "has no parent 2"),
        ("main@{3}", RevisionNotFound, "'main@{3}'", "main has moved 3 times"),
        ("v1@{0}", RevisionNotFound, "'v1'", None),
        ("a b@{0}", InvalidInput, "white space", None),
        ("last:a..b", InvalidInput, "holds '..'", None),
        ("best:acc@-x", InvalidInput, "begins with '-'", None),
        ("best:acc", UsageError, "nothing says whether acc", "max:acc"),
        ("max:accuracy", NotFound, "no version has the metric 'accuracy'", "acc, eval_loss"),
        ("step:99", RevisionNotFound, "'step:99'", "--columns step"),
        ("step:4@main", RevisionNotFound, "'step:4@main'", "--columns step"),
        ("main~x", UsageError, "cannot read revision", None),
    ],
)
def test_what_is_not_there(
    repo: Repository, text: str, error: type[MStoreError], message: str, hint: str | None
) -> None:
    with pytest.raises(error) as met:
        resolved(repo.context, text)
    assert type(met.value) is error
    assert message in met.value.message
    assert hint is None or hint in (met.value.hint or "")


def test_a_branch_that_was_deleted(repo: Repository) -> None:
    _point(repo.context, "heads/side", None)
    with pytest.raises(RevisionNotFound) as met:
        resolved(repo.context, "side@{0}")
    assert met.value.hint == "side was deleted then"


def test_head_without_a_commit_or_a_workspace(repo: Repository, tmp_path: Path) -> None:
    ids = _ids(repo)
    repo.context.set_head(Head(commit=ids["two"]))
    assert resolved(repo.context, "HEAD") == Resolved(ids["two"], None)
    with pytest.raises(UsageError, match=r"^HEAD@\{1\} needs a branch"):
        resolved(repo.context, "HEAD@{1}")
    with pytest.raises(UsageError, match=r"^@\{1\} needs a branch"):
        resolved(repo.context, "@{1}")
    repo.context.set_head(Head(branch="unborn"))
    with pytest.raises(RevisionNotFound) as met:
        resolved(repo.context, "HEAD")
    assert met.value.hint == "branch unborn has no commit yet"
    assert resolved(repo.context, "best:eval_loss").id == ids["four"], "of all branches"
    alone = mstore.open(store=repo.store.path, cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="HEAD needs a workspace"):
        alone.look_up("@")
    assert alone.resolve("main~1") == ids["two"]


def test_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(RevisionNotFound) as met:
        mstore.init(tmp_path).resolve("main")
    assert "there is no commit yet" in (met.value.hint or "")


# -- more than one meaning


def _twins(context: Context) -> tuple[CommitId, CommitId]:
    """Two commits whose ids begin with the same four digits."""
    seen: dict[str, CommitId] = {}
    manifest = Manifest(())
    for number in range(20_000):
        made = Commit((), manifest.id, "Ada", Time(number * 10**9, 0), f"twin {number}\nmore")
        twin = seen.setdefault(made.id.hex[:4], made.id)
        if twin is not made.id:
            break
    else:
        pytest.fail("no two ids begin alike")
    first = int(next(i for i, id in enumerate(seen.values()) if id == twin))
    other = Commit((), manifest.id, "Ada", Time(first * 10**9, 0), f"twin {first}\nmore")
    assert other.id == twin
    with Transaction(context.store, threads=1) as transaction:
        for value in (manifest, made, other):
            transaction.put(value)
        transaction.publish()
    return made.id, twin


def test_a_short_id_that_fits_two(repo: Repository) -> None:
    one, two = _twins(repo.context)
    short = one.hex[:4]
    for text in (short, f"{short}~1"):
        with pytest.raises(Ambiguous) as met:
            resolved(repo.context, text)
        assert met.value.revision == short
        assert met.value.message == f"short id {short!r} fits 2 commits"
        assert [line[:12] for line in met.value.candidates] == sorted([one.hex[:12], two.hex[:12]])
        assert "1970-01-01" in met.value.candidates[0] and "'twin " in met.value.candidates[0]
        assert "more" not in met.value.candidates[0]
    assert resolved(repo.context, one.hex[:12]) == Resolved(one)


def test_a_step_that_two_versions_have(repo: Repository) -> None:
    with pytest.raises(Ambiguous) as met:
        resolved(repo.context, "step:4")
    assert met.value.message == "2 versions are of step 4"
    assert len(met.value.candidates) == 2 and met.value.revision == "step:4"


@pytest.mark.parametrize(("namespace", "kind"), [("heads", "branch"), ("tags", "tag")])
def test_a_name_like_an_id_wins_with_a_warning(repo: Repository, namespace: str, kind: str) -> None:
    ids = _ids(repo)
    short = ids["two"].hex[:7]
    _point(repo.context, f"{namespace}/{short}", ids["three"])
    found = resolved(repo.context, short)
    assert found.id == ids["three"] and found.branch == (short if kind == "branch" else None)
    assert found.warning is not None and f"both a {kind} and" in found.warning
    stepped = resolved(repo.context, f"{short}~1")
    assert stepped == Resolved(ids["two"], None, found.warning)
    assert resolved(repo.context, ids["two"].hex[:8]).warning is None


# -- the same values as in a condition


def test_what_best_step_and_where_see_is_the_same(repo: Repository) -> None:
    repo.note("main~2", metrics={"eval_loss": 0.25, "step": 77.0})
    for revision, condition in (
        ("best:eval_loss", "eval_loss < 0.5"),
        ("max:acc", "acc > 0.25"),
        ("step:77", "step == 77"),
        ("step:2", "step == 2"),
    ):
        (entry,) = repo.log(where=condition)
        assert repo.resolve(revision) == entry.id
    with pytest.raises(RevisionNotFound):
        repo.resolve("step:1")
    assert not repo.log(where="step == 1"), "a metric that was noted hides what training said"


@pytest.mark.parametrize(("text", "walks"), [("best:eval_loss", 1), ("step:2", 1), ("main~1", 0)])
def test_how_often_the_history_is_walked(
    repo: Repository, text: str, walks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    plain: Callable[..., Any] = walking.walk

    def counted(*given: Any) -> Any:
        seen.append(given)
        return plain(*given)

    monkeypatch.setattr(walking, "walk", counted)
    resolved(repo.context, text)
    assert len(seen) == walks


def test_a_damaged_ref_is_not_taken_for_a_missing_one(repo: Repository) -> None:
    (repo.store.path / "refs/heads/main").write_bytes(b"torn")
    with pytest.raises(Corrupt):
        resolved(repo.context, "main")
