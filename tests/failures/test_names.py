"""Unusual names of videos and folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.helpers.failures import BRIGHT, explain
from vidcam.cam.methods import METHODS
from vidcam.cli.app import main
from vidcam.pipelines.explain.outputs import slug
from vidcam.system.filenames import safe_stem

Capture = pytest.CaptureFixture[str]


NAMES = {
    "shell": (b"a b;$(touch x)&'\"\\ `c` * ~ #!.mp4", "a b;$(touch x)&'\"\\ `c` * ~ #!"),
    "an option": (b"-o.mp4", "-o"),
    "a line break": (b"one\ntwo\r\x1b[31m.mp4", "one_two__[31m"),
    "no UTF-8": (b"caf\xe9.mp4", "caf_"),
    "no UTF-8 and a line break": (b"\xff\n\xfe.mp4", "___"),
    "a paragraph separator": ("a\u2029b.mp4".encode(), "a_b"),
    "other scripts": ("映画\u3000👨‍👩‍👧.mp4".encode(), "映画\u3000👨‍👩‍👧"),
    "long": (b"a" * 251 + b".mp4", "a" * 120),
    "long in another script": ("影".encode() * 83 + b".mp4", "影" * 40),
    "percent signs": (b"%d%s%.mp4", "%d%s%"),
    "dots": (b"..mp4", "."),
    "a dot": (b".mp4", ".mp4"),
}


@pytest.mark.parametrize("case", NAMES)
def test_an_unusual_name(case: str, speck: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """All files are written, the JSON is UTF-8 and names the video, and each message is one line.

    The second run finds the results of the first one.
    """
    name, stem = NAMES[case]
    source = tmp_path / "videos" / os.fsdecode(name)
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
        "--captions",
        "none",
        "--outputs",
        "map,sheet,data",
        *methods,
        "--",
        str(source),
    ]
    assert main(arguments) == 0
    output = capfdbinary.readouterr()
    files = [f"{stem}_bright-thing_{m}_map.mp4" for m in ("gradcam", "gradcam++")]
    files += [f"{stem}{ending}" for ending in (".png", ".npz", "_evidence.csv", ".toml", ".json")]
    assert output.out.decode().split("\n") == [*(str(out / name) for name in files), ""]
    assert output.err.count(b"\n") == 6  # two of them verdicts
    output.err.decode()
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    document = json.loads((out / f"{stem}.json").read_bytes().decode())
    assert document["files"] == files
    if case.startswith("no UTF-8"):
        assert unescaped(document["source"]["path"]) == b"../videos/" + name
    else:
        assert (out / document["source"]["path"]).samefile(source)
    assert main(arguments) == 2
    (line,) = capfdbinary.readouterr().err.decode().splitlines()
    assert "holds results of" in line
    assert main(["explain", "--overwrite", *arguments[1:]]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(files)


def unescaped(path: str) -> bytes:
    """Convert each `\\xNN` back to its byte."""
    return path.encode().decode("unicode_escape").encode("latin-1")


def test_long_names_with_the_same_beginning_stay_different(speck: Path, tmp_path: Path, capsys: Capture) -> None:
    for ending in "xyz":
        source = tmp_path / ("a" * 200 + f"{ending}.mp4")
        source.write_bytes(speck.read_bytes())
        assert main(explain(source, tmp_path / "out", outputs="data")) == 0
    assert len(list((tmp_path / "out").glob("*.json"))) == 3


def test_the_longest_result_name_fits() -> None:
    """Stem, number, label, index, the longest method and the ending take at most 255 bytes."""
    stem = safe_stem("影" * 90) + "-9999"
    method = max(METHODS, key=len)
    assert len(f"{stem}_{slug('long label ' * 30, 7)}-99999_{method}_map.mp4".encode()) <= 255


@pytest.mark.parametrize("name", [b"gone\n\xff.mp4", "gone\u2028.mp4".encode(), b"\x1b]0;title\x07.mp4"])
def test_an_unusual_name_in_an_error(name: bytes, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    video = tmp_path / os.fsdecode(name)
    for arguments in ([str(video)], [str(video), str(video)]):
        assert main(["explain", *arguments, "-o", str(tmp_path / "out"), "--model", BRIGHT, "--json"]) == 2
        output = capfdbinary.readouterr()
        lines = output.err.decode().splitlines()
        assert len(lines) == len(arguments)
        assert all(line.startswith("vidcam: ") and "\x1b" not in line for line in lines)
        failed = json.loads(output.out.decode())["failed"]
        assert all(entry["reason"].splitlines() == [entry["reason"]] for entry in failed)
        assert not (tmp_path / "out").exists()


def test_an_unusual_destination(video: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Standard output holds each path as the bytes of the file name, so that it opens the file."""
    out = tmp_path / os.fsdecode(b"o\xffut")
    assert main(explain(video, out, outputs="data")) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert [Path(os.fsdecode(line)).is_file() for line in lines] == [True] * 4
    assert main(explain(video, out, "--json", outputs="data")) == 0
    (result,) = json.loads(capfdbinary.readouterr().out.decode())["results"]
    assert result["folder"].endswith(r"/o\xffut")
