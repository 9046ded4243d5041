"""`vidcam explain` with several models: the results of each in a folder of its own, and files that compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.cli.console import print_text, say
from vidcam.cli.each_video import VideoTask, run_each
from vidcam.cli.explain_set import VideoReport, report
from vidcam.errors import InputError
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading

if TYPE_CHECKING:
    from vidcam.pipelines.explain.explainer import Explainer
    from vidcam.pipelines.explain.models import ComparedVideo
    from vidcam.system.progress import Progress


@dataclass(frozen=True, slots=True)
class ModelSet:
    """Explains videos with several models.

    Attributes:
        out: the folder.
        given: the options that the user gave.
        models: names of the models, two or more.
    """

    out: Path
    given: Mapping[str, Any]
    models: tuple[str, ...]

    def run(self, load: Callable[[str, Progress], Explainer], videos: Sequence[Path], *, as_json: bool) -> int:
        """Explain the videos; returns the exit code.

        Raises:
            InputError: two models would write into the same folder.
        """
        with loading():
            from vidcam.pipelines.explain.models import explain_with_models, model_folder
            from vidcam.pipelines.explain.summary import check_summary

        folders = {model_folder(model): model for model in self.models}
        if len(folders) < len(self.models):
            raise InputError(f"--model is {', '.join(self.models)}; name each model once")
        has_summary = len(videos) > 1
        for folder in folders if has_summary else ():
            check_summary(self.out / folder)

        def work(explainers: Mapping[str, Explainer], video: Path) -> ComparedVideo:
            return explain_with_models(explainers, video, self.out)

        task = VideoTask(
            check=lambda video: self._check(video, [*folders]),
            load=lambda progress: {folder: load(model, progress) for folder, model in folders.items()},
            work=work,
            report=_report,
            document=self._document,
            finish=lambda done: self._summarise([result for _, result in done]) if has_summary else None,
        )
        return run_each(task, videos, as_json=as_json)

    def _check(self, video: Path, folders: Sequence[str]) -> None:
        from vidcam.pipelines.explain.models import SUFFIX
        from vidcam.pipelines.explain.outputs import check_paths

        given = self.given
        fps, decoder = given.get("fps"), given.get("decoder", "auto")
        for folder in folders:
            check_paths(video, self.out / folder, overwrite=given["overwrite"], fps=fps, decoder=decoder)
        check_paths(video, self.out, overwrite=given["overwrite"], fps=fps, decoder=decoder, suffix=SUFFIX)

    def _document(self, result: ComparedVideo) -> dict[str, Any]:
        from vidcam.system.json_files import as_plain

        return {"folder": as_text(str(self.out)), **as_plain(result.document)}

    def _summarise(self, results: Sequence[ComparedVideo]) -> None:
        """Write a summary of the videos into the folder of each model."""
        from vidcam.pipelines.explain.summary import explained_row, write_summary

        for folder in results[0].results:
            write_summary(self.out / folder, [explained_row(result.results[folder].document) for result in results])


def _report(video: Path, result: ComparedVideo, is_document: bool) -> None:  # noqa: FBT001 – of VideoTask
    from vidcam.pipelines.explain.models_sheet import agreement_sentence

    for folder, explained in result.results.items():
        say(f"{folder}:")
        report(video, VideoReport.of(explained), is_document)
    for agreement in result.document.agreement:
        say(agreement_sentence(agreement))
    if not is_document:
        print_text("\n".join(str(path) for path in result.paths))
