"""The prediction of a video without any map: probabilities of its classes; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.geometry import View
from vidcam.models.captioner import Captioner
from vidcam.models.model import Model
from vidcam.pipelines.explain import document as entries
from vidcam.pipelines.explain.document import ClassEntry, PredictedWindow, RuntimeEntry, SourceEntry
from vidcam.pipelines.explain.job import opened_job
from vidcam.pipelines.explain.outputs import source_of, stated_path
from vidcam.pipelines.explain.probabilities import window_probabilities
from vidcam.pipelines.explain.request import ExplainOptions, model_notes, named_classes, window_request
from vidcam.pipelines.forward import plan_maps, prepare
from vidcam.pipelines.memory import StartMemory
from vidcam.pipelines.windows import timeline
from vidcam.system.progress import Progress, silent
from vidcam.video.source import Source


@dataclass(frozen=True, slots=True)
class PredictedModel:
    """Which model predicted, with which weights."""

    name: str
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionDocument:
    """What `--outputs none --json` prints of one video; the keys are those of an explained video's JSON."""

    schema: int = entries.SCHEMA
    source: SourceEntry
    model: PredictedModel
    top5: tuple[ClassEntry, ...]
    targets: tuple[ClassEntry, ...]
    windows: tuple[PredictedWindow, ...]
    audit: tuple[str, ...]
    view: View
    runtime: RuntimeEntry
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class PredictedVideo:
    """The prediction of a video.

    Attributes:
        document: what the JSON holds.
        probabilities: (N, K), of every window; the values if the model has no probabilities.
        stage_seconds: time spent in each stage.
    """

    document: PredictionDocument = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    stage_seconds: dict[str, float] = field(repr=False)


class Predictor:
    """A model made ready to predict any number of videos.

    Args:
        model: left as it was.
        options: which windows are run, and how. Methods and layers have no effect.
        progress: called as work goes on.

    Raises:
        InputError: a target that the model does not have, or a captioner.
    """

    def __init__(self, model: Model, options: ExplainOptions, *, progress: Progress = silent) -> None:
        if isinstance(model.module, Captioner):
            raise InputError(f"{model.spec.name!r} generates captions and has no classes to list; pass -o FOLDER")
        model = model.with_axes(options.axes)
        memory = StartMemory.of(model, options.precision)
        plan = plan_maps(model, None, (), memory=memory)
        self._targets, _ = named_classes(options, model.labels, model=model.spec.name)
        self._ready = prepare(plan.model, plan.layers, methods=plan.methods, precision=options.precision, memory=memory)
        self._request = window_request(self._ready, options, plan)
        self._notes, self._progress = model_notes(model), progress

    def predict(self, source: Source) -> PredictedVideo:
        """Predict one video from its windows; no backward pass is run and nothing is written.

        Raises:
            InputError: the video cannot be used.
            RunError: the model fails.
        """
        with opened_job(source, self._ready, self._request, fetch=True, progress=self._progress) as job:
            model, reader, probabilities = job.model, job.reader, window_probabilities(job)
            document = PredictionDocument(
                source=entries.source_entry(reader, stated_path(source_of(reader.info), Path())),
                model=PredictedModel(model.spec.name, model.weights),
                top5=entries.top5(model, probabilities),
                targets=entries.class_entries(model, [k for k in self._targets if k is not None], probabilities),
                windows=entries.predicted_windows(model, timeline(job.windows), probabilities),
                audit=self._notes,
                view=job.request.view,
                runtime=entries.runtime_entry(job),
                versions=entries.versions(),
            )
        return PredictedVideo(document, probabilities, job.clock.seconds)
