"""What the page of a study holds, and what only its key says: the page names no method, no file and no true class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vidcam.errors import InputError
from vidcam.pipelines.report.content import PageClip
from vidcam.pipelines.trust.design import NO_MAP, Item
from vidcam.system.json_files import read_json

KEY_ENDING = ".key.json"


@dataclass(frozen=True, slots=True)
class StudyData:
    """The page of a study.

    Attributes:
        title: of the page.
        version: of vidcam.
        study: name of the study; an answer says to which one it belongs.
        clips: the clips, without names. The method of a map is a number.
        items: the questions; a map is its place in the clip, and a map beside its shuffled one looks like any pair.
        forms: see `design.Design`.
        palettes: name → base64 of 256 × 3 bytes.
    """

    title: str
    version: str
    study: str
    clips: tuple[PageClip, ...]
    items: tuple[Item, ...]
    forms: tuple[tuple[int, ...], ...]
    palettes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeyClip:
    """A clip of the study.

    Attributes:
        name: file name of the video.
        says: the class that the model says.
        label: the true class; None if it is not known.
    """

    name: str
    says: str
    label: str | None

    @property
    def is_right(self) -> bool | None:
        """Whether the model is right; None if the true class is not known."""
        return None if self.label is None else self.label.casefold() == self.says.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyKey:
    """What it takes to read the answers of a study.

    Attributes:
        study: name of the study.
        title: of the page.
        version: of vidcam.
        seed: of all random choices.
        methods: name of each method, by its number.
        clips: the clips.
        items: the questions.
        forms: see `design.Design`.
    """

    schema: int = 1
    study: str
    title: str
    version: str
    seed: int
    methods: tuple[str, ...]
    clips: tuple[KeyClip, ...]
    items: tuple[Item, ...]
    forms: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for item in self.items:
            maps = {item.left, item.right}
            if not 0 <= item.clip < len(self.clips) or not all(-2 <= k < len(self.methods) for k in maps):
                raise ValueError(f"{item} is not of this study")
        if any(not 0 <= code < 2 * len(self.items) for form in self.forms for code in form):
            raise ValueError("a form names a question that does not exist")

    def method(self, index: int) -> str:
        """Return the name of a method; '' for the video alone."""
        return self.methods[index] if index != NO_MAP else ""


def read_key(path: Path) -> StudyKey:
    """Read the key of a study.

    Raises:
        InputError: the file does not exist, or is no key.
    """
    try:
        return read_json(path, StudyKey)
    except FileNotFoundError:
        raise InputError(f"the key {path} does not exist; `vidcam study make` wrote it beside the page") from None
