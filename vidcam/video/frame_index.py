"""Find when each frame of a file is displayed, without demuxing or decoding where the container can be trusted.

Time stamps are whole numbers of the stream's time base ("ticks"). Packets that an edit list hides are not displayed.

Decoders return frames in display order. Sometimes their time stamps are not in this order. Where they start again, the
parts follow each other; where they are scrambled, they are ignored; implausible jumps are removed (`clock`). Otherwise:

* All time stamps differ (packed B-frames in AVI): the frames take the sorted time stamps.
* Time stamps repeat, and each packet gave one frame (MPEG-PS): a frame that is not later than the one before it gets
  that one's time stamp plus the nominal step.
* Time stamps repeat otherwise: such a frame is dropped.

Reading applies the same rules, so that both agree.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vidcam.errors import MediaError
from vidcam.media import ClockPiece, Seconds
from vidcam.video.clock import (
    DEFAULT_FPS,
    MAX_FRAME_SECONDS,
    Jump,
    Unwrapped,
    clock_of,
    find_jumps,
    jump_notes,
    unwrap,
)
from vidcam.video.container import media_errors, open_input, stream_notes, video_stream
from vidcam.video.mov_index import SampleIndex, read_index, rows_from_index, verified_table
from vidcam.video.packets import PacketTable, Ticks, decoded_frames, read_packets, read_table, unique_sorted
from vidcam.video.truncation import truncation_notes

_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_MATROSKA = "matroska,webm"
# In these containers a packet has the same time stamp after reading and after seeking. In MPEG-PS most packets have no
# time stamp, and FFmpeg computes a different one after a seek.
_SEEKABLE_FORMATS = (_MOV, _MATROSKA, "avi", "mpegts", "flv", "asf")

# In MOV and Matroska each frame has its own time stamp. These codecs display one frame for each packet.
_EXACT_CODECS = ("h264", "hevc", "vp9", "av1")

# In an otherwise regular video, a gap of more steps than this before a key frame is damage that the demuxer skipped.
_MIN_GAP_STEPS = 4
_REGULAR_SHARE = 0.95

# A file may be shorter than its container states by this much, because of rounding or a dropped last frame.
_LENGTH_TOLERANCE_SECONDS = Fraction(1, 4)

_USUAL_REORDERING = 4
"""Frames are displaced by at most this much, or by as much as the stream states. Otherwise the file is decoded."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """The displayed frames of one stream.

    Attributes:
        ticks: (F,) int64, strictly increasing, F >= 1; when each frame is first displayed.
        key_ticks: (G,) int64, increasing; where decoding can start. Empty: only at the beginning of the file.
        end_tick: end of the last frame's display.
        step_ticks: the nominal distance between two frames, >= 1.
        time_base: seconds in a tick.
        is_matched_by_order: whether the k-th decoded frame is the k-th of `ticks`, whatever its own time stamp is.
        gaps: half-open intervals of ticks, increasing, where no frame can be read.
        corrupt_ticks: (C,) int64, time stamps of packets that the demuxer marks as damaged.
        jumps: implausible jumps of the time stamps, increasing; they are removed.
        notes: notes for the user about the file.
        clock: how the file's own time stamps become seconds.
    """

    ticks: Ticks = field(repr=False)
    key_ticks: Ticks = field(repr=False)
    end_tick: int
    step_ticks: int
    time_base: Fraction
    is_matched_by_order: bool = False
    gaps: tuple[tuple[int, int], ...] = ()
    corrupt_ticks: Ticks = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    jumps: tuple[Jump, ...] = ()
    notes: tuple[str, ...] = ()
    clock: tuple[ClockPiece, ...] = field(default=(), repr=False)

    def seconds(self) -> Seconds:
        """Return the display times of all frames, (F,) float64, in seconds from the first displayed frame."""
        jumps = np.array([(0, 0), *self.jumps], np.int64)
        jump_count = np.searchsorted(jumps[1:, 0], self.ticks, side="right")
        elapsed = self.ticks - self.ticks[0] - np.cumsum(jumps[:, 1])[jump_count]
        return np.asarray(elapsed * self.time_base.numerator / self.time_base.denominator, np.float64)

    def second_of(self, tick: int) -> float:
        """Convert a tick to seconds from the first displayed frame."""
        return float(self._elapsed(tick) * self.time_base)

    def duration(self) -> Fraction:
        """Return the exact seconds from the start of the first frame's display to the end of the last frame's."""
        return self._elapsed(self.end_tick) * self.time_base

    def _elapsed(self, tick: int) -> int:
        return tick - int(self.ticks[0]) - sum(length for jump_tick, length in self.jumps if jump_tick <= tick)


def read_frame_index(path: str) -> tuple[FrameIndex, InputContainer | None]:
    """Find the time stamps of all displayed frames.

    They come from the index of an MP4 if the index can be trusted. Other files are demuxed completely. They are also
    decoded if their packets do not give the display times (AVI, GIF, MPEG-4, VP8, …).

    Returns:
        The frame index, and the open file if only its index was used; otherwise None.

    Raises:
        MediaError: no frame can be decoded, or the file cannot be read.
    """
    with ExitStack() as opened, media_errors(path):
        container = opened.enter_context(open_input(path))
        stream = video_stream(container, path)
        index = read_index(stream) if container.format.name == _MOV else None
        table = None
        if index is not None and (rows := rows_from_index(path, stream, index)) is not None:
            table = verified_table(rows, container, stream)
            if table is None:  # the check has moved the demuxer, so open the file again
                container = opened.enter_context(open_input(path))
                stream = video_stream(container, path)
        is_indexed = table is not None
        frame_index = _build_index(path, container, stream, table or read_table(container, stream), index)
        if is_indexed:
            opened.pop_all()
        return frame_index, container if is_indexed else None


def _build_index(
    path: str, container: InputContainer, stream: VideoStream, table: PacketTable, index: SampleIndex | None
) -> FrameIndex:
    """Build the frame index from the packets, and from decoding if the packets do not give the display times."""
    if table.is_encrypted():
        raise MediaError(f"{path!r} is encrypted; pass a decrypted copy")
    codec, format_name = stream.codec_context.codec.canonical_name, container.format.name
    time_base = stream.time_base or Fraction(1, 1000)
    step = nominal_step(path, stream.average_rate, time_base)
    times = _read_times(path, container, stream, table, step)
    ticks, unwrapped = times.ticks, times.unwrapped
    if not ticks.size:
        raise MediaError(f"no frame of {path!r} can be decoded; check that it plays")
    first, last = int(ticks[0]), int(ticks[-1])
    # FFmpeg guesses the durations of VP9 packets in MP4 from the mean frame rate, so the stream's duration is used.
    stated_end = (stream.start_time or 0) + (stream.duration or 0) if (format_name, codec) == (_MOV, "vp9") else 0
    end_tick = stated_end if stated_end > last else last + (table.duration_at(last) or step)
    end_note = _missing_end_note(
        _expected_end(container, stream, path, index), first * time_base, end_tick * time_base
    ) or truncation_notes(path, format_name)
    jumps = find_jumps(ticks, end_tick, step, time_base)
    jump_ticks = {tick for tick, _ in jumps}
    gaps: tuple[tuple[int, int], ...] = ()
    start_note: tuple[str, ...] = ()
    if unwrapped.ticks is times.own:  # else the time stamps of packets are not those of frames
        gaps = tuple(gap for gap in _find_gaps(ticks, times.failed, table.keys(), step) if gap[1] not in jump_ticks)
        start_note = _missing_start_note(table.displayed(), first, step, time_base)
    notes = (
        *stream_notes(container, stream),
        *end_note,
        *start_note,
        *unwrapped.notes,
        *jump_notes(jumps, time_base),
        *_coarse_note(stream.average_rate, time_base, is_matched_by_order=times.is_matched_by_order),
    )
    return FrameIndex(
        *(ticks, times.keys, end_tick, step, time_base, times.is_matched_by_order, gaps, table.corrupt(), jumps, notes),
        clock=clock_of(times.own, unwrapped, first=first, jumps=jumps, step=step, time_base=time_base),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """When the frames are shown, in ticks.

    Attributes:
        ticks: strictly increasing.
        keys: of the frames from which decoding can start.
        own: as the file states them.
        unwrapped: the same on one clock.
        failed: of packets that cannot be decoded.
        is_matched_by_order: whether the k-th tick belongs to the k-th decoded frame.
    """

    ticks: Ticks
    keys: Ticks
    own: Ticks
    unwrapped: Unwrapped
    failed: Ticks
    is_matched_by_order: bool


def _read_times(path: str, container: InputContainer, stream: VideoStream, table: PacketTable, step: int) -> _Times:
    """Take the times of the packets, or decode everything if they are not those of the frames."""
    codec, format_name = stream.codec_context.codec.canonical_name, container.format.name
    none = np.empty(0, np.int64)
    ticks, keys = table.displayed(), table.keys()
    is_sound = table.is_exact() and table.reordering() <= max(_USUAL_REORDERING, stream.codec_context.has_b_frames)
    if format_name in (_MOV, _MATROSKA) and codec in _EXACT_CODECS and is_sound:
        return _Times(ticks, keys, ticks, Unwrapped(ticks), none, is_matched_by_order=False)
    own, failed = _decode_ticks(path, step)
    if np.array_equal(own, ticks):
        keys = keys if format_name in _SEEKABLE_FORMATS else none
        return _Times(ticks, keys, ticks, Unwrapped(ticks), failed, is_matched_by_order=False)
    unwrapped = unwrap(own, step, is_in_order=not is_sound and format_name in (_MOV, _MATROSKA))
    is_one_to_one = own.size == table.rows.size or unwrapped.is_scrambled
    ticks, is_matched_by_order = _in_order(unwrapped.ticks, step=step if is_one_to_one else None)
    return _Times(ticks, none, own, unwrapped, failed, is_matched_by_order)


def _decode_ticks(path: str, step: int) -> tuple[Ticks, Ticks]:
    """Decode everything; return the time stamps of all frames in decoder order, and of the packets that failed."""
    failed: list[int] = []
    with open_input(path) as container, media_errors(path):
        packets = read_packets(container, video_stream(container, path))
        decoded = [tick for tick, _ in decoded_frames(packets, step, on_failure=failed.append)]
    return np.array(decoded, np.int64), np.array(failed, np.int64)


def _in_order(decoded: Ticks, *, step: int | None = None) -> tuple[Ticks, bool]:
    """Make ticks strictly increasing; return them, and whether the k-th belongs to the k-th decoded frame.

    Args:
        decoded: the ticks in decoder order.
        step: distance from the frame before, for a frame whose own tick is not later; None: this frame is dropped.
    """
    ordered = unique_sorted(decoded)
    if ordered.size == decoded.size:
        return ordered, True
    if step is not None:
        steps = step * np.arange(decoded.size)
        return np.maximum.accumulate(decoded - steps) + steps, True
    is_later = decoded[1:] > np.maximum.accumulate(decoded)[:-1]
    return decoded[np.concatenate([[True], is_later])], False


def _find_gaps(ticks: Ticks, failed: Ticks, keys: Ticks, step: int) -> tuple[tuple[int, int], ...]:
    """Find where frames are missing: around packets that cannot be decoded, and in long gaps before a key frame."""
    distances = np.diff(ticks)
    frames_before_failure = np.searchsorted(ticks, failed, side="right") - 1
    gap_indices = {
        index
        for index in frames_before_failure.tolist()
        if 0 <= index < distances.size and distances[index] > 1.5 * step
    }
    if np.count_nonzero(distances <= 1.5 * step) >= _REGULAR_SHARE * distances.size:
        long_gaps = np.flatnonzero((distances > _MIN_GAP_STEPS * step) & np.isin(ticks[1:], keys))
        gap_indices.update(long_gaps.tolist())
    return tuple((int(ticks[index]) + step, int(ticks[index + 1])) for index in sorted(gap_indices))


def _expected_end(
    container: InputContainer, stream: VideoStream, path: str, index: SampleIndex | None
) -> Fraction | None:
    """Return where the video ends according to the container, in its own seconds.

    None if the container does not state it, or if all packets in its index are there.
    """
    time_base = stream.time_base or Fraction(1, 1000)
    if index is not None:
        is_truncated = index.is_truncated(Path(path).stat().st_size)
        return ((stream.start_time or 0) + stream.duration) * time_base if is_truncated and stream.duration else None
    if container.format.name == _MATROSKA:
        return _parse_duration(stream.metadata.get("DURATION", ""))
    if container.format.name == "avi":
        return stream.frames * time_base
    return None


def _parse_duration(text: str) -> Fraction | None:
    """Convert text such as '00:01:02.5' to seconds; None if it is not of this form."""
    try:
        hours, minutes, seconds = (Fraction(part) for part in text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _coarse_note(rate: Fraction | None, time_base: Fraction, *, is_matched_by_order: bool) -> tuple[str, ...]:
    """Say if the file states more frames a second than its time stamps can tell apart."""
    if not is_matched_by_order or not rate or rate * time_base <= 1:
        return ()
    allowed = float(1 / time_base)
    return (f"the file states {float(rate):g} fps, but its time stamps allow {allowed:g}; the video is shown slower",)


def _missing_end_note(expected_end: Fraction | None, start: Fraction, end: Fraction) -> tuple[str, ...]:
    if expected_end is None or expected_end - end <= _LENGTH_TOLERANCE_SECONDS:
        return ()
    duration, expected_duration = float(end - start), float(expected_end - start)
    return (f"the file is cut short: only the first {duration:.3f} s of {expected_duration:.3f} s are there",)


def _missing_start_note(displayed: Ticks, first: int, step: int, time_base: Fraction) -> tuple[str, ...]:
    if not displayed.size or first - int(displayed[0]) <= step:
        return ()
    seconds = float((first - int(displayed[0])) * time_base)
    return (f"the first {seconds:.3f} s cannot be decoded, because no key frame comes before them",)


def nominal_step(path: str, rate: Fraction | None, time_base: Fraction) -> int:
    """Compute the distance between two frames in ticks, >= 1, from the frame rate that the file states.

    If the rate is missing or implausible, 25 frames a second are assumed.

    Raises:
        MediaError: a single tick lasts too long.
    """
    if time_base > MAX_FRAME_SECONDS:
        raise MediaError(
            f"the time base of {path!r} is {float(time_base):.3g} s, the limit is {MAX_FRAME_SECONDS} s; "
            "repair or re-encode the file"
        )
    is_plausible = rate and rate * MAX_FRAME_SECONDS >= 1
    return max(1, round(1 / ((rate if is_plausible else None) or DEFAULT_FPS) / time_base))
