"""Work in threads: order of results, errors in place of results, and no thread left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing

import pytest

from vidcam.system.threads import BackgroundWorker, map_in_threads, prefetch


class Producer:
    """Makes a generator of 0, 1, 2, …, and records its items and whether it was closed."""

    def __init__(self, count: int, *, fails_at: int | None = None, waits_at: int | None = None) -> None:
        self.count, self.fails_at, self.waits_at = count, fails_at, waits_at
        self.made: list[int] = []
        self.threads: set[str] = set()
        self.is_closed = False
        self.is_waiting, self.resume = threading.Event(), threading.Event()

    def items(self) -> Generator[int, None, None]:
        try:
            for item in range(self.count):
                self.made.append(item)
                self.threads.add(threading.current_thread().name)
                if item == self.fails_at:
                    raise KeyError(item)
                if item == self.waits_at:
                    self.is_waiting.set()
                    assert self.resume.wait(10)
                yield item
        finally:
            self.is_closed = True


def _prefetch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vidcam-prefetch")]


@pytest.mark.parametrize("depth", [1, 2, 7, 50])
def test_the_same_items_in_the_same_order(depth: int) -> None:
    producer = Producer(20)
    assert list(prefetch(producer.items(), depth=depth)) == list(range(20))
    assert producer.made == list(range(20))
    assert producer.is_closed
    assert not _prefetch_threads()


def test_an_empty_generator() -> None:
    assert list(prefetch(Producer(0).items(), depth=3)) == []
    assert not _prefetch_threads()


def test_items_are_made_ahead_in_one_other_thread() -> None:
    producer = Producer(10, waits_at=4)
    items = prefetch(producer.items(), depth=4)
    assert next(items) == 0
    assert producer.is_waiting.wait(10)  # item 4 is being made while the consumer has item 0
    producer.resume.set()
    assert list(items) == list(range(1, 10))
    assert len(producer.threads) == 1
    assert threading.current_thread().name not in producer.threads


def test_at_most_depth_items_are_made_ahead() -> None:
    producer = Producer(100)
    items = prefetch(producer.items(), depth=3)
    next(items)
    time.sleep(0.05)
    assert len(producer.made) <= 1 + 3
    items.close()


@pytest.mark.parametrize("depth", [1, 5])
def test_an_error_is_raised_in_place_of_its_item(depth: int) -> None:
    producer = Producer(10, fails_at=3)
    items = prefetch(producer.items(), depth=depth)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="3"):
        next(items)
    assert producer.is_closed
    assert not _prefetch_threads()


def test_stopping_early_closes_the_generator_and_cancels_pending_items() -> None:
    producer = Producer(100, waits_at=1)
    source = producer.items()  # this reference keeps the garbage collector from closing it
    items = prefetch(source, depth=5)
    assert next(items) == 0
    assert producer.is_waiting.wait(10)  # item 1 is being made, 2 to 5 are pending
    threading.Timer(0.05, producer.resume.set).start()
    items.close()
    assert producer.made == [0, 1]
    assert producer.is_closed
    assert not _prefetch_threads()


def test_an_error_of_the_consumer_closes_the_generator() -> None:
    producer = Producer(100)
    items = producer.items()

    def consume() -> None:
        for item in prefetch(items, depth=2):
            if item == 3:
                raise OSError("the consumer's")

    with pytest.raises(OSError, match="the consumer's"):
        consume()
    assert producer.is_closed
    assert not _prefetch_threads()


def test_results_are_computed_ahead_and_come_in_order() -> None:
    started: list[int] = []

    def square(number: int) -> int:
        started.append(number)
        time.sleep(0.01 * (number % 3))
        return number * number

    with closing(map_in_threads(square, range(20), workers=3)) as squares:
        assert next(squares) == 0
        assert len(started) <= 8
        assert list(squares) == [number**2 for number in range(1, 20)]


def test_an_error_is_raised_in_place_of_its_result() -> None:
    def invert(number: int) -> float:
        return 1 / number

    results = map_in_threads(invert, [2, 0, 1], workers=2)
    assert next(results) == 0.5
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_is_computed_after_closing() -> None:
    started: list[int] = []
    squares = map_in_threads(started.append, range(100), workers=2)
    next(squares)
    squares.close()
    count = len(started)
    time.sleep(0.02)
    assert len(started) == count <= 6


def test_all_calls_run_in_order_in_one_thread() -> None:
    done: list[tuple[int, str]] = []
    with BackgroundWorker(depth=2) as worker:
        for number in range(20):
            worker.submit(lambda number: done.append((number, threading.current_thread().name)), number)
    assert [number for number, _ in done] == list(range(20))
    assert len({name for _, name in done}) == 1
    assert threading.current_thread().name not in dict(done).values()


def test_at_most_depth_calls_are_pending() -> None:
    resume, submitted = threading.Event(), []

    def submit_all(worker: BackgroundWorker) -> None:
        for number in range(4):
            worker.submit(resume.wait, 10)
            submitted.append(number)

    with BackgroundWorker(depth=2) as worker:
        submitter = threading.Thread(target=submit_all, args=(worker,))
        submitter.start()
        time.sleep(0.1)
        assert submitted == [0, 1]
        resume.set()
        submitter.join(10)
    assert submitted == [0, 1, 2, 3]


def test_an_error_of_the_last_call_is_raised_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError), BackgroundWorker(depth=3) as worker:
        worker.submit(lambda: 1 // 0)


def test_a_later_submit_raises_the_error_of_a_call_and_the_rest_is_dropped() -> None:
    done: list[int] = []

    def use() -> None:
        with BackgroundWorker(depth=2) as worker:
            worker.submit(lambda: 1 // 0)
            for number in range(10):
                worker.submit(done.append, number)

    with pytest.raises(ZeroDivisionError):
        use()
    assert done == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal to one thread needs POSIX")
def test_an_interrupt_at_the_end_drops_pending_calls_and_waits_for_the_running_one() -> None:
    resume, done = threading.Event(), list[str]()

    def first() -> None:
        assert resume.wait(10)
        done.append("first")

    def use() -> None:
        with BackgroundWorker(depth=3) as worker:
            worker.submit(first)
            worker.submit(done.append, "second")
            threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
            threading.Timer(0.15, resume.set).start()

    with pytest.raises(KeyboardInterrupt):
        use()
    assert done == ["first"]


def test_a_block_that_fails_drops_pending_calls() -> None:
    running, resume, done = threading.Event(), threading.Event(), []

    def first() -> None:
        running.set()
        assert resume.wait(10)
        done.append("first")

    def fail() -> None:
        with BackgroundWorker(depth=3, thread_name="worker-of-a-test") as worker:
            worker.submit(first)
            worker.submit(done.append, "second")
            assert running.wait(10)
            threading.Timer(0.05, resume.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert done == ["first"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker-of-a-test")]


def test_every_submit_after_an_error_raises_it() -> None:
    def use() -> None:
        with BackgroundWorker(depth=1) as worker:
            worker.submit(lambda: 1 // 0)
            for _ in range(3):
                with pytest.raises(ZeroDivisionError):
                    worker.submit(int)

    user = threading.Thread(target=use, daemon=True)  # its error at the end is for nobody
    threading.excepthook, former = lambda _: None, threading.excepthook
    try:
        user.start()
        user.join(10)
    finally:
        threading.excepthook = former
    assert not user.is_alive()


ABANDONED = {
    "prefetch": "items = prefetch((number for number in range(9)), depth=2); next(items)",
    "map": "results = map_in_threads(str, range(9), workers=2); next(results)",
    "worker": "worker = BackgroundWorker(depth=2); worker.submit(int)",
}


@pytest.mark.parametrize("name", ABANDONED)
def test_a_thread_that_nobody_closed_does_not_keep_the_interpreter_from_ending(name: str) -> None:
    """As after an interrupt at the first moment of `close` or `__exit__`, whose traceback keeps the objects."""
    code = f"from vidcam.system.threads import BackgroundWorker, map_in_threads, prefetch; {ABANDONED[name]}"
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0


def test_a_caller_does_not_wait_in_a_future(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt between two statements of `Condition.wait` is raised as 'cannot release un-acquired lock'."""
    monkeypatch.setattr("concurrent.futures.Future.result", lambda *_: pytest.fail("it waits in Python code"))
    assert list(prefetch(Producer(3).items(), depth=1)) == [0, 1, 2]
    assert list(map_in_threads(str, range(3), workers=2)) == ["0", "1", "2"]
    _use_worker()


