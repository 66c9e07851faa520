"""Work on many at once: results in order, few in flight, and the first error ends it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstore.store.pipeline import in_order


class Held:
    """A pool whose work is done when a test says so."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, work: Callable[[Any], Any], item: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        return future


def _pool(held: Held) -> Any:
    return held


@given(st.lists(st.integers()), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=30)
def test_results_are_in_order_and_few_are_in_flight(items: list[int], ahead: int, threads: int) -> None:
    taken = 0

    def counted() -> Iterator[int]:
        nonlocal taken
        for item in items:
            taken += 1
            yield item

    with ThreadPoolExecutor(threads) as pool:
        got = []
        for result in in_order(pool, lambda item: item * 2, counted(), ahead):
            got.append(result)
            assert taken - len(got) < ahead
    assert got == [item * 2 for item in items]


def test_what_is_done_first_waits_for_those_before_it() -> None:
    class Reversed(Held):
        """Three at a time, the last of which is done before the others."""

        def submit(self, work: Callable[[Any], Any], item: Any) -> Future[Any]:
            future = super().submit(work, item)
            if len(self.futures) == 3:
                for number in (2, 1, 0):
                    self.futures[number].set_result(number)
            return future

    assert list(itertools.islice(in_order(_pool(Reversed()), int, itertools.count(), 3), 3)) == [
        0,
        1,
        2,
    ]


def test_items_are_not_asked_for_before_results_are() -> None:
    held = Held()
    asked: list[int] = []
    items = (asked.append(n) or n for n in itertools.count())  # type: ignore[func-returns-value]
    in_order(_pool(held), str, items, 3)
    assert asked == [] and held.futures == []


class Started(Held):
    """The first item has its outcome at once, a result or an error; all others wait."""

    def __init__(self, outcome: Any) -> None:
        super().__init__()
        self.outcome = outcome

    def submit(self, work: Callable[[Any], Any], item: Any) -> Future[Any]:
        future = super().submit(work, item)
        if len(self.futures) == 1 and isinstance(self.outcome, Exception):
            future.set_exception(self.outcome)
        elif len(self.futures) == 1:
            future.set_result(self.outcome)
        return future


def test_the_first_error_is_passed_on_and_what_waits_is_not_begun() -> None:
    held = Started(ValueError("first"))
    results = in_order(_pool(held), str, range(9), 3)
    with pytest.raises(ValueError, match="first"):
        next(results)
    assert [future.cancelled() for future in held.futures] == [False, True, True]
    assert list(results) == []


def test_who_stops_asking_leaves_no_work_behind() -> None:
    held = Started("done")
    results: Any = in_order(_pool(held), str, range(9), 3)
    assert next(results) == "done"
    results.close()
    assert [future.cancelled() for future in held.futures] == [False, True, True]


def test_an_error_of_the_items_is_passed_on_too() -> None:
    held = Held()

    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        next(in_order(_pool(held), str, items(), 3))
    assert [future.cancelled() for future in held.futures] == [True]
