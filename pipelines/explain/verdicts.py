"""The verdicts on the maps of a video: measured in a few of its windows, averaged, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidcam.metrics.time_audit import CHANGES
from vidcam.pipelines.audit import findings
from vidcam.pipelines.explain.analyse import WindowResults
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.explain.measure import Measured, measure, measured_windows, words_of
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.explain.versions import FRAMES
from vidcam.pipelines.verdict.checks import GUIDED, kept_checks, map_checks, mean_share, not_measurable
from vidcam.results.explanation import INPUT_METHODS, Explanation
from vidcam.results.verdict import Verdict, VideoVerdict, judge, percent
from vidcam.sampling import Window
from vidcam.spec import ModelSpec

SINGLE_FRAMES, MOTION = 0.8, 0.5
"""With its frames frozen a video keeps a share of the probability. From the first number on, the model is said to read
single frames; below the second, motion counts."""

LEAST_FILLED = 0.5
"""A video that fills less than this share of a window is too short to tell."""

WORD = Verdict("not checked", "the verdict is on the whole caption, not on its words")

OFF = Verdict("not checked", "--verdict-forwards is 0")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on a video.

    Attributes:
        maps: for each target method → verdict.
        video: that on the video as a whole; None if nothing was measured.
    """

    maps: tuple[Mapping[str, Verdict], ...]
    video: VideoVerdict | None


def verdicts_of(job: VideoJob, results: Sequence[WindowResults]) -> Verdicts:
    """Measure the maps of a video on a few of its windows, and judge them; `results` has one item for each target."""
    ready, request = job.ready, job.request
    guided = dict.fromkeys(request.guided, GUIDED)
    unmeasured = _reason_not_to(ready.model.spec, results[0].explanation, job.windows[0], request)
    if unmeasured is not None:
        return Verdicts(tuple(dict.fromkeys(each.explanation.methods, unmeasured) | guided for each in results), None)
    judged = _judged(results, request)
    windows = measure(job, list(judged.values()))
    maps, has_findings = list[dict[str, Verdict]](), bool(request.notes)
    for number, result in enumerate(judged.values()):
        explanation = replace(result.explanation, artifact=ready.baseline.artifact)
        measured = [window[number] for window in windows]
        confidence = {"confidence": float(np.exp(result.log_original).mean())}
        checks = {method: measured_checks(measured, explanation, method) for method in explanation.methods}
        maps.append({method: judge(found | confidence) for method, found in checks.items()})
        has_findings = has_findings or bool(explanation.notes or findings("", explanation))
    motion = _motion([window[0] for window in windows])
    measured_of = "mean probability of its words" if request.caption else "probability"
    checked = checked_sentence(len(windows), job.windows)
    sentence = video_sentence(maps, motion, checked, has_findings=has_findings, measured_of=measured_of)
    found = dict(zip(judged, maps, strict=True))
    words = dict.fromkeys(results[0].explanation.methods, WORD)
    return Verdicts(
        tuple(found.get(number, words) | guided for number in range(len(results))), VideoVerdict(sentence, motion)
    )


def _judged(results: Sequence[WindowResults], request: ExplainRequest) -> dict[int, WindowResults]:
    """Return the results that are judged, by their number: all, or of captions and words the whole captions."""
    if not request.caption:
        return dict(enumerate(results))
    whole = {number: target for number, target in enumerate(request.targets) if isinstance(target, int)}
    return {
        number: replace(results[number], log_original=results[number].log_original / words_of(request.caption[caption]))
        for number, caption in whole.items()
    }


def _reason_not_to(spec: ModelSpec, explanation: Explanation, first: Window, request: ExplainRequest) -> Verdict | None:
    """Return the verdict of a video whose maps cannot be measured."""
    if request.verdict_forwards == 0:
        return OFF
    verdict = not_measurable(explanation.activation, explanation.logits.shape[1])
    if verdict is not None and not request.caption:
        return verdict
    length = first.end_seconds - first.start_seconds
    filled = np.unique(first.times).size if spec.fps is None else max(1, round(length * float(spec.fps)))
    if filled < LEAST_FILLED * spec.frames:
        return Verdict("too short to tell", f"the video fills {filled} of the {spec.frames} frames of a window")
    return None


def measured_checks(measured: Sequence[Measured], explanation: Explanation, method: str) -> dict[str, float | None]:
    """Return the checks of one map of `vidcam.results.verdict.judge`: means over the windows.

    Args:
        measured: what was measured of the target, at least one window.
        explanation: the maps of all windows.
        method: one of its methods.
    """
    artifact = None if method in INPUT_METHODS else explanation.artifact
    logs = {key: np.array([each.logs[key] for each in measured]) for key in measured[0].logs if key[1] != FRAMES}
    checks = kept_checks(method, logs, np.array([each.log_original for each in measured]))
    return (checks | map_checks(explanation.volumes[method], artifact)) | {
        "mirror": _mean([each.mirror.get(method) for each in measured]),
        "class_change": _mean([each.class_change.get(method) for each in measured]),
    }


def _motion(measured: Sequence[Measured]) -> dict[str, float]:
    """Return change of the frames → share of the probability kept, a geometric mean over the windows that have it."""
    shares = {}
    for change in CHANGES:
        key = (change, FRAMES)
        found = [each for each in measured if key in each.logs]
        if found:
            logs, originals = ([each.logs[key] for each in found], [each.log_original for each in found])
            shares[str(change)] = mean_share(np.array(logs), np.array(originals))
    return shares


def video_sentence(
    maps: Sequence[Mapping[str, Verdict]],
    motion: Mapping[str, float],
    checked: str = "",
    *,
    has_findings: bool = False,
    measured_of: str = "probability",
) -> str:
    """Say whether no map is reliable or nothing was found, and whether motion counts.

    Args:
        maps: for each target method → verdict.
        motion: change of the frames → share of the probability kept.
        checked: a sentence of `checked_sentence`.
        has_findings: whether another sentence says something against the maps.
        measured_of: what the shares in `motion` are of.
    """
    words = {verdict.word for each in maps for verdict in each.values()}
    if "reliable" not in words:
        found = "No map is reliable here."
    else:
        has_findings = has_findings or motion.get("frozen", 0.0) >= SINGLE_FRAMES
        found = "Checked: nothing found." if len(words) == 1 and not has_findings else ""
    return " ".join(filter(None, [found, motion_sentence(motion, measured_of), checked]))


def checked_sentence(count: int, windows: Sequence[Window]) -> str:
    """Say on how many windows the maps were checked; '' if they cover the video."""
    apart = len(measured_windows(windows, len(windows)))
    return f"The maps were checked on {count} of {apart} windows that do not overlap." if count < apart else ""


def motion_sentence(motion: Mapping[str, float], measured_of: str = "probability") -> str:
    """Say whether motion counts; '' if it was not measured."""
    if "frozen" not in motion:
        return ""
    frozen = motion["frozen"]
    others = ", ".join(f"{name} {percent(share)}" for name, share in motion.items() if name != "frozen")
    if frozen > 1 / SINGLE_FRAMES:
        meaning = "motion speaks against the class"
    elif frozen >= SINGLE_FRAMES:
        meaning = "the model reads single frames"
    else:
        meaning = "motion counts" if frozen < MOTION else "motion counts a little"
    changed = f"{percent(frozen)} of what it was{f' ({others})' if others else ''}"
    return f"With frozen frames the {measured_of} is {changed}: {meaning}."


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
