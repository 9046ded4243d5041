"""After an interrupt at any moment the model and the thread are as before."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vidcam.cam
from tests.helpers.conduct import State
from tests.helpers.interrupts import Interrupter
from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.guided import guided_saliency
from vidcam.cam.layers import list_layers
from vidcam.cam.preserve import MAX_TRIES, Undo, preserve_model
from vidcam.cam.randomise import randomise, weighted_layers
from vidcam.cam.wrappers import unwrapped

Use = Callable[[nn.Module, Tensor], object]

CORE = [str(path) for path in Path(vidcam.cam.__path__[0]).glob("*.py")]
TORCHS = ["/contextlib.py", "/torch/overrides.py", "/torch/nn/modules/module.py", "/torch/utils/hooks.py"]

HITS, MOST_ALARMS = 50, 500
"""Number of interrupts that a use must survive, and of alarms to get them (some come too late)."""


def _randomise(net: nn.Module, _clip: Tensor) -> None:
    with Undo() as undo, undo:
        randomise(net, weighted_layers(net), undo, seed=0)


USES: dict[str, Use] = {
    "explain": explain,
    "guided": lambda net, clip: explain(net, clip, layer="block2", methods=["guided-gradcam"]),
    "several layers": lambda net, clip: explain(net, clip, layer=["block1", "block2"]),
    "several targets": lambda net, clip: explain_each(net, clip, [0, 1], layer="block2"),
    "list_layers": list_layers,
    "guided_saliency": lambda net, clip: guided_saliency(net, clip, 0),
    "randomise": _randomise,
}


def _net() -> nn.Module:
    net = seeded(PooledHead).train()
    net.get_submodule("block1").eval()
    return net


def _moments(use: Use, files: Sequence[str], *, each: bool) -> list[int]:
    """Return the events at which to interrupt: all, or the first and last at each place."""
    with Interrupter(files) as listener:
        use(_net(), random_clip(1, 3, 4, 6, 6))
    places = listener.places
    if each:
        return list(range(len(places)))
    first = {place: index for index, place in reversed(list(enumerate(places)))}
    last = {place: index for index, place in enumerate(places)}
    return sorted({*first.values(), *last.values()})


def _hits(use: Use, files: Sequence[str], moments: Sequence[int]) -> int:
    """Interrupt a use at each of these moments, check the model each time, and return the number of interrupts."""
    hits = 0
    net, clip = _net(), random_clip(1, 3, 4, 6, 6)
    state = State(net, clip)
    for moment in moments:
        held: BaseException | None = None  # held as in a notebook, so that nothing is garbage collected
        try:
            with Interrupter(files, at=moment):
                use(net, clip)
        except (KeyboardInterrupt, SystemError) as exc:  # torch's C++ turns the first into the second
            held = exc
            hits += 1
        state.check_unchanged()
        del held
        state.check_unchanged()
    return hits


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a generator that is being collected
@pytest.mark.parametrize("name", ["list_layers", "randomise", "several layers"])
def test_interrupt_at_each_place_of_setup_and_undo(name: str) -> None:
    files = [f"/vidcam/cam/{name}.py" for name in ("preserve", "evaluation", "checkpoints", "randomise")]
    assert _hits(USES[name], files, _moments(USES[name], files, each=name == "randomise")) > 0


class Stream(PooledHead):
    """Keeps its last input, in place and as an object."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1, 3, 4, 6, 6))
        self.store: list[Tensor] = []
        self.runs = 0

    def forward(self, clip: Tensor) -> Tensor:
        self.get_buffer("last").copy_(clip)
        self.store.append(clip)
        self.runs += 1
        return super().forward(clip)


def test_interrupt_at_each_place_of_a_streams_run() -> None:
    """Afterwards its state is as before, and no thread waits for a lock."""
    net, clip, files = seeded(Stream).train(), random_clip(1, 3, 4, 6, 6), ["/vidcam/cam/state.py"]
    last, state = net.get_buffer("last"), State(net, clip)
    store: Any = net.store
    with Interrupter(files) as listener:
        explain(net, clip, layer="block2")
    first = {place: index for index, place in reversed(list(enumerate(listener.places)))}
    for moment in sorted(first.values()):
        with contextlib.suppress(KeyboardInterrupt, SystemError), Interrupter(files, at=moment):
            explain(net, clip, layer="block2")
        state.check_unchanged()
        assert net.get_buffer("last") is last
        assert net.store is store
        assert not store
        assert net.runs == 0
    other = threading.Thread(target=explain, args=(net, clip), kwargs={"layer": "block2"}, daemon=True)
    other.start()
    other.join(timeout=30)
    assert not other.is_alive()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_interrupt_restores_the_callers_mode(mode: Callable[[], torch.no_grad]) -> None:
    files = ["/vidcam/cam/preserve.py"]
    with mode():
        assert _hits(list_layers, files, _moments(list_layers, files, each=False)) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "third"), [("explain", 0), ("guided", 1), ("several targets", 2)])
