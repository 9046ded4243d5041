"""A pass over a video that makes no maps: the probabilities of its windows, and the classes that they single out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.network import predicted, require_finite
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.devices import double
from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import VideoJob
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.forward import torch_errors
from vidcam.pipelines.windows import batches
from vidcam.system.progress import Progress, StageTimer
from vidcam.system.threads import prefetch

PREDICTING = "predicting windows"
"""The pass, where progress is told."""


def window_probabilities(
    model: Model, job: VideoJob, *, batch_size: int, clock: StageTimer, progress: Progress
) -> NDArray[np.float64]:
    """Run the model on every window, without a backward pass.

    Args:
        model: left as it was.
        job: the video.
        batch_size: windows per forward pass.
        clock: takes the stages' times.
        progress: called after every batch.

    Returns:
        (N, K), means over the crops; the values themselves if the model has no probabilities.

    Raises:
        RunError: the model fails, or returns NaN or infinity.
    """
    windows, spec = job.windows, model.spec
    parts = []
    source = batches(
        job.reader, windows, spec, job.geometry, crops=job.crops.parts, size=batch_size, device=model.device
    )
    with torch_errors(model, batch_size), Undo() as undo, undo:
        preserve_model(model.module, undo)
        with closing(prefetch(clock.timed("decode for the model", source), depth=1)) as ready:
            for positions, tensor in ready:
                with clock.stage("model"):
                    of_clips = _probabilities(model, tensor)
                    parts.append(of_clips.reshape(len(positions), -1, of_clips.shape[1]).mean(axis=1))  # over crops
                progress(PREDICTING, positions[-1] + 1, len(windows))
    return np.concatenate(parts)


def _probabilities(model: Model, tensor: Tensor) -> NDArray[np.float64]:
    spec, clips = model.spec, model.input_of(tensor)
    found = predicted(model.module, clips, activation=spec.activation, classes=spec.classes)
    require_finite(found.logits, "the logits")
    scores, activation = double(found.logits), spec.activation or found.activation or "softmax"
    if activation != "none":
        scores = scores.softmax(dim=1) if activation == "softmax" else scores.sigmoid()
    return np.asarray(scores.cpu().numpy())


def with_probable_classes(
    model: Model, job: VideoJob, request: ExplainRequest, *, clock: StageTimer, progress: Progress
) -> ExplainRequest:
    """Resolve `above:P`: add the classes whose mean probability over the video is at least P, the highest first.

    The contrast class is never among them. Where no class is, and no other target was named, the top class is
    explained and a note says so.

    Args:
        model: left as it was.
        job: the video.
        request: returned as it is if it has no such target.
        clock: takes the stages' times.
        progress: called after every batch.
    """
    least = request.above
    if least is None:
        return request
    if model.spec.activation == "none":
        raise InputError(f"--target above:{least:g} needs probabilities; {model.spec.name!r} returns values")
    probabilities = window_probabilities(model, job, batch_size=request.batch_size, clock=clock, progress=progress)
    mean = probabilities.mean(axis=0)
    ranked = [int(k) for k in np.argsort(-mean, kind="stable") if int(k) != request.contrast]
    probable = [k for k in ranked if mean[k] >= least]
    if probable or request.targets:
        return replace(request, targets=tuple(dict.fromkeys((*request.targets, *probable))), above=None)
    note = f"No class has a mean probability of {least:g} or more: the top class is explained."
    return replace(request, targets=(ranked[0],), above=None, notes=(*request.notes, note))
