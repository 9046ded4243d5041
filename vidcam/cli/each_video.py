"""One command, several videos: one that fails is reported and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from vidcam.cli.console import Bar, print_text, say
from vidcam.cli.documents import ExplainedSet, FailedVideo
from vidcam.cli.exit_codes import DONE, FAILED, exit_code
from vidcam.errors import VidcamError
from vidcam.system.filenames import as_text, one_line
from vidcam.system.progress import Progress

Worker = TypeVar("Worker")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTask(Generic[Worker, Result]):
    """What a command does with each video.

    Attributes:
        check: refuses a video before a model is loaded.
        load: makes what works on every video; called once, and only if a video is usable.
        work: the work on one video.
        report: prints the result of one video; told whether standard output must stay free for one document.
        document: what `--json` prints of a result; None: nothing.
        finish: called at the end with the videos that succeeded and their results, if there are any.
    """

    check: Callable[[Path], None]
    load: Callable[[Progress], Worker]
    work: Callable[[Worker, Path], Result]
    report: Callable[[Path, Result, bool], None]
    document: Callable[[Result], dict[str, Any] | None]
    finish: Callable[[Sequence[tuple[Path, Result]]], None] = lambda _done: None


def run_each(task: VideoTask[Worker, Result], videos: Sequence[Path], *, as_json: bool) -> int:
    """Do the task for each video; returns the exit code."""
    failures: list[tuple[Path, VidcamError]] = []

    def fail(video: Path, error: VidcamError) -> None:
        say(f"{video}: error: {error}" if len(videos) > 1 else f"error: {error}")
        failures.append((video, error))

    for video in videos:
        try:
            task.check(video)
        except VidcamError as exc:
            fail(video, exc)
    usable = [video for video in videos if video not in dict(failures)]
    done = _do(task, usable, fail, as_json=as_json) if usable else []
    failures.sort(key=lambda failure: videos.index(failure[0]))
    if as_json:
        failed = [FailedVideo(as_text(str(video)), one_line(str(exc))) for video, exc in failures]
        _print_document(
            ExplainedSet(
                results=[document for _, result in done if (document := task.document(result)) is not None],
                failed=failed,
            )
        )
    if done:
        task.finish(done)
    if not failures:
        return DONE
    return FAILED if done else max(exit_code(exc) for _, exc in failures)


def _do(
    task: VideoTask[Worker, Result],
    videos: Sequence[Path],
    fail: Callable[[Path, VidcamError], None],
    *,
    as_json: bool,
) -> list[tuple[Path, Result]]:
    """Do the task for videos that can be opened; an interrupt finishes what was done."""
    done: list[tuple[Path, Result]] = []
    with Bar() as bar:
        worker = task.load(bar.progress)
        try:
            for video in videos:
                try:
                    done.append((video, task.work(worker, video)))
                except VidcamError as exc:
                    bar.clear()
                    fail(video, exc)
                    continue
                bar.clear()
                task.report(*done[-1], as_json)
        except BaseException:
            bar.clear()
            if done:
                task.finish(done)
            raise
    return done


def _print_document(document: ExplainedSet) -> None:
    from vidcam.system.json_files import to_json

    print_text(to_json(document))
