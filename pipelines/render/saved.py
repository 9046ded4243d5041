"""Open a saved explanation and its video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from vidcam.errors import InputError, MediaError, OutputError
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation
from vidcam.system.filenames import relative_path
from vidcam.system.progress import Progress, silent
from vidcam.video.content import sampled_content_sha256
from vidcam.video.images import IMAGES, SUFFIXES
from vidcam.video.numbered import belongs, has_images, is_pattern
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.source import Source, is_address

Saved = str | Path | VideoExplanation
"""The .npz file that `explain` saved, or the loaded explanation."""


def open_saved(saved: Saved, source: Source | None) -> tuple[VideoExplanation, Source]:
    """Load the maps and find their video.

    Args:
        saved: the maps.
        source: any source of `open_video`; None to look where `explain` read it, and beside the .npz.

    Raises:
        MediaError: the file is not a saved explanation of a video, or the video was not found.
    """
    path = Path(saved.source if isinstance(saved, VideoExplanation) else saved)
    explanation = saved if isinstance(saved, VideoExplanation) else load(path)
    if not isinstance(explanation, VideoExplanation):
        raise MediaError(f"{path} explains clips, not a video; pass a file that `vidcam explain` wrote")
    if source is not None:
        return explanation, source
    if explanation.origin is None:
        raise MediaError(f"{path.name} has no path of {explanation.source!r}; pass it with --source")
    origin = explanation.origin
    for candidate in (*([Path(origin.path)] if origin.is_local else []), path.parent / explanation.source):
        if candidate.exists() or has_images(str(candidate)):
            return explanation, candidate
    if not origin.is_local and not is_address(origin.path):
        raise MediaError(f"the maps are of {origin.path!r}, which is not a file; pass it again as source= (--source)")
    former_path = relative_path(Path(origin.path), path.parent) if origin.is_local else origin.path
    raise MediaError(f"{explanation.source!r} is no longer at {former_path!r}; pass it with --source")


@contextmanager
def opened_source(
    explanation: VideoExplanation, source: Source, *, progress: Progress = silent
) -> Iterator[VideoReader]:
    """Open the video that was explained.

    Raises:
        MediaError: the video cannot be read, or it is not the explained one.
    """
    with _opened(explanation, source, progress) as reader:
        _require_same(explanation, reader)
        yield reader


def _opened(explanation: VideoExplanation, source: Source, progress: Progress) -> VideoReader:
    origin = explanation.origin
    rate = None if origin is None or origin.fps is None else Fraction(origin.fps)
    try:
        return open_video(source, fps=rate, fetch=True, is_streamed=True, progress=progress)
    except InputError as exc:
        if origin is None or rate is None or type(exc) is not InputError:
            raise
        raise MediaError(
            f"{str(source)!r} is a video file, but {origin.path!r} was explained; pass that as source= (--source)"
        ) from exc


def _require_same(explanation: VideoExplanation, reader: VideoReader) -> None:
    name = reader.info.path
    if explanation.origin is not None:
        try:
            content_hash = sampled_content_sha256(reader.info)
        except OSError as exc:
            raise MediaError(f"the video {name!r} cannot be read ({exc.strerror})") from exc
        if content_hash != explanation.origin.content_hash:
            raise MediaError(
                f"{name!r} is not the explained video (its hash is {content_hash[:12]}…, not "
                f"{explanation.origin.content_hash[:12]}…); pass that video with --source"
            )
    if reader.info.size != explanation.geometry.source_size:
        raise MediaError(
            f"{name!r} has frames of {reader.info.size}, the explained video {explanation.geometry.source_size}; "
            "pass that video with --source"
        )


def require_other_place(out: Path, reader: VideoReader) -> None:
    """Require that the output does not overwrite the video, and does not lie among its images.

    Raises:
        OutputError: it does.
    """
    place, files = out.resolve(), [path.resolve() for path in reader.info.files]
    is_video = place in files or (place.exists() and any(path.exists() and path.samefile(place) for path in files))
    if reader.info.decoder == IMAGES and is_pattern(reader.info.path):
        folder = Path(reader.info.path).parent.resolve()
        is_video |= place.parent == folder and belongs(reader.info.path, place.name)
    elif reader.info.decoder == IMAGES and reader.info.has_name:
        folder = Path(reader.info.path).resolve()
        is_video |= place == folder or (place.parent == folder and place.suffix.lower() in SUFFIXES)
    if is_video:
        raise OutputError(f"-o '{out}' would overwrite the source video or its images; choose another name")
