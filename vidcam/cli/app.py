"""The command line: parse, call a pipeline, exit code.

Standard output is what was asked for: the paths written, a table, or one JSON document with `--json`. All else,
progress included, goes to standard error. Exit code 0: done; 1: failed at run time, or some videos failed; 2: unusable
input or arguments; 130: interrupted. Pipelines, and with them torch, are imported inside the handlers.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vidcam import __version__
from vidcam.cli.console import Bar, print_rows, print_text, say
from vidcam.cli.documents import ExplainedSet, FailedVideo, RenderedFile, model_row
from vidcam.cli.options import DEVICE, JSON, explain_arguments, render_arguments, score_arguments
from vidcam.errors import InputError, VidcamError
from vidcam.system.filenames import as_text, one_line
from vidcam.system.signals import INTERRUPTED, INTERRUPTED_MESSAGE, InterruptHandler, interruptible, loading

if TYPE_CHECKING:
    from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
    from vidcam.pipelines.score.summary import Summary
    from vidcam.system.progress import Progress

_MODEL_COLUMNS = {
    "name": "name",
    "task": "task",
    "input": "input",
    "fps": "fps",
    "classes": "classes",
    "weights": "weights",
    "licence": "licence",
    "download_megabytes": "MB",
    "cached": "cached",
}
"""Of a model's row, what the table shows and under which title; `--json` has all."""

DONE, FAILED, UNUSABLE = 0, 1, 2

_MOST_FAILURES = 10
"""Clips of a set whose failure is said on standard error; all of them stand in scores.csv."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    with interruptible() as interruption:
        return _run(arguments, interruption)


def program() -> NoReturn:
    """Run the command line as a process of its own; interrupted, it ends at once, whatever signals still come."""
    with interruptible() as interruption:
        code = _run(None, interruption)
        if code == INTERRUPTED:  # the interpreter waits for threads when it ends, and there a signal is a traceback
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None, interruption: InterruptHandler) -> int:
    if "" not in sys.path:  # a model of one's own lies in the current folder, as with python -m
        sys.path.insert(0, "")
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = commands.main(args=given, prog_name="vidcam", standalone_mode=False, obj=tuple(given))
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(INTERRUPTED_MESSAGE)
        return INTERRUPTED
    except (click.ClickException, VidcamError, OSError) as exc:
        if isinstance(exc, click.exceptions.NoArgsIsHelpError):
            exc.show()
        else:
            say(f"error: {_sentence(exc)}")
        return _code(exc)
    except Exception:
        if not interruption.is_interrupted:
            raise
        say(INTERRUPTED_MESSAGE)  # what an interruption in the middle of an import, or of foreign code, has become
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="vidcam")
def commands() -> None:
    """Where and when a video model looked, and whether the answer can be trusted."""


@commands.command()
@explain_arguments
def explain(videos: tuple[Path, ...], out: Path, model: str, device: str, *, as_json: bool, **given: Any) -> int:
    """Explain videos: overlay MP4s, a sheet, the data and a JSON for each.

    \b
    vidcam explain video.mp4 -o out
    vidcam explain video.mp4 -o out --target "arm wrestling" --method gradcam++ --outputs overlay,map
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    files = {name: given.pop(name) for name in ("weights", "labels", "mean_cube")}
    if given["outputs"] is not None:
        given["outputs"] = tuple(name.strip() for name in given["outputs"].split(","))

    def load(progress: Progress) -> Explainer:
        with loading():
            from vidcam.pipelines.explain.explainer import Explainer
            from vidcam.pipelines.explain.request import ExplainOptions

        options = ExplainOptions(**{name: value for name, value in given.items() if value not in (None, ())})
        return Explainer.load(model, options, device=device, progress=progress, **files)

    return _explain_all(load, videos, out, given, as_json=as_json)


@commands.command()
@score_arguments
def score(clips: Path, out: Path, model: str, device: str, *, as_json: bool, **given: Any) -> int:
    """Score a set of clips: how faithful are the maps, and how sure is that? Run again, it goes on.

    \b
    vidcam score clips/ -o out
    vidcam score manifest.csv -o out --measures all --method gradcam --method gradcam++ --sanity 4
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.pipelines.score.options import ScoreOptions
        from vidcam.pipelines.score.run import score_set

    files = {name: given.pop(name) for name in ("weights", "labels", "mean_cube")}
    given["batch_size"] = _batch(given["batch_size"])
    options = ScoreOptions(**{name: value for name, value in given.items() if value not in (None, ())})
    with Bar() as bar:
        result = score_set(
            clips, out, options, model=model, device=device, command=_command(), progress=bar.progress, **files
        )
    _print_scores(result.summary, [str(path) for path in result.paths], as_json=as_json)
    return FAILED if result.failed else DONE


@commands.command()
@render_arguments
def render(explanation: Path, out: Path, *, as_json: bool, **given: Any) -> None:
    """Draw what `explain` saved: a video, an animation, pictures or a sheet; needs no model.

    \b
    vidcam render out/video.npz -o video.mp4 --strip
    vidcam render out/video.npz -o video.gif --style side-by-side --height 240 --start 4 --end 8
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.pipelines.render.options import RenderOptions
        from vidcam.pipelines.render.renderer import render_saved
        from vidcam.system.json_files import to_json

    options = RenderOptions(**{name: value for name, value in given.items() if value not in (None, ())})
    with Bar() as bar:
        result = render_saved(explanation, out, options, progress=bar.progress)
    for sentence in result.notes:
        say(f"warning: {sentence}")
    path = as_text(str(result.path))
    document = RenderedFile(path=path, form=result.form, frames=result.frames, notes=result.notes)
    print_text(to_json(document, indent=0) if as_json else str(result.path))


