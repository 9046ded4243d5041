"""`vidcam explain` into a folder: each video's result, the true classes, and a summary of several videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.cli.console import print_rows, print_text, say
from vidcam.cli.each_video import VideoTask, run_each
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading

if TYPE_CHECKING:
    from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
    from vidcam.pipelines.explain.summary import SummaryRow
    from vidcam.pipelines.explain.truth import Truth
    from vidcam.system.progress import Progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one video: its row, and its result if it was explained."""

    row: SummaryRow
    result: ExplainedVideo | None


@dataclass(frozen=True, slots=True)
class ExplainSet:
    """Explains videos into a folder.

    Attributes:
        out: the folder.
        given: the options that the user gave.
        truth: the true classes; None if they are not known.
        only_wrong: whether videos that are predicted rightly are only predicted.
    """

    out: Path
    given: Mapping[str, Any]
    truth: Truth | None = None
    only_wrong: bool = False

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
            document=lambda outcome: None if outcome.result is None else with_folder(outcome.result, self.out),
            finish=lambda done: self._summarise([outcome.row for _, outcome in done], as_json) if has_summary else None,
        )
        return run_each(task, videos, as_json=as_json)

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
            return Outcome(explained_row(result.document), result)
        model, label = explainer.ready.model, self.truth.label_of(video)
        truth = true_index(model, label)
        if self.only_wrong:
            top, probability = explainer.predict(video)
            if top == truth:
                return Outcome(right_row(video, self.out, model.label(top), probability), None)
        result = explainer.explain(video, self.out)
        is_correct = result.document.top5[0].index == truth
        return Outcome(explained_row(result.document, truth=model.label(truth), is_correct=is_correct), result)

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


def with_folder(result: ExplainedVideo, folder: Path) -> dict[str, Any]:
    """The document of one video, with the folder of its files."""
    from vidcam.system.json_files import as_plain

    return {"folder": as_text(str(folder)), **as_plain(result.document)}


def report(video: Path, result: ExplainedVideo, is_document: bool) -> None:  # noqa: FBT001 – of VideoTask
    """Sentences about one video on standard error, the paths on standard output."""
    windows, explanation = len(result.document.windows), result.explanation
    targets = [repr(explanation.labels[number]) for number in explanation.main_targets]
    say(f"{video}: {windows} window{'s' * (windows > 1)}, explained for {', '.join(targets)}")
    for sentence in result.verdicts:
        say(f"  {sentence}")
    for sentence in result.warnings:
        say(f"  warning: {sentence}")
    for label, probability in result.top5:
        say(f"  {label}" if probability is None else f"  {label}: {probability:.5f}")
    for sentence in dict.fromkeys(result.audit):  # several targets may have the same
        say(f"  {sentence}")
    if not is_document:
        print_text("\n".join(str(path) for path in result.paths))


def _report(video: Path, outcome: Outcome, is_document: bool) -> None:  # noqa: FBT001 – of VideoTask
    if outcome.result is not None:
        report(video, outcome.result, is_document)
        return
    say(f"{video}: predicted rightly, not explained ({outcome.row.label}: {outcome.row.probability})")
