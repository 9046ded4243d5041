"""Whether the files of a set are still those that were scored; see `system.fingerprint.source_mark`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from vidcam.errors import OutputError
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.store import Parts
from vidcam.system.fingerprint import source_mark


def require_unchanged(parts: Parts, entries: Sequence[Entry]) -> None:
    """Refuse a set of which a file is another one than when it was scored; one that is gone is not looked for.

    Raises:
        OutputError: the first such file.
    """
    mark = lru_cache(maxsize=4096)(source_mark)  # windows of one film are many clips
    for clip, content in parts.contents():
        now = mark(entries[clip].source)
        if now and now != content:
            raise OutputError(
                f"{entries[clip].name} is not the file that was scored: its content has changed, expected the same "
                f"clips to go on; put it back, choose another folder with -o, or pass --overwrite to begin anew"
            )
