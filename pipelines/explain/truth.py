"""The true classes of videos: from a manifest as `score` reads it, or from the names of their folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.pipelines.score.clips import read_clips

FOLDERS = "folders"


@dataclass(frozen=True, slots=True)
class Truth:
    """The labels of videos.

    Attributes:
        labels: resolved path → label; None: a video's label is the name of its folder.
    """

    labels: Mapping[Path, str] | None

    @classmethod
    def read(cls, text: str) -> Truth:
        """Read a manifest with the columns `path` and `label`, or take 'folders'.

        Raises:
            InputError: the manifest cannot be read, or has no labels, or two for one video.
        """
        if text == FOLDERS:
            return cls(None)
        labels: dict[Path, str] = {}
        for entry in read_clips(text, out=Path(), addresses=True).entries:
            if entry.label and labels.setdefault(Path(entry.source).resolve(), entry.label) != entry.label:
                raise InputError(f"--truth has two labels for {entry.name!r}; keep one of them")
        if not labels:
            raise InputError(f"--truth {text} has no labels; it needs the columns path and label")
        return cls(labels)

    def label_of(self, video: Path) -> str:
        """Return the label of a video.

        Raises:
            InputError: the manifest does not name the video.
        """
        if self.labels is None:
            return video.resolve().parent.name
        label = self.labels.get(video.resolve())
        if label is None:
            raise InputError(f"--truth has no label for {video.name!r}; add a row for it")
        return label


def true_index(model: Model, label: str) -> int:
    """Return the class of a label; in the name of a folder, `_` may stand for a space.

    Raises:
        NameNotFoundError: the model has no such class.
    """
    known = {name.casefold() for name in model.labels}
    spaced = label.replace("_", " ")
    return model.label_index(spaced if label.casefold() not in known and spaced.casefold() in known else label)
