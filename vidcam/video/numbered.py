"""Find numbered images by a pattern, as FFmpeg does: `folder/img_%05d.png`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from vidcam.errors import MediaError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")

_NUMBER = re.compile(r"%([0-9]{0,2})d")
_LAST_NUMBER = re.compile(r"(.*?)(\d{1,18})", re.ASCII | re.DOTALL)
_NAMED_HOLES = 4


def is_pattern(path: str) -> bool:
    """Return whether a file name has a placeholder such as %05d, and no file has this exact name."""
    place = Path(path)
    if "\0" in path or not _NUMBER.search(place.name.replace("%%", "")):
        return False
    try:
        return not place.exists()
    except OSError:  # too long for a path
        return False


def pattern_stem(path: str) -> str:
    """Return a name for the results: the folder of the pattern, or the text around the number."""
    place = Path(path)
    text = _NUMBER.sub("", place.stem.replace("%%", "%")).strip("_-. ")
    return place.parent.name or text or "video"


def belongs(pattern: str, name: str) -> bool:
    """Return whether a file name matches a pattern."""
    return _expression(pattern).fullmatch(name) is not None


def has_images(path: str) -> bool:
    """Return whether a path is a pattern, and images match it."""
    try:
        return is_pattern(path) and bool(numbered_images(path)[0])
    except MediaError:
        return False


def numbered_images(pattern: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """List the images of a pattern in the order of their numbers, with a sentence about missing numbers.

    Raises:
        MediaError: no file has such a name, the pattern is not one of images, or the folder cannot be listed.
    """
    place = Path(pattern)
    if place.suffix.lower() not in IMAGE_SUFFIXES:
        raise MediaError(f"{pattern!r} is not a pattern of images; end it in {', '.join(IMAGE_SUFFIXES)}")
    expression = _expression(pattern)
    try:
        paths = [path for path in place.parent.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    except OSError as exc:
        raise MediaError(f"the folder of {pattern!r} cannot be listed ({exc.strerror}); check the path") from exc
    numbered = sorted((int(match[1]), path) for path in paths if (match := expression.fullmatch(path.name)))
    if not numbered:
        raise MediaError(f"no file matches {pattern!r}; {_hint(place, paths)}")
    return tuple(path for _, path in numbered), _holes([number for number, _ in numbered])


def folder_holes(names: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence about missing numbers in file names that differ only in one number; else nothing.

    Numbers in equal steps, as in every tenth frame, have no holes.
    """
    found = [_LAST_NUMBER.fullmatch(Path(name).stem) for name in names]
    if len({None if match is None else match[1] for match in found}) != 1 or found[0] is None:
        return ()
    numbers = sorted(int(match[2]) for match in found if match is not None)
    steps = {after - before for before, after in pairwise(numbers)}
    return _holes(numbers, step=min(steps, default=1))


def _expression(pattern: str) -> re.Pattern[str]:
    """Return an expression for the names of a pattern; group 1 is the number.

    Raises:
        MediaError: the name has more than one number.
    """
    name = Path(pattern).name
    parts = _NUMBER.split(name.replace("%%", "\0"))
    if len(parts) != 3:
        raise MediaError(f"{pattern!r} has {len(parts) // 2} numbers in its name; expected one, such as img_%05d.png")
    before, width, after = parts
    digits = int(width or 1)
    number = rf"\d{{{digits}}}|[1-9]\d{{{digits},}}"
    return re.compile(f"{re.escape(before)}({number}){re.escape(after)}".replace("\0", "%"))


def _hint(place: Path, paths: Sequence[Path]) -> str:
    """Suggest the pattern with as many digits as the files have."""
    before, _, after = _NUMBER.split(place.name)
    loose = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    for path in sorted(paths):
        if match := loose.fullmatch(path.name):
            return f"the folder has {path.name!r}: use {_NUMBER.sub(f'%0{len(match[1])}d', place.name)!r}"
    return "check the folder and the name"


def _holes(numbers: Sequence[int], *, step: int = 1) -> tuple[str, ...]:
    gaps = [(before + step, after - step) for before, after in pairwise(numbers) if after > before + step]
    if not gaps:
        return ()
    named = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in gaps[:_NAMED_HOLES])
    more = f" and {len(gaps) - _NAMED_HOLES} more" if len(gaps) > _NAMED_HOLES else ""
    is_one = len(gaps) == 1 and gaps[0][0] == gaps[0][1]
    verb = "number {} is" if is_one else "numbers {} are"
    return (f"{verb.format(named + more)} missing; the images around a hole follow each other directly",)
