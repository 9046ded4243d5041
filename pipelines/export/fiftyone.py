"""The JSON that FiftyOne's `Dataset.from_json` reads: heat maps of the frames, classes of the windows.

The keys are those of `fiftyone.core.labels`: `Heatmap`, `TemporalDetection`, `Classification`. An array is stored as
FiftyOne stores it: `numpy.save`, zlib, base64. The package is not needed.
"""

from __future__ import annotations

import io
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.pipelines.export.video import Bytes, ExportedVideo, plain_name
from vidcam.system.filenames import relative_path
from vidcam.system.json_files import to_json


def fiftyone_json(videos: Sequence[ExportedVideo], folder: Path, *, name: str) -> str:
    """Return the dataset as JSON.

    Args:
        videos: one sample each.
        folder: the folder of the JSON; the paths of the videos are relative to it.
        name: name of the dataset.
    """
    samples = [_sample(video, folder) for video in videos]
    info = {"written by": "vidcam", "range of the heat": "0 to 255; 255 is the strongest of a video"}
    return to_json({"name": name, "media_type": "video", "info": info, "samples": samples}, indent=0)


def _sample(video: ExportedVideo, folder: Path) -> Mapping[str, Any]:
    explanation, info = video.explanation, video.info
    names = _field_names(video)
    frames: dict[str, dict[str, Any]] = {}
    for (target, label, method), name in names.items():
        for seconds, heats in video.heats(method, target):
            for second, heat in zip(seconds, heats, strict=True):
                number = video.frame_number(float(second))
                frame = frames.setdefault(str(number), {"frame_number": number})
                frame[name] = {"_cls": "Heatmap", "tags": [label, method], "map": _packed(heat), "range": [0, 255]}
    return {
        "filepath": relative_path(video.path, folder),
        "tags": [explanation.model],
        "metadata": {
            "_cls": "VideoMetadata",
            "frame_width": info.size[1],
            "frame_height": info.size[0],
            "frame_rate": float(info.fps),
            "total_frame_count": info.frame_count,
            "duration": info.duration_seconds,
        },
        "_media_type": "video",
        "prediction": _prediction(video),
        "windows": {"_cls": "TemporalDetections", "detections": _windows(video)},
        "frames": frames,
    }


def _prediction(video: ExportedVideo) -> Mapping[str, Any]:
    first = video.explanation.explanations[0]
    means = first.ranking().mean(axis=0)
    best = int(means.argmax())
    confidence = None if first.activation == "none" else float(means[best])
    return {
        "_cls": "Classification", "tags": [], "label": video.explanation.class_label(best), "confidence": confidence
    }  # fmt: skip


def _windows(video: ExportedVideo) -> list[Mapping[str, Any]]:
    """The class of each window; its first and last frame are counted from 1."""
    explanation, line = video.explanation, video.explanation.timeline
    first = explanation.explanations[0]
    ranking = first.ranking()
    return [
        {
            "_cls": "TemporalDetection",
            "tags": [],
            "label": explanation.class_label(int(scores.argmax())),
            "support": [video.frame_number(float(stamps.min())), video.frame_number(float(stamps.max()))],
            "confidence": None if first.activation == "none" else float(scores.max()),
        }
        for scores, stamps in zip(ranking, line.frame_seconds, strict=True)
    ]


def _field_names(video: ExportedVideo) -> dict[tuple[int, str, str], str]:
    """Map → name of its field: the method, and the label if several classes were explained."""
    several = len(video.explanation.labels) > 1
    names: dict[tuple[int, str, str], str] = {}
    for target, label, method in video.maps():
        name = plain_name(f"{method} {label}" if several else method)
        names[target, label, method] = f"{name}_{target + 1}" if name in names.values() else name
    return names


def _packed(heat: Bytes) -> Mapping[str, Mapping[str, str]]:
    """Store an array as FiftyOne does, in MongoDB's extended JSON."""
    file = io.BytesIO()
    np.save(file, heat, allow_pickle=False)
    return {"$binary": {"base64": b64encode(zlib.compress(file.getvalue())).decode("ascii"), "subType": "00"}}
