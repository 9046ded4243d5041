"""`vidcam explain` and `vidcam demo`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.console import Bar, print_rows, print_text, say
from vidcam.cli.each_video import VideoTask, run_each
from vidcam.cli.explain_models import ModelSet
from vidcam.cli.explain_set import ExplainSet, VideoReport, read_truth, report, with_folder
from vidcam.cli.help import SectionCommand
from vidcam.cli.options import DEVICE, explain_arguments, given_options
from vidcam.cli.videos import expand_folders
from vidcam.errors import InputError
from vidcam.pipelines.explain.targets import is_above
from vidcam.system.progress import silent
from vidcam.system.signals import loading

if TYPE_CHECKING:
    from vidcam.pipelines.explain.explainer import Explainer
    from vidcam.pipelines.explain.predict import PredictedVideo, Predictor
    from vidcam.pipelines.explain.request import ExplainOptions
    from vidcam.system.progress import Progress

_MODEL_FILES = ("weights", "labels", "mean_cube")
_FILE_ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif", ".webp", ".png", ".jpg", ".jpeg", ".svg", ".pdf")
_KINDS = (("overlay",), ("map",))


@click.command(cls=SectionCommand, short_help="Explain videos: overlays, a sheet, a page, the data and a JSON.")
@explain_arguments
def explain(
    videos: tuple[Path, ...], out: Path | None, model: tuple[str, ...], device: str, *, as_json: bool, **values: Any
) -> int:
    """Explain what a model predicts. Writes overlays, a sheet, a page, the data and a JSON for each video.

    \b
    vidcam explain video.mp4 -o out
    vidcam explain video.mp4 -o overlay.mp4 --target "arm wrestling"
    vidcam explain videos/ -o out --target above:0.2 --method gradcam,gradcam++
    vidcam explain video.mp4 -o out --model i3d --model r3d_18
    vidcam explain video.mp4 --outputs none
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    engine, threads = values.pop("engine") or "local", values.pop("threads")
    if engine not in {"local", "ray"}:
        raise InputError(f"--engine is {engine!r}; expected local or ray")
    if threads is not None and threads < 1:
        raise InputError(f"--threads is {threads}, expected 1 or more")
    model_arguments = {name: values.pop(name) for name in _MODEL_FILES} | {"device": device}
    with _threads(threads):
        return _explain(videos, out, model, model_arguments, values, is_on_ray=engine == "ray", as_json=as_json)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use this number of threads on the CPU in the block; None leaves it as it is."""
    from vidcam.devices import cpu_threads

    with ExitStack() as stack:
        if count is not None:
            with loading():
                stack.enter_context(cpu_threads(count))
        yield


def _explain(
    videos: tuple[Path, ...],
    out: Path | None,
    model: tuple[str, ...],
    model_arguments: Mapping[str, Any],
    values: dict[str, Any],
    *,
    is_on_ray: bool,
    as_json: bool,
) -> int:
    """Explain videos into a folder or a file, by one model or several, or only predict them."""
    truth, only_wrong = values.pop("truth"), values.pop("only_wrong")
    outputs = values["outputs"]
    if outputs is not None:
        outputs = values["outputs"] = tuple(name.strip() for name in outputs.split(","))
        if not any(outputs):
            raise InputError("--outputs is empty; pass some of overlay, map, sheet, report, data, or none")
    has_folder = out is not None and not _is_file(out) and outputs != ("none",)
    _check_truth(truth, model, only_wrong=only_wrong, has_results=has_folder)
    if is_on_ray and (len(model) > 1 or not has_folder):
        raise InputError("--engine ray takes one --model and a folder for results: pass -o FOLDER")
    expanded = expand_folders(videos)
    for note in expanded.notes:
        say(note)
    given = given_options(values)
    if len(model) > 1:
        return _explain_with_models(expanded.videos, out, model, model_arguments, given, as_json=as_json)
    (name,) = model
    if outputs == ("none",):
        return _predict_all(expanded.videos, name, model_arguments, given, as_json=as_json)
    if out is None:
        raise click.UsageError("-o is missing: pass a folder or a file such as overlay.mp4, or --outputs none")
    if _is_file(out):
        _require_one_result(out, expanded.videos, given)
        given.setdefault("outputs", ("overlay",))
        return _explain_to_file(expanded.videos[0], out, name, model_arguments, given, as_json=as_json)
    explain_set = ExplainSet(out, given, read_truth(truth), only_wrong)
    if is_on_ray:  # a worker has one GPU
        in_worker = {**model_arguments, "device": model_arguments["device"].partition(":")[0]}
        explain_set = replace(explain_set, load_in_worker=partial(_load, name, in_worker, given))
    return explain_set.run(partial(_load, name, model_arguments, given), expanded.videos, as_json=as_json)


@click.command(short_help="Explain a sample clip: the quickest try.")
@click.option(
    "-o",
    "--out",
    default="vidcam-demo",
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder for the results.",
)
@click.option("--offline", is_flag=True, help="Explain a synthetic clip with tiny_r3d: needs no network and no cache.")
@DEVICE
def demo(out: Path, device: str, *, offline: bool) -> int:
    """Explain a real clip with I3D. Both are downloaded once. Results of an earlier demo are replaced."""
    with loading():
        from vidcam.pipelines.demo import demo_input
        from vidcam.pipelines.explain.explainer import Explainer
        from vidcam.pipelines.explain.request import ExplainOptions

    with Bar() as bar:
        chosen = demo_input(out, offline=offline, device=device, progress=bar.progress)
    if chosen.note:
        say(chosen.note)

    def load(progress: Progress) -> Explainer:
        return Explainer(chosen.model, ExplainOptions(overwrite=True), progress=progress)

    return ExplainSet(out, {"overwrite": True}).run(load, (chosen.video,), as_json=False)


def _is_file(out: Path) -> bool:
    """Whether `-o` names a file: it has the ending of a video or a picture and is no folder that exists."""
    return out.suffix.lower() in _FILE_ENDINGS and not out.is_dir()


def _require_one_result(file: Path, videos: Sequence[Path], given: Mapping[str, Any]) -> None:
    """Check that one MP4 holds all that is asked for.

    Raises:
        InputError: it does not; the message says what to type.
    """
    if file.suffix.lower() != ".mp4":
        raise InputError(
            f"-o {file.name}: explain writes .mp4; pass a folder, then `vidcam render FOLDER/NAME.npz -o {file.name}`"
        )
    targets, methods = given.get("targets", ()), [name for text in given.get("methods", ()) for name in text.split(",")]
    for count, things in ((len(videos), "videos"), (len(targets), "targets"), (len(methods), "methods")):
        if count > 1:
            raise InputError(f"-o names a file, but {count} {things} were given; pass a folder")
    if targets and is_above(targets[0]):
        raise InputError(f"-o names a file, but --target {targets[0]} can be several classes; pass a folder")
    outputs = given.get("outputs", _KINDS[0])
    if outputs not in _KINDS:
        raise InputError(
            f"-o names a file, but --outputs is {','.join(outputs)}; pass a folder, or one output: overlay or map"
        )


def _check_truth(truth: str | None, models: Sequence[str], *, only_wrong: bool, has_results: bool) -> None:
    """Refuse `--truth` and `--only-wrong` where they would have no effect."""
    if truth is None:
        if only_wrong:
            raise InputError("--only-wrong needs the true classes: pass --truth FILE or --truth folders")
        return
    if len(models) > 1:
        raise InputError("--truth takes one --model; run each model by itself")
    if not has_results:
        raise InputError("--truth needs a folder for results: pass -o FOLDER, and not --outputs none")


def _explain_with_models(
    videos: Sequence[Path],
    out: Path | None,
    models: tuple[str, ...],
    model_arguments: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    as_json: bool,
) -> int:
    """Explain videos with several models into a folder."""
    if out is None or _is_file(out) or given.get("outputs") == ("none",):
        raise InputError(f"{len(models)} models need a folder for their results: pass -o FOLDER")
    if model_arguments["weights"] not in {"pretrained", "random"}:
        raise InputError("--weights FILE takes one --model; run each model by itself")

    def load(model: str, progress: Progress) -> Explainer:
        return _load(model, model_arguments, given, progress)

    return ModelSet(out, given, models).run(load, videos, as_json=as_json)


def _options(given: Mapping[str, Any]) -> ExplainOptions:
    with loading():
        from vidcam.pipelines.explain.request import ExplainOptions

    return ExplainOptions(**given)


def _load(
    model: str, model_arguments: Mapping[str, Any], given: Mapping[str, Any], progress: Progress = silent
) -> Explainer:
    options = _options(given)
    with loading():
        from vidcam.pipelines.explain.explainer import Explainer
    return Explainer.load(model, options, progress=progress, **model_arguments)


def _explain_to_file(
    video: Path, file: Path, model: str, model_arguments: Mapping[str, Any], given: Mapping[str, Any], *, as_json: bool
) -> int:
    """Explain one video into one file."""
    with loading():
        from vidcam.pipelines.explain.outputs import check_readable
        from vidcam.pipelines.explain.single import explain_to_file
        from vidcam.system.atomic import require_writable

    overwrite = given["overwrite"]

    def check(source: Path) -> None:
        require_writable(file, overwrite=overwrite)
        check_readable(source, fps=given.get("fps"), decoder=given.get("decoder", "auto"))

    def load(progress: Progress) -> Explainer:
        explainer = _load(model, model_arguments, given, progress)
        method, *others = explainer.request.methods
        if others:
            say(f"{file.name} shows {method}; choose another with --method, or pass a folder for all")
        return explainer

    task = VideoTask(
        check=check,
        load=load,
        work=lambda explainer, source: explain_to_file(explainer, source, file, overwrite=overwrite),
        report=lambda video, result, is_document: report(video, VideoReport.of(result), is_document),
        document=lambda result: with_folder(result.document, file.parent),
    )
    return run_each(task, (video,), as_json=as_json)


def _predict_all(
    videos: Sequence[Path], model: str, model_arguments: Mapping[str, Any], given: dict[str, Any], *, as_json: bool
) -> int:
    """Print the top classes of each video; nothing is written."""
    options = _options({name: value for name, value in given.items() if name != "outputs"})
    with loading():
        from vidcam.models.registry import load_model
        from vidcam.pipelines.explain.outputs import check_readable
        from vidcam.pipelines.explain.predict import Predictor
        from vidcam.pipelines.explain.summary import probability_text
    from vidcam.system.json_files import as_plain

    def load(progress: Progress) -> Predictor:
        return Predictor(load_model(model, progress=progress, **model_arguments), options, progress=progress)

    def report(video: Path, result: PredictedVideo, is_document: bool) -> None:  # noqa: FBT001 – of VideoTask
        for sentence in (*result.document.source.warnings, *result.document.audit):
            say(f"{video}: {sentence}" if len(videos) > 1 else sentence)
        if not is_document:
            if len(videos) > 1:
                print_text(str(video))
            classes = dict.fromkeys((*result.document.top5, *result.document.targets))
            has_probability = any(entry.probability is not None for entry in classes)  # a regression has none
            rows = [{"class": entry.label, "probability": probability_text(entry.probability)} for entry in classes]
            print_rows(rows if has_probability else [{"output": row["class"]} for row in rows], as_json=False)

    task = VideoTask(
        check=lambda video: check_readable(video, fps=options.fps, decoder=options.decoder),
        load=load,
        work=lambda predictor, video: predictor.predict(video),
        report=report,
        document=lambda result: dict(as_plain(result.document)),
    )
    return run_each(task, videos, as_json=as_json)