def test_interrupt_at_each_place_of_the_core_and_torchs_hooks(name: str, third: int) -> None:
    """Each use is interrupted at a third of the places; most places are common to all uses."""
    files = [*CORE, *TORCHS]
    assert _hits(USES[name], files, _moments(USES[name], files, each=False)[third::3]) > 0


class Alarm:
    """Interrupt a call after some time, like Ctrl-C. No interrupt is pending after `interrupts`."""

    def __init__(self) -> None:
        self._is_set = False
        self._former = signal.signal(signal.SIGALRM, self._ring)

    def interrupts(self, call: Callable[[], object], after_seconds: float) -> bool:
        """Run the call; tell whether it was interrupted."""
        hit = False
        try:
            self._is_set = True
            signal.setitimer(signal.ITIMER_REAL, after_seconds)
            call()
        except (KeyboardInterrupt, SystemError):  # torch's C++ turns the first into the second
            hit = True
        while True:
            try:
                self._disarm()
            except (KeyboardInterrupt, SystemError):  # late: C++ may hold an exception until its next check
                hit = True
            else:
                return hit

    def _disarm(self) -> None:
        self._is_set = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, *_: object) -> None:
        if self._is_set:
            self._is_set = False
            raise KeyboardInterrupt

    def close(self) -> None:
        """Restore the earlier handler."""
        self._disarm()
        signal.signal(signal.SIGALRM, self._former)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """Provide the handler of SIGALRM."""
    with closing(Alarm()) as alarm:
        yield alarm


needs_timers = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@needs_timers
@pytest.mark.parametrize("name", USES)
def test_interrupt_at_random_moments(name: str, alarm: Alarm) -> None:
    net, clip, moments = _net(), random_clip(1, 3, 4, 6, 6), random.Random(0)  # noqa: S311
    use, state, hits = USES[name], State(net, clip), 0
    use(net, clip)  # torch imports some of its modules at first use
    begin = time.perf_counter()
    use(net, clip)
    seconds = time.perf_counter() - begin
    for _ in range(MOST_ALARMS):
        hits += alarm.interrupts(lambda: use(net, clip), moments.uniform(1e-5, seconds))
        state.check_unchanged()
        if hits == HITS:
            return
    raise AssertionError(f"only {hits} of {MOST_ALARMS} alarms came while the model was used")


@needs_timers
def test_no_alarm_is_late(alarm: Alarm) -> None:
    for _ in range(1000):
        alarm.interrupts(lambda: None, 1e-6)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


# ---- the parts


def test_steps_run_once_in_reverse_order() -> None:
    done: list[int] = []
    with Undo() as undo, undo:
        for number in range(3):
            undo.add(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == [2, 1, 0]


def test_an_interrupted_step_runs_again() -> None:
    done: list[str] = []

    def step() -> None:
        done.append("tried")
        if len(done) == 1:
            raise KeyboardInterrupt

    undo = Undo()
    undo.add(lambda: done.append("first"))
    undo.add(step)
    with pytest.raises(KeyboardInterrupt):
        undo.run()
    assert done == ["tried", "tried", "first"]


def test_a_step_that_always_fails_is_skipped() -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("tried")
        raise ValueError("planted")

    undo = Undo()
    undo.add(lambda: done.append("first"))
    undo.add(fail)
    with pytest.raises(ValueError, match="planted"):
        undo.run()
    assert done == ["tried"] * MAX_TRIES + ["first"]


def test_a_failed_block_is_undone() -> None:
    net = _net()
    state = State(net)

    def fail(undo: Undo) -> None:
        preserve_model(net, undo)
        raise KeyError("planted")

    with pytest.raises(KeyError, match="planted"), Undo() as undo, undo:
        fail(undo)
    state.check_unchanged()


class OptimizedModule(nn.Module):
    """A module with the class name of what `torch.compile` returns."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self._orig_mod = inner


class Wrapped(nn.DataParallel):  # type: ignore[type-arg]
    """A subclass of a wrapper, as in other libraries."""


def test_nested_and_subclassed_wrappers_are_unwrapped() -> None:
    net = _net()
    assert unwrapped(nn.DataParallel(OptimizedModule(net))) is net
    assert unwrapped(Wrapped(net)) is net
    assert unwrapped(net) is net
