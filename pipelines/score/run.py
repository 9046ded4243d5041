"""Score a set of clips. A run can be interrupted and resumed, and its memory does not grow with the number of clips.

Threads decode the clips ahead, and the clips are scored one after the other. Their rows are written to Parquet parts.
The CSV, the summary, the plots and the report are made from the parts at the end of each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vidcam.cam.fusion import Fusion
from vidcam.cam.request import DEFAULT_BUDGET, Fine
from vidcam.devices import cpu_threads
from vidcam.fill import ScoreFill
from vidcam.models.model import Model, Precision
from vidcam.models.registry import list_models, load_model
from vidcam.pipelines.ray_cluster import import_ray
from vidcam.pipelines.run_file import named_model, run_settings, write_run_file
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.foreign_maps import foreign_maps
from vidcam.pipelines.score.options import EngineName, ScoreOptions
from vidcam.pipelines.score.ray_worker import WorkerSetup
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.runner import Runner
from vidcam.pipelines.score.samples import require_any_video
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.scored_set import write_set_path
from vidcam.pipelines.score.settings import partial_settings
from vidcam.pipelines.score.shards import Shard, require_shard
from vidcam.pipelines.score.store import check_folder
from vidcam.system.progress import Progress, progress_or_default, silent

RUN_FILE = "run.toml"
"""The settings of the run, see `run_file`."""


def score_clips(
    clips: Any,
    out: str | Path,
    *,
    model: str | Model = "i3d",
    weights: str | Path = "pretrained",
    labels: str | Path | None = None,
    mean_cube: str | Path | None = None,
    device: str = "auto",
    methods: str | Sequence[str] | None = None,
    measures: str | Sequence[str] = "default",
    controls: bool = True,
    maps: str | Path | Sequence[str | Path] = (),
    windows: str | int = "central",
    fill: ScoreFill = "black",
    layer: str | Sequence[str] | None = None,
    axes: str | None = None,
    fusion: Fusion | None = None,
    score_scale: float = 1.0,
    steps: int | None = None,
    fine: Fine = "pooled",
    budget: int = DEFAULT_BUDGET,
    batch_size: int | None = None,
    precision: Precision = "float32",
    workers: int | None = None,
    threads: int | None = None,
    shard: str | None = None,
    engine: EngineName = "local",
    seed: int = 0,
    min_confidence: float = 0.0,
    correct_only: bool = False,
    label_in_top: int | None = None,
    sanity: int = 0,
    render_worst: int = 0,
    addresses: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ScoredClips:
    """Score a set of clips. A run with the same settings in the same folder resumes after the last complete part.

    The clips and the folder are checked before a model is loaded or downloaded.

    Args:
        clips: a folder, a manifest (.csv, .jsonl, .parquet), images with boxes (a Pascal VOC folder or a list in it,
            COCO's .json), or an iterable of paths and of mappings with `path`, `start`, `label`, `group`, `boxes`.
        out: folder of the results; created if needed.
        model: name of a model, 'package.module:factory', or a `Model`.
        weights: as in `load_model`; only if `model` is a name.
        labels: as in `load_model`; only if `model` is a name.
        mean_cube: as in `load_model`; only if `model` is a name.
        device: 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'; only if `model` is a name.
        methods: one name or several; guided methods cannot be scored. None: `gradcam`, `gradcam+`, `neutral-gradcam`,
            and `gradcam++`; on a transformer `token-lrp` instead of the last one, and alone if its layer is not known.
        measures: `default`, `all`, or some of `drop` (with increase, win and area; always measured), `relative` (also
            for the maps of the probability's gradient), `retention` (θ = 0.25, 0.5, 0.75), `curve` (θ in eleven
            steps), `insertion-deletion` (by voxels and by frames), `localization` (for clips with boxes), `time`
            (frames frozen, shuffled, reversed), `fills` (retention at θ = 0.5 with every
            fill), `grid` (pairs of clips in one input; needs labels).
        controls: whether the baseline maps are scored too: `random`, `centre`, `frame-difference` and `uniform`.
        maps: folders with maps of other tools, one `.npy` or `.npz` for each clip; see `foreign_maps`.
        windows: `central`, a number of windows spread over each video, or `all` that `explain` shows the model. A clip
            counts once: its probabilities are means over its windows.
        fill: what hidden pixels become: `black`, `mean`, `blur`, `frame-mean` or `infill`.
        layer: dotted name, or several names whose maps are fused. None: the model's default.
        axes: order of the axes in the clips that the model takes, such as 'NTCHW'. None: that of its spec.
        fusion: `mean`, `max` or `sum` of several layers' maps; None: `sum` for parallel branches, else `mean`.
        score_scale: λ of EQ 12 for gradcam++, at least 0.
        steps: points of the path of fine maps, as in `vidcam.explain`.
        fine: grid of fine maps, as in `vidcam.explain`.
        budget: most forward passes of `occlusion`, and of `rise`, for each clip and explained class.
        batch_size: perturbed clips per forward pass. None: chosen for the device.
        precision: precision of the network except its classifier: `float32` (exact), `bf16`, or `fp16` on CUDA.
        workers: number of threads that decode ahead. None: as many as keep the model busy.
        threads: threads of PyTorch on the CPU. None: those of the run that is resumed, else PyTorch's own number.
        shard: 'I/N' scores only shard I of N, into a folder of its own; `merge_shards` joins them.
        engine: 'local' scores in this process, 'ray' on a Ray cluster.
        seed: seed of ties, controls, shuffles and intervals.
        min_confidence: leave out clips whose class has a lower probability (EQ 4).
        correct_only: leave out clips whose top class is not their label.
        label_in_top: N > 0: explain each clip's label, and leave out the clip if that is not among the N most probable
            classes. 0: explain the predicted class. None: 5 for sets in the formats of Pascal VOC and COCO, else 0.
        sanity: number of clips, from the first on, whose maps are compared with maps of random weights.
        render_worst: number of clips with the largest mean drop that get overlay videos.
        addresses: read addresses that a manifest names; those of an iterable are read anyway.
        retry_failed: score the clips again that failed in an earlier run.
        overwrite: replace existing results, whatever their settings.
        progress: called after each clip. None: a bar in notebooks.

    Raises:
        InputError: a clip set, name or option is invalid, no clip can be opened, or the folder has scores with other
            settings.
        RunError: writing failed; the same call resumes the run.
    """
    options = ScoreOptions(
        methods=methods,
        measures=measures,
        controls=controls,
        maps=maps,
        windows=windows,
        fill=fill,
        layer=layer,
        axes=axes,
        fusion=fusion,
        score_scale=score_scale,
        steps=steps,
        fine=fine,
        budget=budget,
        batch_size=batch_size,
        precision=precision,
        workers=workers,
        threads=threads,
        shard=shard,
        engine=engine,
        seed=seed,
        min_confidence=min_confidence,
        correct_only=correct_only,
        label_in_top=label_in_top,
        sanity=sanity,
        render_worst=render_worst,
        addresses=addresses,
        retry_failed=retry_failed,
        overwrite=overwrite,
    )
    files: dict[str, Any] = {"weights": weights, "labels": labels, "mean_cube": mean_cube}
    shown = progress_or_default(progress)
    return score_set(clips, Path(out), options, model=model, device=device, progress=shown, **files)


def score_set(
    clips: Any,
    folder: Path,
    options: ScoreOptions,
    *,
    model: str | Model = "i3d",
    weights: str | Path = "pretrained",
    labels: str | Path | None = None,
    mean_cube: str | Path | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
) -> ScoredClips:
    """Score a set of clips; arguments and errors as in `score_clips`. The report quotes `command`."""
    clip_set = read_clips(clips, out=folder, addresses=options.addresses)
    if options.label_in_top is None:
        options = replace(options, label_in_top=clip_set.label_in_top)
    name = model.spec.name if isinstance(model, Model) else model if model in list_models() else None
    maps = foreign_maps(options.map_folders, clip_set.entries)
    settings = partial_settings(options, clip_set, model=name, maps=maps)
    former = check_folder(folder, settings, overwrite=options.overwrite)
    shard = None if options.shard is None else Shard.parse(options.shard)
    require_shard(folder, shard, clips=len(clip_set.entries), overwrite=options.overwrite)
    if former is None:  # a run can be resumed without its videos
        require_any_video(clip_set.entries)
    if options.engine == "ray":
        import_ray()
    named = None
    with cpu_threads(options.threads or (0 if former is None else former.threads)):
        if isinstance(model, Model):
            load = partial(_itself, model)
        else:
            named = named_model(model, weights=weights, labels=labels, mean_cube=mean_cube)
            load = partial(load_model, model, weights=weights, labels=labels, mean_cube=mean_cube)
            model = load(device=device, progress=progress)
            load = partial(load, device=device.partition(":")[0])  # an actor has one GPU
        request, prepared = resolve(model, options, None if former is None else former.batch_size, maps=maps)
        runner = Runner(prepared, request, settings, clip_set, folder, command=command, progress=progress)
        result = runner.run(partial(WorkerSetup, load, options))
    if named is None:
        return result
    path, done = folder / RUN_FILE, result.summary.settings
    resolved = {
        "device": str(model.device),
        **{name: getattr(done, name) for name in ("methods", "measures", "batch_size", "threads")},
    }
    write_set_path(folder, clips)
    run = run_settings(options, named, resolved=resolved)
    write_run_file(path, run, command=f"vidcam score CLIPS -o FOLDER --config {RUN_FILE}")
    return replace(result, paths=(*result.paths[:-1], path, result.paths[-1]))


def _itself(model: Model) -> Model:
    return model
