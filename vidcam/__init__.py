"""vidcam: where and when a video model looked, and whether the answer can be trusted.

    explain           class activation maps of any `nn.Module` and clip tensor; `explain_each` for several targets
    explain_video     from a video file to overlay videos, a sheet, data and a JSON
    render_film       from saved maps and their film to a video, an animation, pictures or a sheet; no torch
    score_clips       from a set of clips to a table: which method is faithful, and how sure is that
    load              what `Explanation.save` and `explain_video` saved
    load_model        a built-in model by name

Every name is resolved when first used: `import vidcam` loads neither torch nor PyAV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidcam.cam.baseline import Neutral, look_at_neutral
    from vidcam.cam.explain import explain, explain_each
    from vidcam.cam.layers import list_layers
    from vidcam.cam.record import record
    from vidcam.cam.reshape import channels_last, tokens
    from vidcam.errors import InputError, RunError, VidcamError
    from vidcam.models.families.image import image_network
    from vidcam.models.model import Model
    from vidcam.models.registry import load_model, model_names
    from vidcam.pipelines.explain.explainer import ExplainedVideo, explain_video
    from vidcam.pipelines.explain.request import ExplainOptions
    from vidcam.pipelines.render.options import RenderOptions
    from vidcam.pipelines.render.renderer import Rendered, render_film
    from vidcam.pipelines.score.options import ScoreOptions
    from vidcam.pipelines.score.run import ScoredClips, score_clips
    from vidcam.results.explanation import Explanation, Sink
    from vidcam.results.io import load
    from vidcam.results.video import Film
    from vidcam.spec import ModelSpec, Scaling, TokenGrid

__version__ = "0.1.0"

__all__ = [
    "ExplainOptions",
    "ExplainedVideo",
    "Explanation",
    "Film",
    "InputError",
    "Model",
    "ModelSpec",
    "Neutral",
    "RenderOptions",
    "Rendered",
    "RunError",
    "Scaling",
    "ScoreOptions",
    "ScoredClips",
    "Sink",
    "TokenGrid",
    "VidcamError",
    "channels_last",
    "explain",
    "explain_each",
    "explain_video",
    "image_network",
    "list_layers",
    "load",
    "load_model",
    "look_at_neutral",
    "model_names",
    "record",
    "render_film",
    "score_clips",
    "tokens",
]

_HOMES = {
    "ExplainOptions": "vidcam.pipelines.explain.request",
    "ExplainedVideo": "vidcam.pipelines.explain.explainer",
    "Explanation": "vidcam.results.explanation",
    "Film": "vidcam.results.video",
    "InputError": "vidcam.errors",
    "Model": "vidcam.models.model",
    "ModelSpec": "vidcam.spec",
    "Neutral": "vidcam.cam.baseline",
    "RenderOptions": "vidcam.pipelines.render.options",
    "Rendered": "vidcam.pipelines.render.renderer",
    "RunError": "vidcam.errors",
    "Scaling": "vidcam.spec",
    "ScoreOptions": "vidcam.pipelines.score.options",
    "ScoredClips": "vidcam.pipelines.score.run",
    "Sink": "vidcam.results.explanation",
    "TokenGrid": "vidcam.spec",
    "VidcamError": "vidcam.errors",
    "channels_last": "vidcam.cam.reshape",
    "explain": "vidcam.cam.explain",
    "explain_each": "vidcam.cam.explain",
    "explain_video": "vidcam.pipelines.explain.explainer",
    "image_network": "vidcam.models.families.image",
    "list_layers": "vidcam.cam.layers",
    "load": "vidcam.results.io",
    "load_model": "vidcam.models.registry",
    "look_at_neutral": "vidcam.cam.baseline",
    "model_names": "vidcam.models.registry",
    "record": "vidcam.cam.record",
    "render_film": "vidcam.pipelines.render.renderer",
    "score_clips": "vidcam.pipelines.score.run",
    "tokens": "vidcam.cam.reshape",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
