"""A signal at any moment leaves a complete result or none."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.failures import content, explain
from tests.helpers.processes import Command, run


@pytest.fixture(scope="module")
def former(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an earlier result of the video."""
    out = tmp_path_factory.mktemp("former")
    assert run(explain(video, out, outputs="data"), tmp_path_factory.mktemp("streams")).code == 0
    return out


def slow_down(place: str, marker: Path, seconds: float) -> None:
    """Make a function or method create the marker file and sleep before it runs.

    Args:
        place: "module:function" or "module:Class.method".
        marker: the file.
        seconds: how long to sleep.
    """
    module, path = place.split(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for class_name in classes:
        owner = getattr(owner, class_name)
    real = getattr(owner, name)

    def slow(*arguments: Any, **options: Any) -> Any:
        marker.touch()
        time.sleep(seconds)
        return real(*arguments, **options)

    setattr(owner, name, slow)


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
MOMENTS: dict[str, tuple[Any, ...]] = {
    "loading": ("vidcam.pipelines.explain.explainer:load_model", INT, INT),
    "probing": ("vidcam.pipelines.explain.job:open_video", TERM, TERM),
    "decoding": ("vidcam.video.pyav_reader:PyAVReader._record_damage", INT, INT, INT),
    "forward pass": ("tests.helpers.nets:BrightnessNet.forward", INT),
    "forward pass, twice": ("tests.helpers.nets:BrightnessNet.forward", INT, TERM),
    "encoding": ("vidcam.video.writer:VideoWriter.write", INT, INT, INT),
    "encoding, terminated": ("vidcam.video.writer:VideoWriter.write", TERM),
    "closing": ("vidcam.video.writer:VideoWriter._finish", HUP, INT),
    "the sheet": ("vidcam.pipelines.explain.result:contact_sheet", INT, INT),
    "the data": ("vidcam.results.video:VideoExplanation.save", TERM, INT),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt(moment: str, video: Path, former: Path, tmp_path: Path) -> None:
    place, *signals = MOMENTS[moment]
    marker, before = tmp_path / "now", content(former)
    out = former if place.endswith(("forward", "write", "save")) else tmp_path / "deep" / "out"
    command = Command(explain(video, out), tmp_path, prepare=partial(slow_down, place, marker, 0.1))
    command.signal_when(marker.exists, *signals, pause_seconds=0.02)
    done = command.wait()
    assert done.code == 130
    assert done.out == ""
    assert done.err.splitlines()[-1] == "vidcam: interrupted; nothing half-written was left"
    assert "Traceback" not in done.err
    assert content(former) == before
    assert [path.name for path in former.iterdir() if path.is_dir()] == []
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("moment", ["_move_files", "_remove_empty"])
@pytest.mark.parametrize("signals", [(INT,), (INT, TERM, HUP)], ids=["once", "three times"])
def test_an_interrupt_while_files_are_moved(moment: str, signals: tuple[int, ...], video: Path, tmp_path: Path) -> None:
    """The signal is deferred: the result is complete, and no hidden file is left."""
    marker, out = tmp_path / "now", tmp_path / "out"
    prepare = partial(slow_down, f"vidcam.system.exchange:{moment}", marker, 0.1)
    command = Command(explain(video, out, outputs="data"), tmp_path, prepare=prepare)
    command.signal_when(marker.exists, *signals, pause_seconds=0.02)
    assert command.wait().code == 130
    assert sorted(path.name for path in out.iterdir()) == [
        "video.json",
        "video.npz",
        "video.toml",
        "video_evidence.csv",
    ]


def test_signals_that_are_ignored_stay_ignored(video: Path, tmp_path: Path) -> None:
    """nohup ignores a signal in this way."""
    marker = tmp_path / "now"
    command = Command(explain(video, tmp_path / "out", outputs="data"), tmp_path, prepare=partial(_nohup, marker))
    command.signal_when(marker.exists, HUP)
    assert command.wait().code == 0


def _nohup(marker: Path) -> None:
    signal.signal(HUP, signal.SIG_IGN)
    slow_down(MOMENTS["forward pass"][0], marker, 0.1)


FAKE_PIP = """
import fcntl, os, pathlib, subprocess, sys, tempfile, time
here = pathlib.Path(__file__).parent
tempfile.mkdtemp(prefix="pip-")
hold = "import fcntl, pathlib, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
hold += "pathlib.Path(sys.argv[1] + '.on').touch(); time.sleep(60)"
subprocess.run([sys.executable, "-c", hold, str(here / "lock")])
"""


def _use_fake_pip(script: Path, temporary: Path) -> None:
    from vidcam.models.weights import fetch

    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    fetch._pip_command = lambda: [sys.executable, str(script)]


@pytest.mark.parametrize("signals", [(INT, INT), (TERM,)], ids=["twice", "terminated"])
def test_an_interrupt_during_a_download(signals: tuple[int, ...], tmp_path: Path) -> None:
    """Pip and its child processes end, and the cache and the temporary folder stay empty."""
    script, lock, temporary = tmp_path / "fake_pip.py", tmp_path / "lock", tmp_path / "temporary"
    script.write_text(FAKE_PIP)
    command = Command(
        ["demo", "-o", str(tmp_path / "out")],
        tmp_path,
        environment={"VIDCAM_CACHE": str(tmp_path / "cache")},
        prepare=partial(_use_fake_pip, script, temporary),
    )
    command.signal_when((tmp_path / "lock.on").exists, *signals, pause_seconds=0.02)
    done = command.wait()
    assert done.code == 130
    assert done.err.splitlines() == ["", "vidcam: interrupted; nothing half-written was left"]
    assert is_released(lock)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "cache").iterdir()) == []


def is_released(lock: Path) -> bool:
    """Return whether the process that held a lock ends within two seconds."""
    with lock.open("w") as file:
        for _ in range(100):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.02)
            else:
                return True
    return False


@pytest.mark.slow
def test_a_process_that_is_interrupted_until_it_ends(video: Path, tmp_path: Path) -> None:
    """Like a key that is held down, also while the interpreter exits."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vidcam", *explain(video, out, "--batch-size", "1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not out.exists() and process.poll() is None:
            time.sleep(0.001)
        while process.poll() is None:
            process.send_signal(INT)
            time.sleep(0.01)
        output, errors = process.communicate()
    assert (process.returncode, output) == (130, "")
    assert errors.splitlines() == ["", "vidcam: interrupted; nothing half-written was left"]
    assert not out.exists()
