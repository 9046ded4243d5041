"""`vidcam explain` into a folder: each video's result, the true classes, and a summary of several videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.cli.console import print_rows, print_text, say
from vidcam.cli.each_video import VideoTask, run_each
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading

if TYPE_CHECKING:
    from vidcam.pipelines.explain.document import Document
    from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
    from vidcam.pipelines.explain.ray_videos import RayVideos
    from vidcam.pipelines.explain.summary import SummaryRow
    from vidcam.pipelines.explain.truth import Truth
    from vidcam.system.progress import Progress


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What is printed of an explained video; its maps are in its files."""

    document: Document
    targets: tuple[str, ...]
    verdicts: tuple[str, ...]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, result: ExplainedVideo) -> VideoReport:
        """Return the report of a result."""
        explanation = result.explanation
        targets = tuple(explanation.labels[number] for number in explanation.main_targets)
        return cls(result.document, targets, tuple(result.verdicts), result.paths)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one video: its row, and its report if it was explained."""

    row: SummaryRow
    report: VideoReport | None


@dataclass(frozen=True, slots=True)
class ExplainSet:
    """Explains videos into a folder.

    Attributes:
        out: the folder.
        given: the options that the user gave.
        truth: the true classes; None if they are not known.
        only_wrong: whether videos that are predicted rightly are only predicted.
        load_in_worker: makes the explainer of a worker of a Ray cluster; None: the videos are explained here.
    """

    out: Path
    given: Mapping[str, Any]
    truth: Truth | None = None
    only_wrong: bool = False
    load_in_worker: Callable[[], Explainer] | None = None

    def run(self, load: Callable[[Progress], Explainer], videos: Sequence[Path], *, as_json: bool) -> int:
        """Explain the videos; returns the exit code."""
        with loading():
            from vidcam.pipelines.explain.summary import check_summary

        has_summary = len(videos) > 1
        if has_summary:
            check_summary(self.out)
        task = VideoTask(
            check=self._check,
            load=load,
            work=self._work,
            report=_report,
            document=lambda outcome: None if outcome.report is None else with_folder(outcome.report.document, self.out),
            finish=lambda done: self._summarise([outcome.row for _, outcome in done], as_json) if has_summary else None,
        )
        if self.load_in_worker is None:
            return run_each(task, videos, as_json=as_json)
        with ExitStack() as cluster:
            return run_each(self._on_ray(task, self.load_in_worker, cluster), videos, as_json=as_json)

    def _on_ray(
        self, task: VideoTask[Explainer, Outcome], load: Callable[[], Explainer], cluster: ExitStack
    ) -> VideoTask[RayVideos[Outcome], Outcome]:
        """Return the task for a Ray cluster, which ends with a stack."""
        with loading():
            from vidcam.pipelines.explain.ray_videos import ray_videos
            from vidcam.pipelines.ray_cluster import import_ray

            import_ray()
        usable: list[Path] = []

        def check(video: Path) -> None:
            task.check(video)
            usable.append(video)

        def start(progress: Progress) -> RayVideos[Outcome]:
            is_gpu = task.load(progress).ready.model.device.type != "cpu"  # refuses what a worker would refuse
            return cluster.enter_context(ray_videos(load, self._work, usable, is_gpu=is_gpu, progress=progress))

        return VideoTask(
            check=check,
            load=start,
            work=lambda videos, video: videos.result(video),
            report=task.report,
            document=task.document,
            finish=task.finish,
        )

    def _check(self, video: Path) -> None:
        from vidcam.pipelines.explain.outputs import check_paths

        given = self.given
        check_paths(
            video, self.out, overwrite=given["overwrite"], fps=given.get("fps"), decoder=given.get("decoder", "auto")
        )
        if self.truth is not None:
            self.truth.label_of(video)

    def _work(self, explainer: Explainer, video: Path) -> Outcome:
        from vidcam.pipelines.explain.summary import explained_row, right_row
        from vidcam.pipelines.explain.truth import true_index

        if self.truth is None:
            result = explainer.explain(video, self.out)
            return Outcome(explained_row(result.document), VideoReport.of(result))
        model, label = explainer.ready.model, self.truth.label_of(video)
        truth = true_index(model, label)
        if self.only_wrong:
            top, probability = explainer.predict(video)
            if top == truth:
                return Outcome(right_row(video, self.out, model.label(top), probability), None)
        result = explainer.explain(video, self.out)
        is_correct = result.document.top5[0].index == truth
        return Outcome(
            explained_row(result.document, truth=model.label(truth), is_correct=is_correct), VideoReport.of(result)
        )

    def _summarise(self, rows: Sequence[SummaryRow], as_json: bool) -> None:  # noqa: FBT001 – of VideoTask
        from vidcam.pipelines.explain.summary import write_summary

        path = write_summary(self.out, rows)
        if as_json:
            return
        names = ["video", "label", "probability", *(["truth", "correct"] if self.truth else []), "best_seconds"]
        print_rows([{name: getattr(row, name) for name in names} for row in rows], as_json=False, to_error=True)
        print_text(str(path))


def read_truth(text: str | None) -> Truth | None:
    """Read the true classes that `--truth` names; None without it.

    Raises:
        InputError: they cannot be read.
    """
    if text is None:
        return None
    with loading():
        from vidcam.pipelines.explain.truth import Truth

    return Truth.read(text)


def with_folder(document: Document, folder: Path) -> dict[str, Any]:
    """The document of one video, with the folder of its files."""
    from vidcam.system.json_files import as_plain

    return {"folder": as_text(str(folder)), **as_plain(document)}


def report(video: Path, explained: VideoReport, is_document: bool) -> None:  # noqa: FBT001 – of VideoTask
    """Sentences about one video on standard error, the paths on standard output."""
    document, windows = explained.document, len(explained.document.windows)
    say(f"{video}: {windows} window{'s' * (windows > 1)}, explained for {', '.join(map(repr, explained.targets))}")
    for sentence in explained.verdicts:
        say(f"  {sentence}")
    for sentence in document.source.warnings:
        say(f"  warning: {sentence}")
    for entry in document.top5:
        say(f"  {entry.label}" if entry.probability is None else f"  {entry.label}: {entry.probability:.5f}")
    for sentence in dict.fromkeys(document.audit):  # several targets may have the same
        say(f"  {sentence}")
    if not is_document:
        print_text("\n".join(str(path) for path in explained.paths))


def _report(video: Path, outcome: Outcome, is_document: bool) -> None:  # noqa: FBT001 – of VideoTask
    if outcome.report is not None:
        report(video, outcome.report, is_document)
        return
    say(f"{video}: predicted rightly, not explained ({outcome.row.label}: {outcome.row.probability})")