def _use_worker() -> None:
    with BackgroundWorker(depth=2) as worker:
        for _ in range(3):
            worker.submit(int)


@pytest.mark.parametrize(
    "use",
    [
        lambda: list(prefetch(Producer(3).items(), depth=2)),
        lambda: list(map_in_threads(str, range(5), workers=2)),
        _use_worker,
    ],
)
def test_threads_are_started_with_signals_deferred(use: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    before, handlers = signal.getsignal(signal.SIGINT), []
    start = threading.Thread.start

    def recording_start(self: threading.Thread) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))
        start(self)

    monkeypatch.setattr(threading.Thread, "start", recording_start)
    use()
    assert handlers
    assert before not in handlers
    assert signal.getsignal(signal.SIGINT) is before


def test_threads_are_added_while_the_caller_waits_and_not_beyond_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    running, most = set[int](), list[int]()

    def slow(number: int) -> int:
        running.add(number)
        most.append(len(running))
        time.sleep(0.02)
        running.discard(number)
        return number

    assert list(map_in_threads(slow, range(30))) == list(range(30))
    assert max(most) == 3


def test_two_results_are_pending_for_a_caller_that_never_waits() -> None:
    done: list[int] = []
    for count, _ in enumerate(map_in_threads(done.append, range(20)), start=1):
        time.sleep(0.02)
        assert len(done) <= count + 3  # two, and one more as the caller waits for the first result
