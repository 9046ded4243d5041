"""The folders of a set's videos, to which the page of the set links."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from vidcam.pipelines.report.videos import address_of
from vidcam.system.filenames import relative_path
from vidcam.video.source import is_address


@dataclass(frozen=True, slots=True)
class VideoFolders:
    """The folder of each clip's video. Clips after each other whose videos lie in one folder are one run.

    Attributes:
        starts: index of the first clip of each run, increasing.
        folders: folder of each run, relative to the page; empty for videos from the network.
    """

    starts: tuple[int, ...] = ()
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, sources: Iterable[str], beside: Path, *, first: int = 0) -> VideoFolders:
        """Return the folders of videos, for a page in the folder `beside`; `first` is the index of the first clip."""

        @cache
        def relative(parent: Path) -> str:
            return relative_path(parent, beside)

        names = ("" if is_address(source) else relative(Path(source).parent) for source in sources)
        return cls._of_runs(enumerate(names, start=first))

    @classmethod
    def joined(cls, parts: Iterable[VideoFolders]) -> VideoFolders:
        """Join the folders of clips that follow each other."""
        return cls._of_runs(run for part in parts for run in zip(part.starts, part.folders, strict=True))

    @classmethod
    def _of_runs(cls, entries: Iterable[tuple[int, str]]) -> VideoFolders:
        runs = [next(same) for _, same in groupby(entries, key=itemgetter(1))]
        return cls(tuple(start for start, _ in runs), tuple(name for _, name in runs))

    def moved(self, old: Path, new: Path) -> VideoFolders:
        """Return the same folders for a page that moves from one folder to another."""
        return replace(self, folders=tuple(name and relative_path(old / name, new) for name in self.folders))

    def link(self, clip: int) -> str | None:
        """Return the address of the folder of a clip's video; None if it is not known."""
        name = self.folders[bisect_right(self.starts, clip) - 1] if self.starts else ""
        return address_of(name) if name else None
