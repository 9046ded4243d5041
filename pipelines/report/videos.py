"""Which videos a page may play: the source, in the page or beside it, a copy of it, or the overlays that are there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.render.videos import stream_frames, video_writer
from vidcam.pipelines.report.content import PageVideo
from vidcam.pipelines.report.facts import Facts
from vidcam.system.atomic import require_writable
from vidcam.system.filenames import relative_path
from vidcam.system.progress import Progress, StageTimer
from vidcam.video.reader import VideoReader

MOST_EMBEDDED = 20_000_000
"""Largest video in bytes that is put into a page."""

_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
_PLAYED = {
    "h264": {"yuv420p", "yuvj420p"},
    "vp8": {"yuv420p"},
    "vp9": {"yuv420p"},
    "av1": {"yuv420p", "yuv420p10le"},
}
"""Codec → stored pixels that every current browser plays, or tells that it does not."""


@dataclass(slots=True)
class Media:
    """The videos of a page.

    Attributes:
        out: the page.
        most_bytes: a larger video is linked.
        overwrite: whether a copy of a video beside the page is replaced.
        embedded: the bytes that the page holds: `id` of an element → base64.
    """

    out: Path
    most_bytes: int = MOST_EMBEDDED
    overwrite: bool = False
    embedded: dict[str, str] = field(default_factory=dict)

    def source(self, info: VideoInfo) -> PageVideo | None:
        """Return the source as the page plays it; None if no browser does."""
        path = Path(info.path)
        if path.suffix.lower() not in _TYPES or not info.is_local or len(info.files) != 1:
            return None
        kind = _TYPES[path.suffix.lower()]
        if is_playable(info) and path.stat().st_size <= self.most_bytes:
            return PageVideo("source", "", self._embed(path), kind)
        return PageVideo("source", link(path, self.out.parent), "", kind)

    def overlays(self, facts: Facts | None, beside: Path, *, starts: float) -> tuple[PageVideo, ...]:
        """List the overlay videos that the JSON in the folder `beside` names; they start at a second of the source."""
        named = [] if facts is None else facts.overlays()
        return tuple(
            PageVideo("overlay", link(beside / name, self.out.parent), "", "video/mp4", starts, (label, method))
            for label, method, name in named
        )

    def copy(self, reader: VideoReader, stamps: Seconds, end: float, *, progress: Progress) -> PageVideo:
        """Make an H.264 copy of the explained part, frame for frame; in the page if it is small, else beside it.

        The time stamps of the frames are (F,). A copy beside the page is called `<stem>_proxy.mp4`.
        """

        def draw(_second: float, frame: Frames) -> Generator[Frames, None, None]:
            yield frame

        info, start = reader.info, float(stamps[0])
        with TemporaryDirectory(prefix="vidcam-", dir=self.out.parent) as folder:
            copy = Path(folder) / "proxy.mp4"
            writer = partial(video_writer, copy, info, (start, end), size=info.size)
            stream_frames(reader, stamps, [writer], draw, clock=StageTimer(), progress=progress)
            if copy.stat().st_size <= self.most_bytes:
                return PageVideo("proxy", "", self._embed(copy), "video/mp4", start)
            place = self.out.with_name(f"{self.out.stem}_proxy.mp4")
            require_writable(place, overwrite=self.overwrite)
            copy.replace(place)
        return PageVideo("proxy", link(place, self.out.parent), "", "video/mp4", start)

    def _embed(self, path: Path) -> str:
        """Put a file into the page; returns the `id` of its element."""
        text = b64encode(path.read_bytes()).decode("ascii")
        known = next((name for name, other in self.embedded.items() if other == text), None)
        name = known or f"video-{len(self.embedded)}"
        self.embedded[name] = text
        return name


def is_playable(info: VideoInfo) -> bool:
    """Tell whether a browser plays the file, as far as its name, codec and pixels tell."""
    known = Path(info.path).suffix.lower() in _TYPES and len(info.files) == 1
    return known and info.is_local and info.pixel_format in _PLAYED.get(info.codec, set())


def link(path: Path, folder: Path) -> str:
    """Return the address of a file relative to a folder; it never reads as an address with a scheme."""
    return address_of(relative_path(path, folder))


def address_of(relative: str) -> str:
    """Return the address of a relative path."""
    address = quote(relative, safe="/")
    return address if address.startswith("../") else f"./{address}"


def video_note(info: VideoInfo | None, videos: Sequence[PageVideo]) -> str:
    """Write what the page should say about its video; '' if the source is played."""
    kinds = [video.kind for video in videos]
    if info is not None and (is_playable(info) or "proxy" in kinds):
        return ""
    what = "The video was not at hand" if info is None else f"Browsers may not play this video ({info.codec})"
    shown = "the overlay is shown instead" if "overlay" in kinds else "only the heat is shown"
    return f"{what}: {shown}." + ("" if info is None else " vidcam report --proxy makes a copy that they play.")
