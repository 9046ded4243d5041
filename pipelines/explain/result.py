"""Write the output files of an explained video: videos, contact sheet, data and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.explain import document as entries
from vidcam.pipelines.explain.analyse import WindowResults
from vidcam.pipelines.explain.captions import caption_labels
from vidcam.pipelines.explain.curves import Curves, curves_of
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.explain.outputs import source_of, stated_path, target_slugs
from vidcam.pipelines.explain.saliency import GuidedVideo
from vidcam.pipelines.explain.verdicts import Verdicts
from vidcam.pipelines.render.frames import FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet
from vidcam.pipelines.render.videos import Video, draw_videos, drawn_seconds, video_list
from vidcam.pipelines.report.clip import Shown
from vidcam.pipelines.report.facts import Facts
from vidcam.pipelines.report.videos import Media, is_playable, video_note
from vidcam.pipelines.report.writer import page_of
from vidcam.pipelines.run_file import run_file_text
from vidcam.pipelines.windows import timeline
from vidcam.preprocess import mean_rgb
from vidcam.results.caption import CaptionTarget
from vidcam.results.explanation import OF_FUNCTION
from vidcam.results.video import PER_WINDOW, Origin, VideoExplanation, video_bounds
from vidcam.system.atomic import disk_errors
from vidcam.system.filenames import as_text
from vidcam.system.json_files import from_json, to_json, write_json
from vidcam.video.content import sampled_content_sha256
from vidcam.video.images import STILLS

LEADERS = 3
"""Number of top classes of each window whose labels are saved with the maps."""


class Result:
    """The explanation of a video, and the writer of its files.

    Args:
        job: the video.
        results: one for each target.
        verdicts: on their maps.
        forget: as in `VideoExplanation`.

    Attributes:
        explanation: the maps of all windows, with one timeline and one scale.
    """

    def __init__(
        self,
        job: VideoJob,
        results: tuple[WindowResults, ...],
        verdicts: Verdicts,
        *,
        forget: Callable[[], None] | None = None,
    ) -> None:
        request = self._request = job.request
        self._job, self._verdicts = job, verdicts
        artifact, of_model = job.ready.baseline.artifact, " ".join(request.notes)
        others = (note for result in results[:1] for note in result.explanation.notes if note not in of_model)
        notes = (*request.notes, *others)
        self._results = tuple(
            replace(result, explanation=replace(result.explanation, artifact=artifact, notes=notes))
            for result in results
        )
        self._pts = drawn_seconds(job.reader.info, *job.span_seconds)
        self._seconds = np.maximum(self._pts, job.span_seconds[0])  # a window can start while a frame is displayed
        self._origin = self._origin_of_job()
        with job.clock.stage("scale"):
            self.explanation = self._video(forget)

    def _video(self, forget: Callable[[], None] | None) -> VideoExplanation:
        info, line = self._job.reader.info, timeline(self._job.windows)
        explanations = tuple(result.explanation for result in self._results)
        return VideoExplanation(
            source=as_text(Path(info.path).name),
            model=self._job.model.spec.name,
            geometry=self._job.geometry,
            timeline=line,
            labels=self._labels(),
            explanations=explanations,
            bounds=video_bounds(explanations, line, self._seconds, scale=self._request.scale, forget=forget),
            origin=self._origin,
            class_labels=self._class_labels(),
            scale=self._request.scale,
            verdicts=self._verdicts.maps,
            video_verdict=self._verdicts.video,
            captions=self._captions(),
            forget=forget,
        )

    def _labels(self) -> tuple[str, ...]:
        request, model = self._request, self._job.model
        if request.caption:
            return caption_labels(request.caption)
        return tuple(
            PER_WINDOW if target is None else model.label(int(result.explanation.target[0]))
            for target, result in zip(request.targets or (OF_FUNCTION,), self._results, strict=True)
        )

    def _captions(self) -> tuple[CaptionTarget, ...]:
        """Return the captions among the targets, with the mean probability of each word."""
        captions, target = list[CaptionTarget](), 0
        for text in self._request.caption:
            words = tuple(text.split())
            logs = [result.log_original for result in self._results[target + 1 : target + 1 + len(words)]]
            captions.append(CaptionTarget(words, target, tuple(float(np.exp(log).mean()) for log in logs)))
            target = captions[-1].last + 1
        return tuple(captions)

    def _origin_of_job(self) -> Origin:
        info = self._job.reader.info
        return Origin(
            path=str(Path(info.path).resolve()) if info.is_local else as_text(info.path),
            content_hash=sampled_content_sha256(info),
            span_seconds=self._job.span_seconds,
            fps=str(info.fps) if info.decoder in STILLS else None,
            mean_rgb=mean_rgb(self._job.model.spec.scaling),
            is_local=info.is_local,
        )

    def _class_labels(self) -> dict[int, str]:
        """Return the labels of the top classes of all windows, of the targets and of the contrast."""
        explanations = [result.explanation for result in self._results]
        classes: list[NDArray[Any]] = [explanation.target for explanation in explanations]
        classes += [explanation.contrast for explanation in explanations if explanation.contrast is not None]
        best = np.argsort(-explanations[0].logits, axis=1, kind="stable")[:, :LEADERS]
        indices = np.unique(np.concatenate([best.ravel(), *classes]))
        return {int(k): self._job.model.label(int(k)) for k in indices[indices != OF_FUNCTION]}

    def write(self, stage: Path, folder: Path, stem: str) -> Document:
        """Write all files into the folder `stage`; returns the content of the JSON.

        Args:
            stage: temporary folder.
            folder: final folder; paths in the files are relative to it.
            stem: start of the file names.
        """
        outputs = self._request.outputs
        kinds: list[Kind] = [kind for kind in ("overlay", "map") if kind in outputs]
        drawn = self.explanation.main_targets
        videos, files = video_list(stem, self._slugs(), self._request.methods, kinds, targets=drawn)
        with self._job.clock.stage("curves"):
            curves = curves_of(self.explanation, self._request.methods, self._pts)
            sheet = SheetFrames.plan(self.explanation, self._maps(), self._pts) if "sheet" in outputs else None
        notes = self._draw(videos, stage, sheet) if videos or sheet is not None else ()
        document = self._document(folder, stem, files, curves, notes)
        if sheet is not None:
            path = stage / f"{stem}.{self._request.sheet_format}"
            with self._job.clock.stage("sheet"), disk_errors(path):
                path.write_bytes(contact_sheet(self.explanation, sheet, self._seconds, form=self._request.sheet_format))
        if "data" in outputs:
            explanation = replace(self.explanation, origin=self._origin.relative_to(folder))  # the stage lies deeper
            explanation.save(stage / f"{stem}.npz")
            (stage / f"{stem}_evidence.csv").write_text(curves.to_csv(self.explanation.labels), "utf-8")
        settings = self._settings(folder, stem)
        if settings:
            (stage / f"{stem}.toml").write_text(settings, "utf-8")
        if "report" in outputs:
            path = stage / f"{stem}.html"
            with self._job.clock.stage("report"), disk_errors(path):
                path.write_text(self._page(folder / path.name, document, settings), "utf-8")
        write_json(stage / f"{stem}.json", document)
        return document

    def _settings(self, folder: Path, stem: str) -> str:
        """Return the settings that repeat the run; '' if nobody could load the model again."""
        if not self._request.settings:
            return ""
        command = f"vidcam explain VIDEO -o FOLDER --config {stem}.toml"
        return run_file_text(self._request.settings, folder, command=command)

    def _page(self, out: Path, document: Document, settings: str) -> str:
        """Return the page of the video, as it works at its final place."""
        facts, info, media = from_json(to_json(document), Facts), self._job.reader.info, Media(out)
        video, overlays = media.source(info), media.overlays(facts, out.parent, starts=float(self._pts[0]))
        videos = (*(() if video is None else (video,)), *overlays)
        shown = Shown(self.explanation, self._pts, videos, video_note(info, videos), is_playable(info), facts, settings)
        return page_of([shown], media)

    def _slugs(self) -> list[str]:
        targets = [int(explanation.target[0]) for explanation in self.explanation.explanations]
        label, index = self._request.contrast_label, self._request.contrast
        contrast = None if label is None or index is None else (label, index)
        return target_slugs(list(zip(self.explanation.labels, targets, strict=True)), contrast)

    def _maps(self) -> list[ShownMap]:
        targets, methods = self.explanation.main_targets, self._request.methods
        return [ShownMap(target, method) for target in targets for method in methods]

    def _draw(self, videos: Sequence[Video], stage: Path, sheet: SheetFrames | None) -> tuple[str, ...]:
        """Draw the videos and the frames of the sheet; returns notes."""
        job = self._job
        style = RenderStyle(fill=self._request.fill, mean_rgb=mean_rgb(self._job.model.spec.scaling))
        with closing(GuidedVideo(job, self.explanation)) as guided:
            return draw_videos(
                FrameRenderer(self.explanation, style, guided),
                job.reader,
                videos,
                stage,
                pts_seconds=self._pts,
                end_seconds=job.span_seconds[1],
                clock=job.clock,
                progress=job.progress,
                captions=self._request.captions,
                sheet=sheet,
            )

    def _document(
        self,
        folder: Path,
        stem: str,
        files: Sequence[Mapping[str, Mapping[str, str]]],
        curves: Curves,
        notes: tuple[str, ...],
    ) -> Document:
        request, model, reader, first = self._request, self._job.model, self._job.reader, self._results[0]
        contrast = request.contrast_label
        targets = tuple(
            entries.target_entry(
                self.explanation, results, number=number, contrast=contrast, files=files[number], curves=curves
            )
            for number, results in enumerate(self._results)
        )
        return Document(
            schema=entries.SCHEMA,
            source=entries.source_entry(reader, stated_path(source_of(reader.info), folder), notes=notes),
            model=entries.ExplainedModel(model.spec.name, first.explanation.layer, model.weights),
            top5=entries.top5(model, first.explanation.ranking()),
            verdict=self.explanation.video_verdict,
            targets=targets,
            captions=self.explanation.captions,
            windows=entries.window_entries(model, self.explanation.timeline, first),
            evidence_seconds=tuple(curves.thinned().seconds.tolist()),
            artifact=self._job.ready.baseline.artifact,
            audit=tuple(video_audit(self.explanation)),
            view=request.view,
            fill=request.fill,
            score=request.score,
            score_scale=request.score_scale,
            fusion=(request.fusion or "mean") if len(request.layers) > 1 else None,
            scale=request.scale,
            runtime=entries.runtime_entry(self._job),
            versions=entries.versions(),
            files=entries.all_files(stem, targets, request),
        )
