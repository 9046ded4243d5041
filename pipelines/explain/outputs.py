"""Where results go: names, no overwriting by accident, and all files of a result at once or none.

Everything is written into a hidden folder inside the destination and moved out when it is complete, the JSON last: a
result whose JSON is there is whole. Two sources of one stem are kept apart as `video` and `video-2`. No name is longer
than a file system takes, and none holds what cannot be printed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from vidcam.errors import OutputError
from vidcam.media import VideoInfo
from vidcam.system.atomic import folder_errors
from vidcam.system.exchange import atomic_files, require_free
from vidcam.system.filenames import as_text, relative_path, safe_stem
from vidcam.system.json_files import read_json_if_valid
from vidcam.video.content import content_sha256
from vidcam.video.reader import Decoder, frame_rate, holds_frames, open_video
from vidcam.video.source import Source, address_of, check_source, local_path, source_stem

LONGEST_SLUG = 80
VERSUS = "-vs-"
"""Between the target and the contrast class in a file name."""

UNNAMED_STEM = "video"
"""Stem of the results of an array or a list."""


@dataclass(frozen=True, slots=True)
class _FormerSource:
    path: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class _Former:
    """Of a JSON that is there already, what tells whose results it holds."""

    source: _FormerSource
    files: tuple[str, ...] = ()


def check_paths(
    source: Source,
    folder: Path,
    *,
    overwrite: bool,
    fps: Fraction | float | None = None,
    decoder: Decoder = "auto",
    suffix: str = "",
) -> None:
    """Refuse what can be refused without loading a model; writes nothing.

    Args:
        source: the video; a file, an array or a list is opened, a web address is asked for its headers.
        folder: where results are to go.
        overwrite: whether results of this very source may be there already.
        fps: images a second, for a folder of images.
        decoder: as that of `open_video`.
        suffix: as that of `choose_stem`.

    Raises:
        MediaError: the source does not exist, is no video, or a folder without images.
        InputError: a rate for what has one of its own, or one that is not positive.
        OutputError: the folder is a file or cannot be written to, or holds results of this source already.
    """
    address = address_of(source)
    if holds_frames(source) or local_path(source) is not None:
        with open_video(source, fps=frame_rate(fps), decoder=decoder) as reader:
            require_folder(folder)
            stem_of(reader.info, folder, overwrite=overwrite, suffix=suffix)
        return
    require_folder(folder)
    if address is not None:
        choose_stem(folder, address, overwrite=overwrite, suffix=suffix)
    check_source(source)


def check_readable(source: Source, *, fps: Fraction | float | None = None, decoder: Decoder = "auto") -> None:
    """Open a source that is here, and ask a web address for its headers.

    Raises:
        MediaError: the source does not exist or is no video.
        InputError: `fps` for a video with time stamps, or not positive.
    """
    if holds_frames(source) or local_path(source) is not None:
        open_video(source, fps=frame_rate(fps), decoder=decoder).close()
    else:
        check_source(source)


def require_folder(folder: Path) -> None:
    """Check that a folder is there and can be written to, or can be made; writes nothing.

    Raises:
        OutputError: it is a file, or it cannot be written to.
    """
    with folder_errors(folder):
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        code = errno.ENOTDIR if not there.is_dir() else 0 if os.access(there, os.W_OK | os.X_OK) else errno.EACCES
        if code:
            raise OSError(code, os.strerror(code))


def slug(label: str, index: int, *, longest: int = LONGEST_SLUG) -> str:
    """A label as part of a file name, [a-z0-9-], cut off at `longest`; `class-<index>` if nothing of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", label.casefold()).strip("-")[:longest].rstrip("-") or f"class-{index}"


