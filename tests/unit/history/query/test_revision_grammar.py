"""Revisions as text and as values; no store is near."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mstore.errors import UsageError
from mstore.history.query.revision_grammar import (
    HEAD,
    AtHead,
    ByMetric,
    ByStep,
    Named,
    Revision,
    Step,
    TipOf,
    names_folder,
    parse,
)

ONE, TWO = Step("~", 1), Step("~", 2)


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        ("HEAD", HEAD),
        ("@", Revision(AtHead("@"))),
        ("main", Revision(Named("main"))),
        ("a/b@c", Revision(Named("a/b@c"))),
        ("3f9c1ab", Revision(Named("3f9c1ab"))),
        ("worst:loss", Revision(Named("worst:loss"))),
        ("main~2", Revision(Named("main"), steps=(TWO,))),
        ("main~", Revision(Named("main"), steps=(Step("~"),))),
        ("main^^2~1", Revision(Named("main"), steps=(Step("^"), Step("^", 2), ONE))),
        ("@~2", Revision(AtHead("@"), steps=(TWO,))),
        ("main@{3}", Revision(Named("main"), 3)),
        ("HEAD@{0}~1", Revision(AtHead(), 0, (ONE,))),
        ("@{1}", Revision(AtHead(""), 1)),
        ("@@{1}", Revision(AtHead("@"), 1)),
        ("best:eval_loss", Revision(ByMetric("best", "eval_loss"))),
        ("min:rewards/accuracies", Revision(ByMetric("min", "rewards/accuracies"))),
        ("max:acc@other^", Revision(ByMetric("max", "acc", "other"), steps=(Step("^"),))),
        ("best:a@b@c", Revision(ByMetric("best", "a@b", "c"))),
        ('best:"hits@10"', Revision(ByMetric("best", "hits@10"))),
        ('best:"a""~^@{1}"@r8~1', Revision(ByMetric("best", 'a"~^@{1}', "r8"), steps=(ONE,))),
        ('min:"x"@a@b', Revision(ByMetric("min", "x", "a@b"))),
        ("step:400", Revision(ByStep(400))),
        ("step:4@a@b~1", Revision(ByStep(4, "a@b"), steps=(ONE,))),
        ("last:main", Revision(TipOf("main"))),
        ("last:a@b^", Revision(TipOf("a@b"), steps=(Step("^"),))),
    ],
)
def test_every_form(text: str, revision: Revision) -> None:
    assert parse(text) == revision
    assert parse(str(revision)) == revision


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("main~007", "main~7"),
        ('best:"loss"', "best:loss"),
        ("best:a@b@c", 'best:"a@b"@c'),
        ("HEAD^", "HEAD^"),
        ("@~", "@~"),
    ],
)
def test_what_was_typed_comes_back_but_for_needless_signs(text: str, again: str) -> None:
    assert str(parse(text)) == again


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "an empty revision names nothing", None),
        ("~1", "revision '~1' has nothing to step back from", "HEAD~1"),
        ("^", "revision '^' has nothing to step back from", "HEAD^"),
        ("main~x", "cannot read revision 'main~x' from 'x' on", "REV~n"),
        ("main^1x", "cannot read revision 'main^1x' from 'x' on", "REV~n"),
        ("main@{1}@{1}", "cannot read revision 'main@{1}@{1}' from '@{1}' on", "REV~n"),
        ("main~1@{1}", "cannot read revision 'main~1@{1}' from '@{1}' on", "REV~n"),
        ("main@{yesterday}", "from '@{yesterday}' on", "BRANCH@{n}"),
        ("main@{", "from '@{' on", "BRANCH@{n}"),
        ("main~1" + "0" * 18, "at most 18 digits", None),
        ("best:", "best: needs a metric", None),
        ("max:@main", "max: needs a metric", None),
        ("best:loss@", "best: needs a branch after the @", "HEAD"),
        ('best:"loss', 'the quote " is never closed', None),
        ('best:""', "best: needs a metric", None),
        ('best:"loss"x', "cannot read revision 'best:\"loss\"x' from 'x' on", None),
        ('best:"loss"@', "best: needs a branch after the @", None),
        (
            "best:loss@{1}",
            "@{1} follows a branch or HEAD alone, not 'best:loss'",
            "main@{1}",
        ),
        ("last:main@{1}", "not 'last:main'", None),
        ("last:", "last: needs a branch", "last:main"),
        ("step:", "step: needs a number", None),
        ("step:many", "step: needs a number, not 'many'", "step:400"),
        ("step:4٣", "step: needs a number", None),
        ("step:" + "9" * 5000, "at most 18 digits", None),
    ],
)
def test_what_the_grammar_does_not_have(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as met:
        parse(text)
    assert message in met.value.message
    assert hint is None or hint in (met.value.hint or "")


# -- for all texts and values

_NAMES = st.text(st.characters(exclude_characters="~^"), min_size=1, max_size=12).filter(
    lambda name: "@{" not in name
)
_BRANCHES = _NAMES.filter(lambda name: not name.startswith("{"))
_NUMBERS = st.integers(0, 10**18 - 1)
_PLAIN = _NAMES.filter(
    lambda name: (
        name not in ("HEAD", "@") and name.split(":")[0] not in ("best", "min", "max", "step", "last")
    )
)
_SOUGHT = st.one_of(
    st.builds(
        ByMetric,
        st.sampled_from(["best", "min", "max"]),
        st.text(min_size=1, max_size=12),
        st.none() | _BRANCHES,
    ),
    st.builds(ByStep, _NUMBERS, st.none() | _BRANCHES),
    st.builds(TipOf, _NAMES),
)
_STEPS = st.lists(st.builds(Step, st.sampled_from("~^"), st.none() | _NUMBERS), max_size=4).map(tuple)
_REVISIONS = st.one_of(
    st.builds(
        Revision,
        st.builds(AtHead, st.sampled_from(["HEAD", "@"])) | st.builds(Named, _PLAIN),
        st.none() | _NUMBERS,
        _STEPS,
    ),
    st.builds(Revision, st.just(AtHead("")), _NUMBERS, _STEPS),
    st.builds(Revision, _SOUGHT, st.none(), _STEPS),
)


@given(_REVISIONS)
def test_a_value_comes_back_from_its_text(revision: Revision) -> None:
    assert parse(str(revision)) == revision


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["best:", "step:", "last:", "main", "HEAD", "@", "@{1}", "{", "~", "^", '"', "7", "a"]
        )
    ).map("".join)
)
@example("best:x@")
def test_any_text_is_a_revision_or_a_usage_error(text: str) -> None:
    try:
        revision = parse(text)
    except UsageError:
        return
    assert parse(str(revision)) == revision


# -- folders


@pytest.mark.parametrize(
    "text", [".", "..", "./a", "../a", "/a", "~", "~/a", "~ada/x", "a/", "a/b/", "/", "./r8~1"]
)
def test_what_can_only_be_a_folder(text: str) -> None:
    assert names_folder(text)


@pytest.mark.parametrize(
    "text", ["a", "a/b", "a.b", "HEAD", "HEAD~1", "best:a/b", "@", "a~", ".a", "..a"]
)
def test_what_may_be_a_version(text: str) -> None:
    assert not names_folder(text)


def test_the_grammar_knows_no_store() -> None:
    code = (
        "import sys, mstore.history.query.revision_grammar;"
        " print(*(m for m in sys.modules if m.startswith('mstore.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        "mstore.compat",
        "mstore.errors",
        "mstore.frozen",
        "mstore.history",
        "mstore.history.query",
        "mstore.history.query.quoting",
        "mstore.history.query.revision_grammar",
    }
