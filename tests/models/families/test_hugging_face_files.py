"""Files of a checkpoint: names, safetensors only, and a stand-in for the hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from tests.gallery.checkpoints import load, needs_transformers
from vidcam.errors import InputError, WeightsError
from vidcam.models.families.hugging_face_files import CheckpointFiles, find_files
from vidcam.models.registry import is_factory

ROOT = Path(__file__).resolve().parents[3]


def test_names() -> None:
    assert not is_factory("hf:owner/name")
    assert is_factory("hfx:factory")
    for name in ("nowhere", "/no/such/folder", "a/b/c", "https://host/owner/name"):
        with pytest.raises(InputError, match="neither a folder nor a name of the hub"):
            find_files(name)


def test_several_files_of_weights(tmp_path: Path) -> None:
    files = CheckpointFiles("hf:x", tmp_path, "x")
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.fp16.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    assert [path.name[:11] for path in files.weights()] == ["model-00001", "model-00002"]
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert [path.name for path in files.weights()] == ["model.safetensors"]


@needs_transformers
def test_a_pickle_is_refused(checkpoints: Any, tmp_path: Path) -> None:
    folder, network = checkpoints("videomae")
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(WeightsError, match=r"has no model\.safetensors"):
        load(tmp_path, "videomae")
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"only as a pickle; pass --weights pytorch_model\.bin"):
        load(tmp_path, "videomae")


class _Hub(SimpleHTTPRequestHandler):
    """A stand-in for the hub: the list of one repository's files, and the files."""

    def __init__(self, *arguments: Any, folder: Path, **options: Any) -> None:
        self.folder = folder
        super().__init__(*arguments, directory=str(folder), **options)

    def do_GET(self) -> None:
        paths = sorted(self.folder.iterdir())
        if self.path.startswith("/api/models/owner/tiny/tree/"):
            files = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40} for p in paths]
            self._answer(json.dumps(files))
        elif self.path.startswith("/api/models/owner/tiny"):
            names = [path.name for path in paths]
            self._answer(json.dumps({"id": "owner/tiny", "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}))
        else:
            self._file()

    def do_HEAD(self) -> None:
        self._file()

    def _file(self) -> None:
        path = self.folder / self.path.rpartition("/")[2]
        if not self.path.startswith("/owner/tiny/resolve/") or not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{path.name}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_of(folder: Path) -> Iterator[str]:
    """Serve a folder as the repository 'owner/tiny' of a hub on this machine; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, folder=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_transformers
def test_the_hub_is_asked_only_by_name(checkpoints: Any, tmp_path: Path) -> None:
    folder, _ = checkpoints("videomae")
    program = "import sys, vidcam; print(vidcam.load_model(sys.argv[1], device='cpu').weights)"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(name: str, endpoint: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, name],
            env={**environment, "HF_ENDPOINT": endpoint},
            capture_output=True,
            text=True,
            check=False,
        )

    with hub_of(folder) as address:
        done = run("hf:owner/tiny", address)
        assert done.stdout.startswith("owner/tiny, commit 0123456789ab, model.safetensors, sha256 "), done.stderr
        absent = run("hf:owner/absent", address)
        assert "cannot be downloaded" in absent.stderr
    again = run("hf:owner/tiny", "http://127.0.0.1:9")
    assert again.stdout == done.stdout, again.stderr  # from the cache
