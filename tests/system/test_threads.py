"""Work ahead in threads: order, errors at their place, nothing left running."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from vidcam.system.threads import BackgroundWorker, map_ahead, prefetch


class Maker:
    """A generator of 0, 1, 2, … that notes what it has made and whether it was closed."""

    def __init__(self, count: int, *, fails_at: int | None = None, waits_at: int | None = None) -> None:
        self.count, self.fails_at, self.waits_at = count, fails_at, waits_at
        self.made: list[int] = []
        self.threads: set[str] = set()
        self.is_closed = False
        self.reached, self.go_on = threading.Event(), threading.Event()

    def items(self) -> Generator[int, None, None]:
        try:
            for item in range(self.count):
                self.made.append(item)
                self.threads.add(threading.current_thread().name)
                if item == self.fails_at:
                    raise KeyError(item)
                if item == self.waits_at:
                    self.reached.set()
                    assert self.go_on.wait(10)
                yield item
        finally:
            self.is_closed = True


def _prefetching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vidcam-prefetch")]


@pytest.mark.parametrize("depth", [1, 2, 7, 50])
def test_the_same_items_in_the_same_order(depth: int) -> None:
    maker = Maker(20)
    assert list(prefetch(maker.items(), depth=depth)) == list(range(20))
    assert maker.made == list(range(20))
    assert maker.is_closed
    assert not _prefetching()


def test_nothing_to_fetch() -> None:
    assert list(prefetch(Maker(0).items(), depth=3)) == []
    assert not _prefetching()


def test_items_are_made_ahead_in_a_thread_of_their_own() -> None:
    maker = Maker(10, waits_at=4)
    ready = prefetch(maker.items(), depth=4)
    assert next(ready) == 0
    assert maker.reached.wait(10)  # item 4 is being made while item 0 is in the consumer's hands
    maker.go_on.set()
    assert list(ready) == list(range(1, 10))
    assert len(maker.threads) == 1
    assert threading.current_thread().name not in maker.threads


def test_not_more_than_depth_items_are_made_ahead() -> None:
    maker = Maker(100)
    ready = prefetch(maker.items(), depth=3)
    next(ready)
    time.sleep(0.05)
    assert len(maker.made) <= 1 + 3
    ready.close()


@pytest.mark.parametrize("depth", [1, 5])
def test_an_error_is_raised_where_its_item_would_have_come(depth: int) -> None:
    maker = Maker(10, fails_at=3)
    ready = prefetch(maker.items(), depth=depth)
    assert [next(ready) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="3"):
        next(ready)
    assert maker.is_closed
    assert not _prefetching()


def test_stopping_early_closes_the_generator_and_cancels_what_was_asked_for() -> None:
    maker = Maker(100, waits_at=1)
    items = maker.items()  # held here, so that nothing but closing closes it
    ready = prefetch(items, depth=5)
    assert next(ready) == 0
    assert maker.reached.wait(10)  # item 1 is being made, 2 to 5 are asked for
    threading.Timer(0.05, maker.go_on.set).start()
    ready.close()
    assert maker.made == [0, 1]
    assert maker.is_closed
    assert not _prefetching()


def test_an_error_of_the_consumer_closes_the_generator() -> None:
    maker = Maker(100)
    items = maker.items()

    def consume() -> None:
        for item in prefetch(items, depth=2):
            if item == 3:
                raise OSError("the consumer's")

    with pytest.raises(OSError, match="the consumer's"):
        consume()
    assert maker.is_closed
    assert not _prefetching()


def test_results_are_computed_ahead_and_come_in_order() -> None:
    started: list[int] = []

    def square(number: int) -> int:
        started.append(number)
        time.sleep(0.01 * (number % 3))
        return number * number

    with closing(map_ahead(square, range(20), workers=3)) as squares:
        assert next(squares) == 0
        assert len(started) <= 8
        assert list(squares) == [number**2 for number in range(1, 20)]


def test_an_error_comes_where_its_result_would_have() -> None:
    def invert(number: int) -> float:
        return 1 / number

    results = map_ahead(invert, [2, 0, 1], workers=2)
    assert next(results) == 0.5
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_is_computed_once_closed() -> None:
    started: list[int] = []
    squares = map_ahead(started.append, range(100), workers=2)
    next(squares)
    squares.close()
    count = len(started)
    time.sleep(0.02)
    assert len(started) == count <= 6


def test_calls_run_in_order_in_one_thread_and_all_of_them() -> None:
    done: list[tuple[int, str]] = []
    with BackgroundWorker(depth=2) as worker:
        for number in range(20):
            worker.submit(lambda number: done.append((number, threading.current_thread().name)), number)
    assert [number for number, _ in done] == list(range(20))
    assert len({name for _, name in done}) == 1
    assert threading.current_thread().name not in dict(done).values()


def test_not_more_than_depth_calls_are_pending() -> None:
    go_on, handed_over = threading.Event(), []

    def hand_over(worker: BackgroundWorker) -> None:
        for number in range(4):
            worker.submit(go_on.wait, 10)
            handed_over.append(number)

    with BackgroundWorker(depth=2) as worker:
        other = threading.Thread(target=hand_over, args=(worker,))
        other.start()
        time.sleep(0.1)
        assert handed_over == [0, 1]
        go_on.set()
        other.join(10)
    assert handed_over == [0, 1, 2, 3]


def test_an_error_of_a_call_is_raised_at_the_end_at_the_latest() -> None:
    with pytest.raises(ZeroDivisionError), BackgroundWorker(depth=3) as worker:
        worker.submit(lambda: 1 // 0)


def test_a_block_that_fails_drops_the_calls_that_wait() -> None:
    running, go_on, done = threading.Event(), threading.Event(), []

    def first() -> None:
        running.set()
        assert go_on.wait(10)
        done.append("first")

    def fail() -> None:
        with BackgroundWorker(depth=3, thread_name="worker-of-a-test") as worker:
            worker.submit(first)
            worker.submit(done.append, "second")
            assert running.wait(10)
            threading.Timer(0.05, go_on.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert done == ["first"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker-of-a-test")]


def _one_worker() -> None:
    with BackgroundWorker(depth=2) as worker:
        for _ in range(3):
            worker.submit(int)


@pytest.mark.parametrize(
    "use",
    [
        lambda: list(prefetch(Maker(3).items(), depth=2)),
        lambda: list(map_ahead(str, range(5), workers=2)),
        _one_worker,
    ],
)
def test_work_is_handed_over_with_signals_deferred(use: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    before, handlers = signal.getsignal(signal.SIGINT), []
    submit = ThreadPoolExecutor.submit

    def watched(self: ThreadPoolExecutor, /, *args: Any, **kwargs: Any) -> Any:
        handlers.append(signal.getsignal(signal.SIGINT))
        return submit(self, *args, **kwargs)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", watched)
    use()
    assert len(handlers) >= 3
    assert before not in handlers
    assert signal.getsignal(signal.SIGINT) is before
