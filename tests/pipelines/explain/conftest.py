"""Options and helpers of the tests of `explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers.nets import brightness_model
from vidcam.geometry import View
from vidcam.media import Frames
from vidcam.pipelines.explain.explainer import ExplainedVideo, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions

PAIR = ("gradcam", "gradcam++")
EVERYTHING = ExplainOptions(methods=PAIR, outputs=OUTPUTS)


def read_document(path: Path) -> dict[str, Any]:
    """The JSON as mappings and lists."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def explained_view(frames: Frames, out: Path, view: View, **options: Any) -> ExplainedVideo:
    """Frames at 25 a second, explained for class 0 into a folder with the view's name; by brightness if not told."""
    settings: dict[str, Any] = {
        "model": brightness_model(),
        "methods": ("neutral-gradcam", "gradcam++"),
        "targets": (0,),
        "outputs": ("data",),
        "fps": 25,
    }
    return explain_video(frames, out / view, view=view, **(settings | options))
