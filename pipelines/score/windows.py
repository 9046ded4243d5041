"""The windows of a clip that are scored: the central one, N spread over the video, or all that `explain` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vidcam.errors import InputError
from vidcam.media import VideoInfo
from vidcam.pipelines.score.clips import Entry
from vidcam.sampling import Window, central_start, plan_windows, spread_windows
from vidcam.spec import ModelSpec
from vidcam.video.images import IMAGES

WindowChoice = Literal["central", "all"] | int
MOST_WINDOWS = 10_000


def window_choice(value: str | int, *, has_maps: bool = False) -> WindowChoice:
    """Return `central`, `all`, or a number of windows from 2 on; one window is the central one.

    Raises:
        InputError: anything else; or several windows with maps of other tools, which have one map for each clip.
    """
    text = str(value).strip()
    if has_maps and text not in {"central", "1"}:
        raise InputError(f"--maps has one map for each clip: it needs --windows central, not {text:.80}")
    if text in {"central", "1"}:
        return "central"
    if text == "all":
        return "all"
    if text.isascii() and text.isdigit() and 1 < int(text[:6]) <= MOST_WINDOWS:
        return int(text)
    raise InputError(f"--windows is {text!r:.80}; it must be central, all or a number from 1 to {MOST_WINDOWS}")


def windows_of(entry: Entry, info: VideoInfo, spec: ModelSpec, choice: WindowChoice) -> Sequence[Window]:
    """Plan the windows of a clip, at least one; a clip with a start has one window.

    `all` are the windows that `explain` shows the model without further options.
    """
    fps = None if spec.frames == 1 and info.decoder == IMAGES else spec.fps
    if entry.start_seconds is None and choice == "all":
        return plan_windows(info, frames=spec.frames, fps=fps)
    if entry.start_seconds is None and isinstance(choice, int):
        return spread_windows(info, choice, frames=spec.frames, fps=fps)
    start = central_start(info, frames=spec.frames, fps=fps) if entry.start_seconds is None else entry.start_seconds
    return plan_windows(info, frames=spec.frames, fps=fps, clip_start_seconds=start)