@commands.command()
@click.option(
    "-o", "--out", default="vidcam-demo", show_default=True, metavar="FOLDER", type=click.Path(path_type=Path)
)
@click.option("--offline", is_flag=True, help="Explain a made clip with tiny_r3d: needs no network and no cache.")
@DEVICE
def demo(out: Path, device: str, *, offline: bool) -> int:
    """Explain a real clip with I3D: fetches both once; replaces the results of a former demo."""
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

    return _explain_all(load, (chosen.video,), out, {"overwrite": True}, as_json=False)


@commands.command()
@JSON
def models(*, as_json: bool) -> None:
    """List the models."""
    with loading():
        from vidcam.models.registry import model_entries
        from vidcam.system.json_files import as_plain

    rows = [as_plain(model_row(entry)) for entry in model_entries()]
    shown = rows if as_json else [{title: row[name] for name, title in _MODEL_COLUMNS.items()} for row in rows]
    print_rows(shown, as_json=as_json, width=120)
    say("also: torchvision:NAME, any model of torchvision that classifies, and your own as package.module:factory")


@commands.command()
@click.argument("model")
@click.option("--all", "every", is_flag=True, help="Also the layers inside blocks.")
@JSON
def layers(model: str, *, every: bool, as_json: bool) -> None:
    """List the layers of MODEL that can carry a map: name, grid, stride in frames and pixels."""
    with loading():
        from vidcam.pipelines.layers import layer_rows

    print_rows(layer_rows(model, every=every), as_json=as_json)


def _explain_all(
    load: Callable[[Progress], Explainer], videos: Sequence[Path], out: Path, given: Mapping[str, Any], *, as_json: bool
) -> int:
    """Explain each video; one that fails is reported and the rest goes on. Without a usable one nothing is loaded."""
    with loading():
        from vidcam.pipelines.explain.outputs import check_paths

    decoder: Any = given.get("decoder") or "auto"
    results: list[ExplainedVideo] = []
    failures: list[tuple[Path, VidcamError]] = []

    def fail(video: Path, error: VidcamError) -> None:
        say(f"{video}: error: {error}" if len(videos) > 1 else f"error: {error}")
        failures.append((video, error))

    for video in videos:
        try:
            check_paths(video, out, overwrite=given["overwrite"], fps=given.get("fps"), decoder=decoder)
        except VidcamError as exc:
            fail(video, exc)
    usable = [video for video in videos if video not in dict(failures)]
    if usable:
        with Bar() as bar:
            explainer = load(bar.progress)
            for video in usable:
                try:
                    results.append(explainer.explain(video, out))
                except VidcamError as exc:
                    bar.clear()
                    fail(video, exc)
                    continue
                bar.clear()
                _report(video, results[-1])
                if not as_json:
                    print_text("\n".join(str(path) for path in results[-1].paths))
    failures.sort(key=lambda failure: videos.index(failure[0]))
    if as_json:
        _print_documents(results, failures, out)
    if not failures:
        return DONE
    return FAILED if results else max(_code(exc) for _, exc in failures)


def _print_documents(
    results: Sequence[ExplainedVideo], failures: Sequence[tuple[Path, VidcamError]], out: Path
) -> None:
    """One JSON document of all videos."""
    from vidcam.system.json_files import as_plain, to_json

    documents = [{"folder": as_text(str(out)), **as_plain(result.document)} for result in results]
    failed = [FailedVideo(as_text(str(video)), one_line(str(exc))) for video, exc in failures]
    print_text(to_json(ExplainedSet(results=documents, failed=failed)))


def _report(video: Path, result: ExplainedVideo) -> None:
    """What a person wants to read about one video, on standard error."""
    windows, target = len(result.document.windows), result.document.targets[0].label
    say(f"{video}: {windows} window{'s' * (windows > 1)}, explained for {target!r}")
    for sentence in result.warnings:
        say(f"  warning: {sentence}")
    for label, probability in result.top5:
        say(f"  {label}: {probability:.5f}")
    for sentence in result.audit:
        say(f"  {sentence}")


def _batch(text: str | None) -> int | None:
    if text is None or text == "auto":
        return None
    if not re.fullmatch(r"\d{1,9}", text):
        raise click.BadParameter(f"--batch-size is {text!r}; expected auto or a whole number such as 8")
    return int(text)


def _command() -> str:
    """How vidcam was called, for the report."""
    arguments: Sequence[str] = click.get_current_context().obj
    return shlex.join(["vidcam", *map(as_text, arguments)])


def _print_scores(summary: Summary, paths: Sequence[str], *, as_json: bool) -> None:
    """The table on standard output, what one should know beside it on standard error."""
    from vidcam.pipelines.score.report import method_rows, pair_rows, verdict
    from vidcam.system.json_files import to_json

    if as_json:
        print_text(to_json(summary))
        return
    print_rows(method_rows(summary), as_json=False)
    if summary.pairs:
        print_text("")
        print_rows(pair_rows(summary), as_json=False)
    left_out = f", {summary.left_out} left out" * bool(summary.left_out)
    say(f"{summary.n} of {summary.clips} clips scored, {summary.failed} failed{left_out}")
    for failure in summary.failures[:_MOST_FAILURES]:
        say(f"  {failure.path}: {failure.reason}")
    for pair in summary.pairs:
        say(f"  {verdict(pair)}")
    say(f"  wrote {', '.join(paths)}")


def _sentence(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        return f"{error.format_message().removesuffix('.')}; see {context.command_path if context else 'vidcam'} --help"
    if isinstance(error, OSError):  # not met where it arose: standard output goes to a full disk
        return f"the system refused to go on ({error}); expected room and permission to write; see to that, run again"
    return str(error)


def _code(error: Exception) -> int:
    return UNUSABLE if isinstance(error, InputError | click.ClickException) else FAILED
