"""Result files of strangers: each is refused in one sentence, and nothing large is made of a small one."""

from __future__ import annotations

import io
import json
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.results.test_video import video
from vidcam.errors import MediaError
from vidcam.results.io import load


def saved(**changes: NDArray[Any]) -> bytes:
    """Return a saved video with some arrays replaced."""
    with tempfile.TemporaryDirectory() as folder:
        video().save(Path(folder) / "video.npz")
        content = (Path(folder) / "video.npz").read_bytes()
    with np.load(io.BytesIO(content)) as arrays:
        everything: dict[str, Any] = {name: arrays[name] for name in arrays.files} | changes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **everything)
    return buffer.getvalue()


def with_meta(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a saved video with changed JSON."""
    with np.load(io.BytesIO(saved())) as arrays:
        meta: dict[str, Any] = json.loads(str(arrays["meta"]))
    change(meta)
    return saved(meta=np.array(json.dumps(meta)))


def with_origin(**changes: object) -> bytes:
    """Return a saved video whose origin states something else."""
    origin = {"path": "clip.mp4", "content_hash": "0", "span_seconds": [0, 1], "fps": None} | changes
    return with_meta(lambda meta: meta["video"].update(origin=origin))


def of_clips(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a saved video whose first target states something else."""
    return with_meta(lambda meta: change(meta["explanations"][0]))


def one_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def damaged() -> bytes:
    content = bytearray(saved())
    middle = len(content) // 3
    content[middle : middle + 40] = bytes(40)
    return bytes(content)


class Tripwire:
    """An object that fails the test if it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("something was unpickled",)


def pickled() -> bytes:
    return saved(starts=np.array([Tripwire()], dtype=object))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: b"hello", id="text"),
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: pickle.dumps(Tripwire()), id="a pickle"),
        pytest.param(pickled, id="a pickled array"),
        pytest.param(lambda: saved(meta=np.array("{")), id="broken json"),
        pytest.param(lambda: saved(meta=np.array("[" * 100_000)), id="deep json"),
        pytest.param(lambda: with_meta(lambda meta: meta.update(explanations=[])), id="no explanation"),
        pytest.param(lambda: with_meta(lambda meta: meta.update(video=None, explanations=[])), id="no clips"),
        pytest.param(lambda: with_meta(lambda meta: meta["video"].update(bounds=[])), id="no bounds"),
        pytest.param(lambda: with_meta(lambda meta: meta["video"].update(scale="frame")), id="unknown scale"),
        pytest.param(lambda: saved(frame_seconds=np.zeros(3)), id="wrong shape"),
        pytest.param(lambda: with_meta(lambda meta: meta.pop("explanations")), id="no explanations"),
        pytest.param(lambda: with_meta(lambda meta: meta["video"].update(geometry={})), id="no geometry"),
        pytest.param(
            lambda: with_meta(lambda meta: meta["explanations"][0]["volumes"].append("x")), id="absent method"
        ),
        pytest.param(lambda: saved()[:2000], id="cut short"),
        pytest.param(lambda: b"PK\x03\x04 hello", id="no archive"),
        pytest.param(damaged, id="damaged"),
        pytest.param(one_array, id="one array"),
        pytest.param(lambda: saved(meta=np.array("[]")), id="json of another kind"),
        pytest.param(lambda: with_meta(lambda meta: meta["video"].update(geometry=None)), id="null geometry"),
        pytest.param(lambda: with_origin(fps="1/0"), id="no rate"),
        pytest.param(lambda: with_origin(fps="1e999999999"), id="a rate of many digits"),
        pytest.param(lambda: with_origin(span_seconds=[1, 1]), id="no span"),
        pytest.param(lambda: with_origin(mean_rgb=[0, 0, 256]), id="no colour"),
        pytest.param(lambda: with_origin(path="a\0"), id="no path"),
        pytest.param(lambda: of_clips(lambda clips: clips.update(input_size=[10**9] * 3)), id="huge input"),
        pytest.param(lambda: of_clips(lambda clips: clips.update(input_size=[1, -(10**30), 1])), id="negative input"),
        pytest.param(lambda: of_clips(lambda clips: clips["volumes"].append("gradcam")), id="a method twice"),
        pytest.param(
            lambda: of_clips(lambda clips: clips.update(artifact={"cells": [[9, 9, 9]], "value": 1, "median": 0})),
            id="artifact outside the grid",
        ),
        pytest.param(lambda: saved(**{"0/target": np.full(11, 99)}), id="no such class"),
        pytest.param(lambda: saved(**{"0/target": np.zeros(11)}), id="target of floats"),
        pytest.param(lambda: saved(**{"0/logits": np.full((11, 4), np.nan)}), id="not a number"),
        pytest.param(lambda: saved(**{"0/volumes/gradcam": np.zeros((11, 3, 4, 0))}), id="map without cells"),
        pytest.param(lambda: saved(**{"0/volumes/gradcam": np.full((11, 3, 4, 6), "x")}), id="map of text"),
        pytest.param(lambda: saved(**{"0/volumes/gradcam": np.full((11, 3, 4, 6), np.inf)}), id="infinite map"),
        pytest.param(lambda: saved(ends=np.full(11, -1.0)), id="windows that end before they start"),
        pytest.param(lambda: saved(starts=np.full(11, np.nan)), id="windows at no time"),
    ],
)
def test_other_files_raise_one_short_error(tmp_path: Path, content: Callable[[], bytes]) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content())
    with pytest.raises(MediaError, match=r"a\.npz is not a saved explanation \(.*\); expected an \.npz"):
        load(path)


def test_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(with_meta(lambda meta: meta.update(schema=2)))
    with pytest.raises(MediaError, match="schema"):
        load(path)
