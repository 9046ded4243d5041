"""Explaining and scoring with a model that is shipped opens no connection, in no process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.odd import h264

ROOT = Path(__file__).resolve().parents[2]

# Imported by every Python process that starts, before its own program.
BLOCKED = """
import os, socket, sys

def refuse(name):
    def refused(*arguments, **_):
        with open(os.environ["VIDCAM_TEST_CONNECTIONS"], "a", encoding="utf-8") as log:
            print(name, *map(repr, arguments[-1:]), file=log)
        raise OSError("the network is blocked")
    return refused

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse(name))
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse(name))
"""


def run_blocked(arguments: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run Python without a network; returns how it ended and the connections that were tried."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(BLOCKED, "utf-8")
    log = folder / "connections.txt"
    log.write_text("")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DO_NOT_"))},
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
        "VIDCAM_TEST_CONNECTIONS": str(log),
        "VIDCAM_CACHE": str(folder / "cache"),
        "TORCH_HOME": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    return done, log.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "clips/video.mp4", "-o", "out", "--model", "tiny_r3d", "--device", "cpu"],
        ["score", "clips", "-o", "out", "--model", "tiny_r3d", "--device", "cpu", "--method", "gradcam"],
        ["models"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_connection_is_tried(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    h264(tmp_path / "clips" / "video.mp4")
    done, connections = run_blocked(["-m", "vidcam", *arguments], tmp_path)
    assert (done.returncode, connections) == (0, ""), done.stderr


def test_a_connection_would_be_seen(tmp_path: Path) -> None:
    program = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')"
    done, connections = run_blocked(["-c", program], tmp_path)
    assert "the network is blocked" in done.stderr
    assert connections
