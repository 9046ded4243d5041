"""Signals: one interruption for many, none in the middle of tidying up, and handlers as they were."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vidcam.system import signals as interrupts
from vidcam.system.signals import defer_signals, interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_interrupt_once(number: signal.Signals) -> None:
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        for repeat in SIGNALS:
            signal.raise_signal(repeat)


def test_a_later_signal_interrupts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what hangs while it tidies up can be ended."""
    monkeypatch.setattr(interrupts, "REPEAT_SECONDS", 0.0)
    with interruptible():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_signals_wait_for_the_end_of_a_block() -> None:
    done = []

    def tidy_up() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            done.append("tidied up")
        done.append("not reached")

    with interruptible(), pytest.raises(KeyboardInterrupt):
        tidy_up()
    assert done == ["tidied up"]


def test_ignored_signals_stay_ignored() -> None:
    former, reached = signal.signal(signal.SIGHUP, signal.SIG_IGN), []
    try:
        with interruptible():
            with defer_signals():
                signal.raise_signal(signal.SIGHUP)
            reached.append("after the part that is held back")
            signal.raise_signal(signal.SIGHUP)
            reached.append("the end")
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
    assert len(reached) == 2


def test_other_threads_have_no_handlers_to_exchange() -> None:
    def work() -> str:
        with interruptible(), defer_signals():
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "done"
