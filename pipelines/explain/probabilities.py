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
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.forward import torch_errors
from vidcam.system.threads import prefetch

PREDICTING = "predicting windows"
"""The pass, where progress is told."""


def window_probabilities(job: VideoJob) -> NDArray[np.float64]:
    """Run the model on every window, without a backward pass.

    Returns:
        (N, K), means over the crops; the values themselves if the model has no probabilities.

    Raises:
        RunError: the model fails, or returns NaN or infinity.
    """
    model, count, parts = job.model, len(job.windows), []
    with torch_errors(model, job.request.batch_size), Undo() as undo, undo:
        preserve_model(model.module, undo)
        source = job.clock.timed("decode for the model", job.batches(job.windows))
        with closing(prefetch(source, depth=1)) as ready:
            for positions, tensor in ready:
                with job.clock.stage("model"):
                    of_clips = _probabilities(model, tensor)
                    parts.append(of_clips.reshape(len(positions), -1, of_clips.shape[1]).mean(axis=1))  # over crops
                job.progress(PREDICTING, positions[-1] + 1, count)
    return np.concatenate(parts)


def _probabilities(model: Model, tensor: Tensor) -> NDArray[np.float64]:
    spec, clips = model.spec, model.input_of(tensor)
    found = predicted(model.module, clips, activation=spec.activation, classes=spec.classes)
    require_finite(found.logits, "the logits")
    scores, activation = double(found.logits), spec.activation or found.activation or "softmax"
    if activation != "none":
        scores = scores.softmax(dim=1) if activation == "softmax" else scores.sigmoid()
    return np.asarray(scores.cpu().numpy())


def with_probable_classes(job: VideoJob) -> VideoJob:
    """Resolve `above:P`: add the classes whose mean probability over the video is at least P, the highest first.

    The contrast class is never among them. Where no class is, and no other target was named, the top class is
    explained and a note says so. A job without such a target is returned as it is.
    """
    model, request, least = job.model, job.request, job.request.above
    if least is None:
        return job
    if model.spec.activation == "none":
        raise InputError(f"--target above:{least:g} needs probabilities; {model.spec.name!r} returns values")
    mean = window_probabilities(job).mean(axis=0)
    ranked = [int(k) for k in np.argsort(-mean, kind="stable") if int(k) != request.contrast]
    probable = [k for k in ranked if mean[k] >= least]
    if probable or request.targets:
        targets = tuple(dict.fromkeys((*request.targets, *probable)))
        return replace(job, request=replace(request, targets=targets, above=None))
    note = f"No class has a mean probability of {least:g} or more: the top class is explained."
    return replace(job, request=replace(request, targets=(ranked[0],), above=None, notes=(*request.notes, note)))
