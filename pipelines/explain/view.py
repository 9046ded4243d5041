"""The part of a video's frames that a model sees: the model and its baseline for their size, and the crops."""

from __future__ import annotations

from dataclasses import replace

from vidcam.cam.baseline import Baseline, find_artifact
from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.geometry import three_crops
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.forward import Prepared, prepare, with_baseline_clips
from vidcam.pipelines.memory import StartMemory
from vidcam.spec import ModelSpec


def crops_of(spec: ModelSpec, request: ExplainRequest, source_size: tuple[int, int]) -> Crops:
    """Return the crops of a source frame of (height, width) that the model sees."""
    centre = spec.geometry(source_size)
    return Crops(three_crops(centre) if request.view == "three-crop" else (centre,))


def ready_for(
    ready: Prepared, request: ExplainRequest, source_size: tuple[int, int]
) -> tuple[Prepared, ExplainRequest]:
    """Make a prepared model and its request fit the frames of one video, of (height, width).

    With the view `full`, the model runs at another size. Its baseline is computed again, and the batch is made smaller
    if it would not fit the device's memory. The methods stay those that were chosen at the model's own size: the test
    for a pooled linear head fails at other sizes if the head pools over windows of fixed size, as in I3D, but the maps
    of `neutral-gradcam` are as well defined there.

    Raises:
        InputError: the view is `full` and the model does not run at that size.
    """
    spec = ready.original.spec
    if request.view == "full" and not spec.sees_whole(source_size):
        ready = _remembered(ready, request, source_size)
        fitting = request.batch_size if ready.clip_bytes is None else min(request.batch_size, ready.default_batch)
        request = replace(request, baseline_activations=ready.baseline.activations, batch_size=fitting)
        request = with_baseline_clips(request, ready.model)
    crops = crops_of(spec, request, source_size)
    if len(crops) > 1:
        ready = replace(ready, baseline=_merged(ready.baseline, crops))
    return ready, request


def _remembered(ready: Prepared, request: ExplainRequest, source_size: tuple[int, int]) -> Prepared:
    """Prepare the model once for several videos of one size."""
    sized = ready.of_frames.get(source_size)
    if sized is None:
        sized = _at_full_size(ready, request, source_size)
        ready.of_frames.clear()
        ready.of_frames[source_size] = sized
    return sized


def _at_full_size(ready: Prepared, request: ExplainRequest, source_size: tuple[int, int]) -> Prepared:
    own = ready.original
    try:
        model = replace(own, spec=own.spec.for_whole_frame(source_size))
        memory = StartMemory.of(model, request.precision)
        return prepare(model, request.layers, methods=request.methods, precision=request.precision, memory=memory)
    except Exception as exc:  # a network may raise anything at a size that it does not take
        reason = first_line(exc.__cause__ or exc)
        raise InputError(
            f"--view full: model {own.spec.name!r} does not take whole frames ({reason}); use --view three-crop"
        ) from exc


def _merged(baseline: Baseline, crops: Crops) -> Baseline:
    """Return the baseline with the artifact on the grid of the merged maps."""
    if baseline.artifact is None:
        return baseline
    (activations,) = baseline.activations.values()
    sums = activations.sum(dim=1, keepdim=True).cpu()
    merged = crops.maps(sums.repeat_interleave(len(crops), dim=0).float().numpy())
    return replace(baseline, artifact=find_artifact(sums.new_tensor(merged)))
