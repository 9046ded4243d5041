"""Whether `-o` of `vidcam explain` names a folder or one file, and whether one file can hold the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidcam.errors import InputError
from vidcam.pipelines.explain.targets import is_above

_FILE_ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif", ".webp", ".png", ".jpg", ".jpeg", ".svg", ".pdf")
_KINDS = (("overlay",), ("map",))


def is_file(out: Path) -> bool:
    """Whether `-o` names a file: it has the ending of a video or a picture and is no folder that exists."""
    return out.suffix.lower() in _FILE_ENDINGS and not out.is_dir()


def require_one_result(file: Path, videos: Sequence[Path], given: Mapping[str, Any]) -> None:
    """Check that one MP4 holds all that is asked for.

    Raises:
        InputError: it does not; the message says what to type.
    """
    if file.suffix.lower() != ".mp4":
        raise InputError(
            f"-o {file.name}: explain writes .mp4; pass a folder, then `vidcam render FOLDER/NAME.npz -o {file.name}`"
        )
    targets, methods = given.get("targets", ()), [name for text in given.get("methods", ()) for name in text.split(",")]
    for count, things in ((len(videos), "videos"), (len(targets), "targets"), (len(methods), "methods")):
        if count > 1:
            raise InputError(f"-o names a file, but {count} {things} were given; pass a folder")
    if targets and is_above(targets[0]):
        raise InputError(f"-o names a file, but --target {targets[0]} can be several classes; pass a folder")
    outputs = given.get("outputs", _KINDS[0])
    if outputs not in _KINDS:
        raise InputError(
            f"-o names a file, but --outputs is {','.join(outputs)}; pass a folder, or one output: overlay or map"
        )
