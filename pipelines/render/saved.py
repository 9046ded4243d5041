"""A saved explanation opened again: its maps and the very video that they were made of."""

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
        saved: the .npz that `explain` saved, or what it holds.
        source: the video, if it is no longer where `explain` read it; a path or an address for fsspec.

    Raises:
        MediaError: no saved explanation, or its video is not there.
    """
    path = Path(saved.source if isinstance(saved, VideoExplanation) else saved)
    explanation = saved if isinstance(saved, VideoExplanation) else load(path)
    if not isinstance(explanation, VideoExplanation):
        raise MediaError(f"{path} explains clips, not a video; choose a file that `vidcam explain` wrote")
    if source is not None:
        return explanation, source
    if explanation.origin is None:
        raise MediaError(f"{path.name} does not say where {explanation.source!r} lies; name it with --source")
    origin = explanation.origin
    for candidate in (*([Path(origin.path)] if origin.is_local else []), path.parent / explanation.source):
        if candidate.exists():
            return explanation, candidate
    stated = relative_path(Path(origin.path), path.parent) if origin.is_local else origin.path
    raise MediaError(f"{explanation.source!r} is no longer at {stated!r}; name it with --source")


@contextmanager
def opened_source(explanation: VideoExplanation, source: str | Path) -> Iterator[VideoReader]:
    """The video that was explained, open for reading.

    Raises:
        MediaError: it cannot be read, or it is another one than was explained.
    """
    rate = None if explanation.origin is None or explanation.origin.fps is None else Fraction(explanation.origin.fps)
    with open_video(source, fps=rate) as reader:
        _require_same(explanation, reader, source)
        yield reader


def _require_same(explanation: VideoExplanation, reader: VideoReader, source: str | Path) -> None:
    if explanation.origin is not None:
        try:
            found = sampled_sha256(reader.info.files)
        except OSError as exc:
            raise MediaError(f"{str(source)!r} cannot be read ({exc.strerror}); expected the explained video") from exc
        if found != explanation.origin.content_hash:
            raise MediaError(
                f"{str(source)!r} is not the video that was explained: its content hash is {found[:12]}…, expected "
                f"{explanation.origin.content_hash[:12]}…; name the right one with --source, or explain this one"
            )
    if reader.info.size != explanation.geometry.source_size:
        raise MediaError(
            f"{str(source)!r} has frames of {reader.info.size}, not {explanation.geometry.source_size} as explained; "
            "name the right video with --source"
        )


def require_other_place(out: Path, reader: VideoReader) -> None:
    """Refuse a result that would take the place of the video it is made of, or lie among its images.

    Raises:
        OutputError: it would.
    """
    place, files = out.resolve(), [path.resolve() for path in reader.info.files]
    is_video = place in files or (place.exists() and any(path.exists() and path.samefile(place) for path in files))
    if reader.info.decoder == IMAGES:
        folder = Path(reader.info.path).resolve()
        is_video |= place == folder or (place.parent == folder and place.suffix.lower() in SUFFIXES)
    if is_video:
        raise OutputError(
            f"'{out}' is the video that is drawn, or one of its images; expected another name, as the video would be "
            "lost; choose one with -o"
        )
