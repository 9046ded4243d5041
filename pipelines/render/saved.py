"""Open a saved explanation and its video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from vidcam.errors import MediaError, OutputError
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation
from vidcam.system.filenames import relative_path
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.images import IMAGES, SUFFIXES
from vidcam.video.reader import VideoReader, open_video


def open_saved(saved: Path | VideoExplanation, source: str | Path | None) -> tuple[VideoExplanation, str | Path]:
    """Load the maps and find their video.

    Args:
        saved: the .npz file that `explain` saved, or the loaded explanation.
        source: path or address of the video; None to look where `explain` read it, and beside the .npz.

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
        if candidate.exists():
            return explanation, candidate
    former_path = relative_path(Path(origin.path), path.parent) if origin.is_local else origin.path
    raise MediaError(f"{explanation.source!r} is no longer at {former_path!r}; pass it with --source")


@contextmanager
def opened_source(explanation: VideoExplanation, source: str | Path) -> Iterator[VideoReader]:
    """Open the video that was explained.

    Raises:
        MediaError: the video cannot be read, or it is not the explained one.
    """
    rate = None if explanation.origin is None or explanation.origin.fps is None else Fraction(explanation.origin.fps)
    with open_video(source, fps=rate) as reader:
        _require_same(explanation, reader, source)
        yield reader


def _require_same(explanation: VideoExplanation, reader: VideoReader, source: str | Path) -> None:
    if explanation.origin is not None:
        try:
            content_hash = sampled_sha256(reader.info.files)
        except OSError as exc:
            raise MediaError(f"the video {str(source)!r} cannot be read ({exc.strerror})") from exc
        if content_hash != explanation.origin.content_hash:
            raise MediaError(
                f"{str(source)!r} is not the explained video (its hash is {content_hash[:12]}…, not "
                f"{explanation.origin.content_hash[:12]}…); pass that video with --source"
            )
    if reader.info.size != explanation.geometry.source_size:
        raise MediaError(
            f"{str(source)!r} has frames of {reader.info.size}, the explained video "
            f"{explanation.geometry.source_size}; pass that video with --source"
        )


def require_other_place(out: Path, reader: VideoReader) -> None:
    """Require that the output does not overwrite the video, and does not lie among its images.

    Raises:
        OutputError: it does.
    """
    place, files = out.resolve(), [path.resolve() for path in reader.info.files]
    is_video = place in files or (place.exists() and any(path.exists() and path.samefile(place) for path in files))
    if reader.info.decoder == IMAGES:
        folder = Path(reader.info.path).resolve()
        is_video |= place == folder or (place.parent == folder and place.suffix.lower() in SUFFIXES)
    if is_video:
        raise OutputError(f"-o '{out}' would overwrite the source video or its images; choose another name")
