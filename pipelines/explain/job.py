"""One video to explain: the open file, the question about it, and the model that answers."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from vidcam.geometry import Geometry
from vidcam.models.model import Model
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.explain.view import crops_of, ready_for
from vidcam.pipelines.forward import Prepared
from vidcam.pipelines.windows import batches
from vidcam.sampling import Window, plan_windows
from vidcam.system.progress import Progress, StageTimer, silent
from vidcam.video.images import STILLS
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.source import Source


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VideoJob:
    """An open video with its windows and the part to explain.

    Attributes:
        ready: the model, prepared for the size of the frames.
        request: the resolved options.
        reader: reader of the video.
        windows: windows for the model, in order.
        crops: the crops of each window that the model sees, one or three.
        span_seconds: the explained part, [start, end): the requested part, as far as windows cover it.
        clock: measures the time of the stages.
        progress: called as work goes on.
    """

    ready: Prepared
    request: ExplainRequest
    reader: VideoReader
    windows: tuple[Window, ...]
    crops: Crops
    span_seconds: tuple[float, float]
    clock: StageTimer
    progress: Progress

    @property
    def model(self) -> Model:
        """The model that makes maps and scores."""
        return self.ready.model

    @property
    def geometry(self) -> Geometry:
        """Mapping from the source frame to all that the model sees."""
        return self.crops.geometry

    def batches(
        self, windows: Sequence[Window], *, size: int | None = None
    ) -> Generator[tuple[range, Tensor], None, None]:
        """Decode some windows into batches of the model's input, see `windows.batches`; None: of the request's size."""
        model, size = self.model, size or self.request.batch_size
        crops = self.crops.parts
        return batches(self.reader, windows, model.spec, self.geometry, crops=crops, size=size, device=model.device)


@contextmanager
def opened_job(
    source: Source, ready: Prepared, request: ExplainRequest, *, fetch: bool = False, progress: Progress = silent
) -> Iterator[VideoJob]:
    """Open a video, and plan which windows the model is shown, and which part of the frame.

    With `fetch`, an http address is fetched; the user must have typed it himself.

    Raises:
        InputError: the video cannot be used, nothing of it lies in the part that was asked for, or the model does not
            take whole frames.
    """
    clock = StageTimer()
    with clock.stage("probe"):
        reader = open_video(
            source, fps=request.fps, decoder=request.decoder, fetch=fetch, is_streamed=True, progress=progress
        )
    with reader:
        ready, request = ready_for(ready, request, reader.info.size)
        spec = ready.model.spec
        windows = plan_windows(
            reader.info,
            frames=spec.frames,
            fps=None if spec.frames == 1 and reader.info.decoder in STILLS else spec.fps,  # images are a window each
            overlap=request.overlap,
            clip_start_seconds=request.at,
            start_seconds=request.start,
            end_seconds=request.end,
        )
        end = windows[-1].end_seconds if request.end is None else min(windows[-1].end_seconds, request.end)
        yield VideoJob(
            ready=ready,
            request=request,
            reader=reader,
            windows=windows,
            crops=crops_of(spec, request, reader.info.size),
            span_seconds=(max(windows[0].start_seconds, request.start or 0.0), end),
            clock=clock,
            progress=progress,
        )
