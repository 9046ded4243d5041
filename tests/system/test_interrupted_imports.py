"""A signal while modules are imported gives one message, even if the module swallows the exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.videos import write_video
from vidcam.cli.app import commands, main
from vidcam.system.signals import defer_signals, loading

INTERRUPTED_MESSAGE = "vidcam: interrupted; nothing half-written was left\n"

PROGRAM = """
import builtins, pathlib, sys, time

class Slow:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            pathlib.Path({marker!r}).touch()
            try:
                time.sleep(20)
            except BaseException:  # NumPy does the same
                raise ImportError("initialization failed") from None

sys.meta_path.insert(0, Slow)
sys.argv[1:] = ["explain", {video!r}, "-o", "out", "--model", "tiny_r3d"]
from vidcam.__main__ import program
program()
"""


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("vidcam.cli.app", signal.SIGINT),
        ("click", signal.SIGTERM),
        ("vidcam.pipelines.explain.explainer", signal.SIGTERM),
        ("numpy", signal.SIGINT),
        pytest.param("vidcam.cli.app", signal.SIGTERM, marks=SLOW),
        pytest.param("click", signal.SIGINT, marks=SLOW),
        pytest.param("vidcam.pipelines.explain.explainer", signal.SIGINT, marks=SLOW),
        pytest.param("numpy", signal.SIGTERM, marks=SLOW),
    ],
)
def test_a_signal_while_a_module_is_imported(module: str, number: int, tmp_path: Path) -> None:
    marker, video = tmp_path / "now", tmp_path / "video.mp4"
    write_video(video, np.zeros((2, 16, 16, 3), np.uint8))  # for other files, the command line imports too little
    command = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(module=module, marker=str(marker), video=str(video))],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )
    end = time.monotonic() + 30
    while not marker.exists():
        assert time.monotonic() < end, "the module was never imported"
        assert command.poll() is None
        time.sleep(0.002)
    command.send_signal(number)
    assert command.communicate(timeout=30) == ("", INTERRUPTED_MESSAGE)
    assert command.returncode == 130
    assert sorted(tmp_path.iterdir()) == [marker, video]


def test_signals_are_deferred_in_other_processes() -> None:
    """A Python program that calls `main` is not ended."""
    events = []

    def load() -> None:
        with loading():
            signal.raise_signal(signal.SIGINT)
            events.append("imported")

    with pytest.raises(KeyboardInterrupt):
        load()
    assert events == ["imported"]


def test_an_interrupt_that_was_turned_into_another_exception(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some libraries answer KeyboardInterrupt with an exception of their own."""

    def foreign(**_: object) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            raise ImportError("initialization failed") from None
        return 0

    monkeypatch.setattr(commands, "main", foreign)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == INTERRUPTED_MESSAGE


def test_an_error_without_a_signal_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def foreign(**_: object) -> int:
        with defer_signals():
            raise ImportError("initialization failed")

    monkeypatch.setattr(commands, "main", foreign)
    with pytest.raises(ImportError, match="initialization failed"):
        main(["models"])
