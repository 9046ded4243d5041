"""The job of a video, without preparing its model."""

from __future__ import annotations

from vidcam.cam.baseline import Baseline
from vidcam.models.model import Forward, Model
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.forward import Prepared
from vidcam.sampling import plan_windows
from vidcam.system.progress import Progress, StageTimer, silent
from vidcam.video.reader import VideoReader


def job_of(reader: VideoReader, model: Model, request: ExplainRequest, *, progress: Progress = silent) -> VideoJob:
    """All windows of a video, with the request's overlap."""
    spec, info = model.spec, reader.info
    return VideoJob(
        ready=Prepared(model, Forward(), Baseline({}, None), model),
        request=request,
        reader=reader,
        windows=plan_windows(info, frames=spec.frames, fps=spec.fps, overlap=request.overlap),
        crops=Crops((spec.geometry(info.size),)),
        span_seconds=(0.0, info.duration_seconds),
        clock=StageTimer(),
        progress=progress,
    )
