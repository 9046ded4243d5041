"""What a user does with a damaged video: explain it. The overlay must have its frames, and a failure leaves nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import av

from tests.helpers.nets import pooled_model
from vidcam.errors import VidcamError
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.system.json_files import as_plain
from vidcam.video.reader import Decoder, probe


def use_media(source: Path, decoder: Decoder = "auto", *, has_sheet: bool = False) -> list[str]:
    """Explain a video into a new folder beside it; returns the warnings of the result.

    Raises:
        AssertionError: files are missing or left behind, or the overlay has other frames than the video.
        VidcamError: the video is refused.
    """
    folder = source.with_name("out")
    try:
        result = _explainer(decoder, has_sheet).explain(source, folder)
    except VidcamError as exc:
        if folder.exists():
            raise AssertionError(f"{sorted(path.name for path in folder.iterdir())} left behind after {exc}") from exc
        raise
    json.dumps(as_plain(result.document), allow_nan=False)
    expected, found = sorted(result.document.files), sorted(path.name for path in folder.iterdir())
    if found != expected:
        raise AssertionError(f"expected {expected}, found {found}")
    count, drawn = probe(source).frame_count, _packets(folder / _overlay(result))
    if drawn != count:
        raise AssertionError(f"the overlay has {drawn} frames, the video {count}")
    return list(result.warnings)


@lru_cache
def _explainer(decoder: Decoder, has_sheet: bool) -> Explainer:
    outputs = ("overlay", "data", "sheet") if has_sheet else ("overlay", "data")
    options = ExplainOptions(methods=("gradcam++",), outputs=outputs, captions="none", decoder=decoder)
    return Explainer(_model(), options)


@lru_cache(maxsize=1)
def _model() -> Model:
    model = pooled_model()
    return replace(model, spec=replace(model.spec, resize=36))  # keeps proportions, as real models do


def _overlay(result: ExplainedVideo) -> str:
    name: str = as_plain(result.document)["targets"][0]["methods"]["gradcam++"]["overlay"]
    return name


def _packets(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)
