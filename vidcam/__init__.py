"""vidcam: where and when a video model looked, and whether the answer can be trusted.

    explain           class activation maps of any `nn.Module` and clip tensor; `explain_each` for several targets
    explain_video     from a video file to overlay videos, a sheet, data and a JSON
    render_film       from saved maps and their film to a video, an animation, pictures or a sheet; no torch
    score_clips       from a set of clips to a table: which method is faithful, and how sure is that
    load_model        a built-in model by name

Every name is resolved when first used: `import vidcam` loads neither torch nor PyAV.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidcam.cam.ask import Ask
    from vidcam.cam.explain import explain, explain_each
    from vidcam.cam.layers import list_layers
    from vidcam.cam.neutral import Neutral, look_at_neutral
    from vidcam.cam.record import record
    from vidcam.cam.reshape import channels_last, tokens
    from vidcam.errors import InputError, RunError, VidcamError
    from vidcam.explanation import Explanation, Sink
    from vidcam.explanation_file import load_explanation
    from vidcam.film import Film, load_film
    from vidcam.models.image import image_network
    from vidcam.models.model import Model
    from vidcam.models.registry import load_model, model_names
    from vidcam.pipelines.explain import ExplainedVideo, explain_video
    from vidcam.pipelines.options import ExplainOptions
    from vidcam.pipelines.render import Rendered, render_film
    from vidcam.pipelines.render_options import RenderOptions
    from vidcam.pipelines.score import ScoredClips, score_clips
    from vidcam.pipelines.score_options import ScoreOptions
    from vidcam.spec import ModelSpec, Scaling, TokenGrid

__version__ = "0.1.0"

__all__ = [
    "Ask",
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
    "load_explanation",
    "load_film",
    "load_model",
    "look_at_neutral",
    "model_names",
    "record",
    "render_film",
    "score_clips",
    "tokens",
]

_HOMES = {
    "Ask": "vidcam.cam.ask",
    "ExplainOptions": "vidcam.pipelines.options",
    "ExplainedVideo": "vidcam.pipelines.explain",
    "Explanation": "vidcam.explanation",
    "Film": "vidcam.film",
    "InputError": "vidcam.errors",
    "Model": "vidcam.models.model",
    "ModelSpec": "vidcam.spec",
    "Neutral": "vidcam.cam.neutral",
    "RenderOptions": "vidcam.pipelines.render_options",
    "Rendered": "vidcam.pipelines.render",
    "RunError": "vidcam.errors",
    "Scaling": "vidcam.spec",
    "ScoreOptions": "vidcam.pipelines.score_options",
    "ScoredClips": "vidcam.pipelines.score",
    "Sink": "vidcam.explanation",
    "TokenGrid": "vidcam.spec",
    "VidcamError": "vidcam.errors",
    "channels_last": "vidcam.cam.reshape",
    "explain": "vidcam.cam.explain",
    "explain_each": "vidcam.cam.explain",
    "explain_video": "vidcam.pipelines.explain",
    "image_network": "vidcam.models.image",
    "list_layers": "vidcam.cam.layers",
    "load_explanation": "vidcam.explanation_file",
    "load_film": "vidcam.film",
    "load_model": "vidcam.models.registry",
    "look_at_neutral": "vidcam.cam.neutral",
    "model_names": "vidcam.models.registry",
    "record": "vidcam.cam.record",
    "render_film": "vidcam.pipelines.render",
    "score_clips": "vidcam.pipelines.score",
    "tokens": "vidcam.cam.reshape",
}

_HERE = Path(__file__).parent

if not (_HERE / "models").is_dir():  # a checkout, where models/ and pipelines/ lie beside vidcam/ (see pyproject.toml)
    __path__.append(str(_HERE.parent))


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