def target_slugs(targets: Sequence[tuple[str, int]], contrast: tuple[str, int] | None) -> list[str]:
    """The targets as parts of file names, all different, such as `yoga` or `yoga-vs-tai-chi`.

    Args:
        targets: label and index of each target.
        contrast: label and index of the contrast class.
    """
    classes = [*targets, *([] if contrast is None else [contrast])]
    longest = LONGEST_SLUG if contrast is None else (LONGEST_SLUG - len(VERSUS)) // 2
    plain = [slug(label, index, longest=longest) for label, index in classes]
    names = [
        f"{name}-{index}" if plain.count(name) > 1 else name for name, (_, index) in zip(plain, classes, strict=True)
    ]
    return names if contrast is None else [f"{name}{VERSUS}{names[-1]}" for name in names[:-1]]


def stem_of(info: VideoInfo, folder: Path, *, overwrite: bool, suffix: str = "") -> str:
    """Choose the stem of a video's results in a folder; arguments and errors as in `choose_stem`."""
    content = None if info.has_name else partial(content_sha256, info)
    return choose_stem(folder, source_of(info), overwrite=overwrite, content=content, suffix=suffix)


def choose_stem(
    folder: Path,
    source: Path | str,
    *,
    overwrite: bool,
    content: Callable[[], str] | None = None,
    suffix: str = "",
) -> str:
    """The stem of a source's results in a folder.

    Args:
        folder: where results go.
        source: a path, or as text the name of what is no file of this machine.
        overwrite: whether results of this very source may be there already.
        content: computes the SHA-256 of a source without a name, to recognise it.
        suffix: follows the stem in the name of the JSON.

    Raises:
        OutputError: the folder holds results of this very source already and `overwrite` is off, another run is writing
            them, or the folder cannot be reached.
    """
    number, plain = 1, UNNAMED_STEM if content is not None else safe_stem(source_stem(str(source)))
    while True:
        stem = plain if number == 1 else f"{plain}-{number}"
        existing = folder / f"{stem}{suffix}.json"
        with folder_errors(folder):
            is_free = not (existing.exists() or existing.is_symlink())
            require_free(existing)
        if is_free:
            return stem
        former = read_json_if_valid(existing, _Former)
        if _source_of(former, folder, source) == as_text(
            str(source.resolve() if isinstance(source, Path) else source)
        ) and (content is None or (former is not None and former.source.sha256 == content())):
            if overwrite:
                return stem
            name = Path(source).name
            raise OutputError(
                f"{existing} holds results of {name} already; pass --overwrite (in Python overwrite=True) to "
                f"replace them, or choose another folder with -o"
            )
        number += 1


@contextmanager
def staging(folder: Path, stem: str, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder whose files are moved into `folder` when the block ends well, and deleted when it does not.

    Files of the stem's former result are replaced with `overwrite`; those that were not made again are deleted. Any
    other file that is in the way stays, and the result is refused. If moving fails in the middle, all is as before.

    Raises:
        OutputError: the folder cannot be made or written to, or a file is in the way.
    """
    document = folder / f"{stem}.json"

    def former() -> set[str]:
        result = read_json_if_valid(document, _Former) if overwrite else None
        return set() if result is None else {Path(name).name for name in result.files}

    with atomic_files(folder, last=document.name, former=former) as stage:
        yield stage


def source_of(info: VideoInfo) -> Path | str:
    """The path of a video, or as text the name of what is no file of this machine."""
    return Path(info.path) if info.is_local else info.path


def stated_path(source: Path | str, folder: Path) -> str:
    r"""The source as the JSON states it: relative to the JSON's folder; a name as it is; what is no UTF-8 as `\xNN`."""
    return as_text(relative_path(source, folder) if isinstance(source, Path) else source)


def _source_of(former: _Former | None, folder: Path, like: Path | str) -> str | None:
    """The source that a JSON states, resolved if it is compared with a path; see `stated_path`."""
    if former is None:
        return None
    stated = former.source.path
    try:
        return as_text(str((folder / stated).resolve() if isinstance(like, Path) else stated))
    except (OSError, ValueError):  # too long, or a NUL: no path of this machine
        return None
