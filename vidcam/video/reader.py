"""Reading video: one seam, and PyAV, decord, images or frames in memory behind it.

Frames come as displayed, rotation applied, with the file's own time stamps; a reader never holds more than the frame
at hand, and goes to a key frame rather than decode from the beginning. Seconds count from the first displayed frame;
intervals are half-open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from vidcam.errors import InputError, MediaError
from vidcam.media import VideoInfo
from vidcam.system.progress import Progress, silent
from vidcam.video.animated import AnimatedReader, is_animated
from vidcam.video.array_reader import ArrayReader
from vidcam.video.arrays import frames_of_array, frames_of_list, is_array
from vidcam.video.decord_reader import DecordReader
from vidcam.video.images import ImageReader, image_files
from vidcam.video.indexed import VideoReader
from vidcam.video.lists import is_list, is_list_of_paths, listed_images
from vidcam.video.numbered import folder_holes, is_pattern, numbered_images
from vidcam.video.pyav_reader import PyAVReader
from vidcam.video.source import Located, Source, is_folder, locate

__all__ = ["DECODERS", "Decoder", "VideoReader", "frame_rate", "holds_frames", "open_video", "probe"]

MOST_FPS = 1000
MOST_DENOMINATOR = 100_000

Decoder = Literal["auto", "pyav", "decord"]
DECODERS: tuple[Decoder, ...] = ("auto", "pyav", "decord")


def frame_rate(fps: Fraction | float | None) -> Fraction | None:
    """A rate of images as a fraction: 29.97 is 2997/100.

    Raises:
        InputError: it is not above 0, or as good as 0, or above MOST_FPS.
    """
    if fps is None:
        return None
    if 0 < fps <= MOST_FPS and (rate := Fraction(fps).limit_denominator(MOST_DENOMINATOR)) > 0:
        return rate
    raise InputError(f"fps is {fps}, expected more than 0 and at most {MOST_FPS}; choose another rate")


def open_video(
    source: Source,
    *,
    fps: Fraction | None = None,
    decoder: Decoder = "auto",
    fetch: bool = False,
    is_streamed: bool = False,
    progress: Progress = silent,
) -> VideoReader:
    """Probe a video and make it readable.

    `auto` is PyAV. decord is right about few files (the module `decord_reader` says where it is refused), and where it
    is right it is faster only at reading a video from end to end; `docs/decoders.md` has the figures.

    Args:
        source: a path, an open binary file, or an address that fsspec knows ('memory://a.mp4'); a folder of images, a
            pattern ('folder/img_%05d.png') or a list of images' paths; frames (T, H, W, 3) in an array or a tensor, or
            a list of arrays or PIL images.
        fps: frames per second of images and arrays; None: 25.
        decoder: 'auto', 'pyav' or 'decord'; images and arrays need none.
        fetch: whether an http or https address is fetched into a temporary file; the user must have typed it himself.
        is_streamed: whether it is read from end to end, and not here and there; it is then decoded for that.
        progress: called while it is fetched.

    Raises:
        MediaError: the source is missing, no video, a folder without images, or cannot be decoded; or decord was asked
            for and does not read it as PyAV does.
        ShapeError: an array of another shape, type or range.
        InputError: a rate for what has one of its own, or one that is not positive; or the source is none of these.
    """
    if decoder not in DECODERS:
        raise InputError(f"--decoder is {decoder!r}; it must be one of {', '.join(DECODERS)}")
    fps = frame_rate(fps)
    if holds_frames(source):
        return _reader_of_frames(source, fps)
    located = locate(source, fetch=fetch, progress=progress)
    try:
        with located.naming():
            return _reader_of_files(located, fps, decoder, is_streamed=is_streamed)
    except BaseException:
        located.release()
        raise


def holds_frames(source: object) -> bool:
    """Return whether a source is an array or a list, which has no name and no frame rate."""
    return is_array(source) or is_list(source)


def _reader_of_frames(source: Any, fps: Fraction | None) -> VideoReader:
    if is_array(source):
        return ArrayReader(frames_of_array(source), fps=fps)
    if is_list_of_paths(source):
        return ImageReader(listed_images(source), path=None, fps=fps)
    return ArrayReader(frames_of_list(source), fps=fps)


def _reader_of_files(located: Located, fps: Fraction | None, decoder: Decoder, *, is_streamed: bool) -> VideoReader:
    path = located.path
    if located.is_local and is_pattern(path):
        files, notes = numbered_images(path)
        return ImageReader(files, path=path, fps=fps, notes=notes)
    if is_folder(path):
        files = image_files(Path(path))
        return ImageReader(files, path=path, fps=fps, notes=folder_holes([file.name for file in files]))
    if fps is not None:
        raise InputError(f"fps is for images and arrays; leave it out: {located.name!r} has its own time stamps")
    if is_animated(path):
        if decoder == "decord":
            raise MediaError(f"decord does not read {path!r}, an animated image; use --decoder auto")
        return AnimatedReader(located)
    reader = PyAVReader(path, located=located, is_streamed=is_streamed)
    if decoder != "decord":
        return reader
    with _closed_on_failure(reader):
        return DecordReader(reader)


@contextmanager
def _closed_on_failure(reader: PyAVReader) -> Iterator[None]:
    try:
        yield
    except BaseException:
        reader.close()
        raise


def probe(source: Source, *, fps: Fraction | None = None) -> VideoInfo:
    """Size, time stamps and the like of a video; see `open_video`."""
    with open_video(source, fps=fps) as reader:
        return reader.info
