"""vidcam: where and when a video model looked, and whether the answer can be trusted.

    explain              class activation maps of any `nn.Module` and clip tensor; `explain_each` for several targets
    verdict              how far the maps of clip tensors can be trusted, by a few more forward passes
    differentiable_maps  maps that a network can be trained through
    ExplanationLoss      the loss of a student that learns from the explanations of a teacher
    explain_video        from a video file to overlay videos, a sheet, data and a JSON
    report               from saved explanations to one HTML page in which one looks for oneself
    render_video         from a saved explanation to a video, an animation, pictures or a sheet, without the model
    score_clips          from a set of clips to a table of faithfulness measures
    grid_game            whether maps point at their class, of two clips in one input
    overlay              draw a heat over frames
    load                 load what `Explanation.save` and `explain_video` saved
    load_model           load a model by name; `list_models` and `list_layers` list what there is
    targets              functions of the output that can be explained, such as the log probability of a word

Every name is resolved when first used: `import vidcam` loads neither torch nor PyAV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidcam.cam import targets
    from vidcam.cam.baseline import compute_baseline
    from vidcam.cam.differentiable import differentiable_maps
    from vidcam.cam.explain import explain, explain_each
    from vidcam.cam.layers import list_layers
    from vidcam.cam.reshape import channels_last, frames, in_turn, tokens
    from vidcam.errors import VidcamError
    from vidcam.models.model import Model
    from vidcam.models.registry import list_models, load_model
    from vidcam.pipelines.explain.explainer import explain_video
    from vidcam.pipelines.learn.explanation_loss import ExplanationLoss
    from vidcam.pipelines.render.renderer import render_video
    from vidcam.pipelines.report.writer import report
    from vidcam.pipelines.score.grid_game import grid_game
    from vidcam.pipelines.score.run import score_clips
    from vidcam.pipelines.verdict.tensors import verdict
    from vidcam.render.overlay import overlay
    from vidcam.results.explanation import Explanation
    from vidcam.results.io import load
    from vidcam.results.video import VideoExplanation
    from vidcam.spec import ModelSpec, Scaling, TokenGrid

__version__ = "0.1.0"

__all__ = [
    "Explanation",
    "ExplanationLoss",
    "Model",
    "ModelSpec",
    "Scaling",
    "TokenGrid",
    "VidcamError",
    "VideoExplanation",
    "channels_last",
    "compute_baseline",
    "differentiable_maps",
    "explain",
    "explain_each",
    "explain_video",
    "frames",
    "grid_game",
    "in_turn",
    "list_layers",
    "list_models",
    "load",
    "load_model",
    "overlay",
    "render_video",
    "report",
    "score_clips",
    "targets",
    "tokens",
    "verdict",
]

_HOMES = {
    "Explanation": "vidcam.results.explanation",
    "ExplanationLoss": "vidcam.pipelines.learn.explanation_loss",
    "Model": "vidcam.models.model",
    "ModelSpec": "vidcam.spec",
    "Scaling": "vidcam.spec",
    "TokenGrid": "vidcam.spec",
    "VidcamError": "vidcam.errors",
    "VideoExplanation": "vidcam.results.video",
    "channels_last": "vidcam.cam.reshape",
    "compute_baseline": "vidcam.cam.baseline",
    "differentiable_maps": "vidcam.cam.differentiable",
    "explain": "vidcam.cam.explain",
    "explain_each": "vidcam.cam.explain",
    "explain_video": "vidcam.pipelines.explain.explainer",
    "frames": "vidcam.cam.reshape",
    "grid_game": "vidcam.pipelines.score.grid_game",
    "in_turn": "vidcam.cam.reshape",
    "list_layers": "vidcam.cam.layers",
    "list_models": "vidcam.models.registry",
    "load": "vidcam.results.io",
    "load_model": "vidcam.models.registry",
    "overlay": "vidcam.render.overlay",
    "render_video": "vidcam.pipelines.render.renderer",
    "report": "vidcam.pipelines.report.writer",
    "score_clips": "vidcam.pipelines.score.run",
    "tokens": "vidcam.cam.reshape",
    "verdict": "vidcam.pipelines.verdict.tensors",
}
_MODULES = {"targets": "vidcam.cam.targets"}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
