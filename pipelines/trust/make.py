"""`vidcam study make`: from saved explanations to the page of a study, and its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from natsort import natsorted

from vidcam import __version__
from vidcam.errors import InputError
from vidcam.pipelines.report.clip import Shown
from vidcam.pipelines.report.packing import PackedBlock
from vidcam.pipelines.report.page import fill_page, palettes
from vidcam.pipelines.report.videos import Media
from vidcam.pipelines.report.writer import PAGES, ReportOptions, shown_of
from vidcam.pipelines.trust.blind import blind_clip, said_class, target_of
from vidcam.pipelines.trust.content import KEY_ENDING, KeyClip, StudyData, StudyKey
from vidcam.pipelines.trust.design import SHUFFLED, Design, Lengths, make_design
from vidcam.pipelines.trust.truth import TrueClip, read_truth, selected_classes, true_label
from vidcam.system.atomic import atomic_write, require_writable
from vidcam.system.filenames import as_text
from vidcam.system.json_files import write_json
from vidcam.system.progress import Progress, silent

TITLE = "What does the model look at?"

_MOST_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """The options of `vidcam study make`, with their defaults.

    Attributes:
        methods: the methods to compare; empty: those that all results have.
        truth: a folder of `vidcam score`, or a CSV with the columns `path` and `label`; None: true classes are unknown.
        select: `f1:5` takes the clips of the five classes with the highest F1; empty: all clips.
        lengths: how many questions a rater is asked.
        seed: of all random choices.
        embed: a video of at most so many megabytes goes into the page as it is.
        proxy: make an H.264 copy of a video that browsers do not play.
        title: title of the page.
        overwrite: replace an existing page and key.
    """

    methods: tuple[str, ...] = ()
    truth: Path | None = None
    select: str = ""
    lengths: Lengths = field(default_factory=Lengths)
    seed: int = 0
    embed: float = 20.0
    proxy: bool = False
    title: str = TITLE
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class WrittenStudy:
    """What was written.

    Attributes:
        path: the page.
        key: its key, which raters must not get.
        study: name of the study.
        clips: number of clips.
        methods: names of the methods.
        forms: number of forms.
        questions: questions of the longest form.
        notes: what was left out, and why.
    """

    path: Path
    key: Path
    study: str
    clips: int
    methods: tuple[str, ...]
    forms: int
    questions: int
    notes: tuple[str, ...]


def write_study(
    results: Sequence[Path], out: Path, options: StudyOptions, *, progress: Progress = silent
) -> WrittenStudy:
    """Write the page of a study, and its key beside it.

    Args:
        results: `.npz` files that `explain` saved, and folders with such files.
        out: the page, `.html`; the key is `<stem>.key.json`.
        options: see `StudyOptions`.
        progress: called after each clip.

    Raises:
        InputError: no clip can be used, or an option cannot.
        MediaError: a file is not a saved explanation of a video.
        OutputError: the page or the key exists, or cannot be written.
    """
    if out.suffix.lower() not in PAGES:
        raise InputError(f"-o {out.name!r} must end in .html")
    key_path = out.with_name(f"{out.stem}{KEY_ENDING}")
    for path in (out, key_path):
        require_writable(path, overwrite=options.overwrite)
    report = ReportOptions(embed=options.embed, proxy=options.proxy)
    media, notes = Media(out, report.most_bytes), list[str]()
    shown, clips = _usable_clips(_files(results), options, report, media, notes=notes, progress=progress)
    if options.lengths.singles and not any(clip.is_right is False for clip in clips):
        notes.append(
            "no clip is known where the model is wrong: the study cannot say whether raters see that; "
            + ("add such clips" if options.truth else "pass the true classes with --truth")
        )
    methods = _methods(shown, options)
    random = np.random.default_rng(options.seed)
    methods = tuple(methods[index] for index in random.permutation(len(methods)))  # their order says nothing
    design = make_design([_stratum(clip) for clip in clips], len(methods), options.lengths, options.seed)
    key = _key(shown, clips, methods, design, options)
    page = _page(shown, key, media, random)
    with atomic_write(out, overwrite=options.overwrite) as part:
        part.write_text(page, "utf-8")
    write_json(key_path, key)
    longest = max(map(len, design.forms))
    return WrittenStudy(out, key_path, key.study, len(clips), methods, len(design.forms), longest, tuple(notes))


def _files(results: Sequence[Path]) -> list[Path]:
    files = [file for path in results for file in (natsorted(path.rglob("*.npz")) if path.is_dir() else [path])]
    if not files:
        raise InputError("there is no result to show; pass .npz files of vidcam explain, or folders with them")
    return list(dict.fromkeys(files))


def _usable_clips(
    files: Sequence[Path],
    options: StudyOptions,
    report: ReportOptions,
    media: Media,
    *,
    notes: list[str],
    progress: Progress,
) -> tuple[list[Shown], list[KeyClip]]:
    """Load the results; add to `notes` what is left out, and why."""
    truth = () if options.truth is None else read_truth(options.truth)
    classes = selected_classes(options.select, truth) if options.select else None
    if classes is not None:
        notes.append("classes: " + ", ".join(f"{label} (F1 {score:.3f})" for label, score in classes.items()))
    kept, clips, left_out = list[Shown](), list[KeyClip](), dict[str, list[str]]()
    for number, file in enumerate(files):
        before = dict(media.embedded)
        shown = shown_of(file, report, media)
        clip, problem = _clip(shown, truth, classes)
        if problem:
            media.embedded = before
            left_out.setdefault(problem, []).append(as_text(file.name))
        else:
            kept.append(shown)
            clips.append(clip)
        progress("clips", number + 1, len(files))
    for problem, names in left_out.items():
        some = ", ".join(names[:_MOST_NAMES]) + ", …" * (len(names) > _MOST_NAMES)
        notes.append(f"{len(names)} of {len(files)} results are left out, as {problem}: {some}")
    if not clips:
        raise InputError(f"no result can be used; {'; '.join(notes)}")
    return kept, clips


def _clip(shown: Shown, truth: tuple[TrueClip, ...], classes: dict[str, float] | None) -> tuple[KeyClip, str]:
    """Describe a clip, and say why it cannot be used; '' if it can."""
    video = shown.explanation
    says = said_class(video)
    label = true_label(truth, video.source if video.origin is None else video.origin.path)
    clip = KeyClip(video.source, says, label)
    if classes is not None and (label is None or label.casefold() not in classes):
        return clip, "their class was not selected" if label else "--truth has no label for them"
    if target_of(video) is None:
        return clip, f"the model says {says!r}, but {', '.join(video.labels)} was explained"
    if not any(each.embedded for each in shown.videos):
        return clip, _why_without_video(shown)
    return clip, ""


def _why_without_video(shown: Shown) -> str:
    if not shown.can_open:
        return "browsers do not play their videos; --proxy makes copies that they play"
    return "their videos were not found" if shown.note else "their videos are larger than --embed"


def _methods(shown: Sequence[Shown], options: StudyOptions) -> tuple[str, ...]:
    """Return the methods to compare, each of which all clips have."""
    of_clips = [tuple(each.explanation.explanations[target_of(each.explanation) or 0].volumes) for each in shown]
    common = [name for name in of_clips[0] if all(name in others for others in of_clips)]
    for name in options.methods:
        if name not in common:
            raise InputError(
                f"--method {name} is not in all results; they have {', '.join(common) or 'none in common'}"
            )
    methods = tuple(dict.fromkeys(options.methods)) or tuple(common)
    if len(methods) < 2:
        raise InputError(f"a study compares methods, and there is only {', '.join(methods) or 'none'} in all results")
    return methods


def _stratum(clip: KeyClip) -> int:
    return 2 if clip.is_right is None else int(clip.is_right)


def _key(
    shown: Sequence[Shown], clips: list[KeyClip], methods: tuple[str, ...], design: Design, options: StudyOptions
) -> StudyKey:
    origins = [shown_clip.explanation.origin for shown_clip in shown]
    contents = [None if origin is None else origin.content_hash for origin in origins]
    name = sha256(repr((contents, clips, methods, design)).encode()).hexdigest()[:12]
    return StudyKey(
        study=name,
        title=options.title,
        version=__version__,
        seed=options.seed,
        methods=methods,
        clips=tuple(clips),
        items=design.items,
        forms=design.forms,
    )


def _page(shown: Sequence[Shown], key: StudyKey, media: Media, random: np.random.Generator) -> str:
    """Return the page as text."""
    block, shuffled = PackedBlock(), dict[int, list[int]]()
    for item in key.items:
        if item.right == SHUFFLED:
            shuffled.setdefault(item.clip, []).append(item.left)
    clips = tuple(
        blind_clip(each, key.methods, block, shuffled=shuffled.get(index, []), random=random)
        for index, each in enumerate(shown)
    )
    items = tuple(
        item
        if item.right != SHUFFLED  # such a check looks like any pair
        else replace(item, kind="pair", right=len(key.methods) + shuffled[item.clip].index(item.left))
        for item in key.items
    )
    data = StudyData(key.title, key.version, key.study, clips, items, key.forms, palettes())
    return fill_page("study", key.title, data, block, media.embedded)
