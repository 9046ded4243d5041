"""The JSON for FiftyOne: against its field types, a reader of our own, and the package where it is installed."""

from __future__ import annotations

import io
import os
import zlib
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.saved import save_hot
from vidcam.errors import InputError
from vidcam.pipelines.export.video import exported_video
from vidcam.pipelines.render.saved import open_saved
from vidcam.pipelines.report.writer import report
from vidcam.system.json_files import read_json
from vidcam.system.progress import silent


@dataclass(frozen=True)
class Detection:
    """`fiftyone.core.labels.TemporalDetection`."""

    _cls: Literal["TemporalDetection"]
    tags: list[str]
    label: str
    support: tuple[int, int]
    confidence: float | None


@dataclass(frozen=True)
class Detections:
    """`fiftyone.core.labels.TemporalDetections`."""

    _cls: Literal["TemporalDetections"]
    detections: list[Detection]


@dataclass(frozen=True)
class Classification:
    """`fiftyone.core.labels.Classification`."""

    _cls: Literal["Classification"]
    tags: list[str]
    label: str
    confidence: float | None


@dataclass(frozen=True)
class Metadata:
    """`fiftyone.core.metadata.VideoMetadata`."""

    _cls: Literal["VideoMetadata"]
    frame_width: int
    frame_height: int
    frame_rate: float
    total_frame_count: int
    duration: float


@dataclass(frozen=True)
class Sample:
    filepath: str
    tags: list[str]
    metadata: Metadata
    _media_type: Literal["video"]
    prediction: Classification
    windows: Detections
    frames: dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Dataset:
    """What `fiftyone.Dataset.from_json` reads."""

    name: str
    media_type: Literal["video"]
    info: dict[str, str]
    samples: list[Sample]


def array_of(heat: dict[str, Any]) -> NDArray[np.uint8]:
    """As `fiftyone.core.utils.deserialize_numpy_array`."""
    assert heat["_cls"] == "Heatmap"
    assert heat["range"] == [0, 255]
    stored = zlib.decompress(b64decode(heat["map"]["$binary"]["base64"]))
    array: NDArray[np.uint8] = np.load(io.BytesIO(stored), allow_pickle=False)
    return array


def test_the_file_has_what_fiftyone_reads(tmp_path: Path) -> None:
    saved = save_hot(tmp_path)
    out = report(saved, tmp_path / "set.json", title="my set").path
    data = read_json(out, Dataset)
    assert data.name == "my set"
    (sample,) = data.samples
    assert sample.filepath == "video.mp4"
    assert (sample.metadata.frame_height, sample.metadata.frame_width) == (128, 160)
    assert sample.metadata.total_frame_count == 24
    assert [window.label for window in sample.windows.detections] == ["running", "jumping", "sitting 座る"]
    assert [window.support for window in sample.windows.detections] == [(1, 9), (9, 16), (16, 24)]
    assert sample.windows.detections[0].confidence == pytest.approx(np.exp(2) / (np.exp(2) + 2), abs=1e-6)
    assert list(sample.frames) == list(range(1, 25))


def test_the_maps_come_back(tmp_path: Path) -> None:
    saved = save_hot(tmp_path)
    (sample,) = read_json(report(saved, tmp_path / "set.json").path, Dataset).samples
    video = exported_video(*open_saved(saved, None), progress=silent)
    names = {"gradcam running": "gradcam_running", "gradcam++ per-window": "gradcam_plus_plus_per_window"}
    for map_, field in names.items():
        method, label = map_.split()
        (_, heats), *_ = video.heats(method, video.explanation.labels.index(label))
        back = np.stack([array_of(sample.frames[number][field]) for number in range(1, 25)])
        assert back.dtype == np.uint8
        assert np.array_equal(back, heats)
    assert sample.frames[1]["frame_number"] == 1


def test_several_results_are_several_samples(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    saved = [save_hot(tmp_path / name) for name in ("a", "b")]
    data = read_json(report(saved, tmp_path / "set.json").path, Dataset)
    assert [sample.filepath for sample in data.samples] == ["a/video.mp4", "b/video.mp4"]


def test_a_copy_for_pages_has_no_use_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--proxy"):
        report(save_hot(tmp_path), tmp_path / "set.json", proxy=True)


def test_fiftyone_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "FIFTYONE_DO_NOT_TRACK", "1")
    module = pytest.importorskip("fiftyone.core.sample", reason="needs fiftyone, which fetches a database at install")
    saved = save_hot(tmp_path)
    data = read_json(report(saved, tmp_path / "set.json").path, dict[str, Any])
    sample = module.Sample.from_dict(data["samples"][0])
    video = exported_video(*open_saved(saved, None), progress=silent)
    (_, heats), *_ = video.heats("gradcam", 0)
    assert np.array_equal(sample.frames[5]["gradcam_running"].get_map(), heats[4])
    assert list(sample.windows.detections[1].support) == [9, 16]
