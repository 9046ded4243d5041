"""A saved explanation opened again: its maps and the very film that they were made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from vidcam.errors import MediaError, OutputError
from vidcam.results.io import load
from vidcam.results.video import Film
from vidcam.system.filenames import relative_path
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.images import IMAGES, SUFFIXES
from vidcam.video.reader import VideoReader, open_video


def open_saved(path: Path, source: str | Path | None) -> tuple[Film, str | Path]:
    """The maps and where their film lies.

    Args:
        path: what `explain` saved, an .npz.
        source: the film, where it is not where `explain` read it; an address for fsspec, too.

    Raises:
        MediaError: no saved explanation, or its film is not there.
    """
    film = load(path)
    if not isinstance(film, Film):
        raise MediaError(
            f"{path} holds an explanation of clips, expected one of a video; choose one that explain wrote"
        )
    if source is not None:
        return film, source
    if film.origin is None:
        raise MediaError(
            f"{path.name} does not say where its film {film.source!r} lies; name it with --source (in Python source=)"
        )
    origin = film.origin
    for candidate in (*([Path(origin.path)] if origin.is_local else []), path.parent / film.source):
        if candidate.exists():
            return film, candidate
    stated = relative_path(Path(origin.path), path.parent) if origin.is_local else origin.path
    raise MediaError(
        f"the film {film.source!r} is no longer at {stated!r}, where {path.name} expects it; name it with --source "
        "(in Python source=)"
    )


@contextmanager
def opened_source(film: Film, source: str | Path) -> Iterator[VideoReader]:
    """The film that was explained, open for reading.

    Raises:
        MediaError: it cannot be read, or it is another one than was explained.
    """
    rate = None if film.origin is None or film.origin.fps is None else Fraction(film.origin.fps)
    with open_video(source, fps=rate) as reader:
        _require_same(film, reader, source)
        yield reader


def _require_same(film: Film, reader: VideoReader, source: str | Path) -> None:
    if film.origin is not None:
        try:
            found = sampled_sha256(reader.info.files)
        except OSError as exc:
            raise MediaError(f"{str(source)!r} cannot be read ({exc.strerror}); expected the explained film") from exc
        if found != film.origin.content_hash:
            raise MediaError(
                f"{str(source)!r} is not the film that was explained: its content hash is {found[:12]}…, expected "
                f"{film.origin.content_hash[:12]}…; name the right one with --source, or explain this one"
            )
    if reader.info.size != film.geometry.source_size:
        raise MediaError(
            f"{str(source)!r} has frames of {reader.info.size}, the explained film had {film.geometry.source_size}; "
            "name the right one with --source, or explain this one"
        )


def require_other_place(out: Path, reader: VideoReader) -> None:
    """Refuse a result that would take the place of the film it is made of, or lie among its images.

    Raises:
        OutputError: it would.
    """
    place, files = out.resolve(), [path.resolve() for path in reader.info.files]
    is_film = place in files or (place.exists() and any(path.exists() and path.samefile(place) for path in files))
    if reader.info.decoder == IMAGES:
        folder = Path(reader.info.path).resolve()
        is_film |= place == folder or (place.parent == folder and place.suffix.lower() in SUFFIXES)
    if is_film:
        raise OutputError(
            f"'{out}' is the film that is drawn, or one of its images; expected another name, as the film would be "
            "lost; choose one with -o"
        )
