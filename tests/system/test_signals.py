"""Signals: repeated signals interrupt once, clean-up is not interrupted, and handlers are restored."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vidcam.system import signals as interrupts
from vidcam.system.signals import defer_signals, interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers_are_restored() -> Iterator[None]:
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
    """A clean-up that hangs can be ended."""
    monkeypatch.setattr(interrupts, "REPEAT_SECONDS", 0.0)
    with interruptible():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_signals_are_deferred_to_the_end_of_a_block() -> None:
    events = []

    def clean_up() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            events.append("cleaned up")
        events.append("not reached")

    with interruptible(), pytest.raises(KeyboardInterrupt):
        clean_up()
    assert events == ["cleaned up"]


def test_ignored_signals_stay_ignored() -> None:
    former, reached = signal.signal(signal.SIGHUP, signal.SIG_IGN), []
    try:
        with interruptible():
            with defer_signals():
                signal.raise_signal(signal.SIGHUP)
            reached.append("after the deferred block")
            signal.raise_signal(signal.SIGHUP)
            reached.append("the end")
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
    assert len(reached) == 2


def test_other_threads_replace_no_handlers() -> None:
    def work() -> str:
        with interruptible(), defer_signals():
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "done"
