"""When each frame of a file is displayed, found without demuxing or decoding where the container can be trusted.

Time stamps are whole numbers of the stream's time base ("ticks"). Packets that an edit list hides are not displayed.
Decoders hand out frames in the order of display. Where their time stamps are in another order (packed B-frames in
AVI), the frames take the sorted time stamps. Where time stamps repeat, a frame that does not lie after the last one
follows it by the usual distance if each packet gave one frame (MPEG-PS), and is dropped otherwise. Reading does the
same, so that both agree.

A damaged number makes a frame stand still for years. A frame is not meant to be on display for longer than
LONGEST_STILL_SECONDS and STILL_SHARE times as long as all that are not, nor for longer than LONE_STILL_SECONDS and
STILL_SHARE times as long as all others together. It is shown for one usual step instead, as players go on at a jump;
what follows moves up, and this is said. So the length of a video is bounded by its number of frames.
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
from vidcam.media import Seconds
from vidcam.video.container import media_errors, open_input, stream_notes, video_stream
from vidcam.video.extent import extent_notes
from vidcam.video.mov_index import SampleIndex, confirmed_table, indexed_rows, read_index
from vidcam.video.packets import PacketTable, Ticks, decoded_frames, distinct, read_packets, read_table

_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_MATROSKA = "matroska,webm"
# Containers in which a packet has the same time stamp whether it was reached by reading or by seeking. In MPEG-PS most
# packets have none of their own, and what FFmpeg makes up for them after a seek is another.
_SEEKABLE_FORMATS = (_MOV, _MATROSKA, "avi", "mpegts", "flv", "asf")

# In MOV and Matroska each frame has its own time stamp; these codecs display one frame for each packet.
_EXACT_CODECS = ("h264", "hevc", "vp9", "av1")

# A gap of so many frames in an otherwise regular video, before a key frame, is damage that the demuxer skipped.
_HOLE_STEPS = 4
_REGULAR_SHARE = 0.95

# How much of its announced length a file may lack before it counts as cut short: rounding and a dropped last frame.
_SHORTFALL_SECONDS = Fraction(1, 4)

LONGEST_STILL_SECONDS = 600
LONE_STILL_SECONDS = 60
STILL_SHARE = 10

_USUAL_FPS = Fraction(25)

Skip = tuple[int, int]
"""The tick of a frame before which time is left out, and how many ticks."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """The displayed frames of one stream.

    Attributes:
        ticks: (F,) int64, strictly increasing, F >= 1; when each frame is first displayed.
        key_ticks: (G,) int64, increasing; where decoding can start. Empty: only at the beginning of the file.
        end_tick: when the last frame's display ends.
        step_ticks: the usual distance of two frames, >= 1.
        time_base: seconds in a tick.
        is_counted: whether the k-th decoded frame is the k-th of `ticks`, whatever its own time stamp says.
        gaps: half-open intervals of ticks, increasing, of which no picture can be read.
        corrupt_ticks: (C,) int64, time stamps of packets that the demuxer calls damaged.
        skips: increasing; time that is left out, as no frame can be meant to be displayed for so long.
        notes: sentences about the file.
    """

    ticks: Ticks = field(repr=False)
    key_ticks: Ticks = field(repr=False)
    end_tick: int
    step_ticks: int
    time_base: Fraction
    is_counted: bool = False
    gaps: tuple[tuple[int, int], ...] = ()
    corrupt_ticks: Ticks = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    skips: tuple[Skip, ...] = ()
    notes: tuple[str, ...] = ()

    def seconds(self) -> Seconds:
        """(F,) float64, counted from the first displayed frame."""
        skips = np.array([(0, 0), *self.skips], np.int64)
        passed = np.searchsorted(skips[1:, 0], self.ticks, side="right")
        elapsed = self.ticks - self.ticks[0] - np.cumsum(skips[:, 1])[passed]
        return np.asarray(elapsed * self.time_base.numerator / self.time_base.denominator, np.float64)

    def second_of(self, tick: int) -> float:
        """A tick, counted in seconds from the first displayed frame."""
        return float(self._elapsed(tick) * self.time_base)

    def duration(self) -> Fraction:
        """Exact seconds from the first frame's display to the end of the last one's."""
        return self._elapsed(self.end_tick) * self.time_base

    def _elapsed(self, tick: int) -> int:
        return tick - int(self.ticks[0]) - sum(length for skip, length in self.skips if skip <= tick)


def read_frame_index(path: str) -> tuple[FrameIndex, InputContainer | None]:
    """Find the time stamps of all displayed frames.

    Takes them from the index of an MP4 that is as it should be, demuxes the whole stream of others, and decodes it as
    well where packets alone do not tell (AVI, GIF, MPEG-4, VP8, …).

    Returns:
        The time stamps, and the open file where it is as good as new: it can seek to all key frames.

    Raises:
        MediaError: no frame can be decoded, or the file cannot be read.
    """
    with ExitStack() as opened, media_errors(path):
        container = opened.enter_context(open_input(path))
        stream = video_stream(container, path)
        index = read_index(stream) if container.format.name == _MOV else None
        table = None
        if index is not None and (rows := indexed_rows(path, stream, index)) is not None:
            table = confirmed_table(rows, container, stream)
            if table is None:  # and the file stands somewhere else by now
                container = opened.enter_context(open_input(path))
                stream = video_stream(container, path)
        is_indexed = table is not None
        frame_index = _index_of(path, container, stream, table or read_table(container, stream), index)
        if is_indexed:
            opened.pop_all()
        return frame_index, container if is_indexed else None


def _index_of(
    path: str, container: InputContainer, stream: VideoStream, table: PacketTable, index: SampleIndex | None
) -> FrameIndex:
    """What the packets of an open file tell, and decoding it where they do not tell."""
    if table.is_encrypted():
        raise MediaError(f"{path!r} is encrypted; expected a video that needs no key; pass a decrypted copy")
    codec, layout = stream.codec_context.codec.canonical_name, container.format.name
    time_base = stream.time_base or Fraction(1, 1000)
    step = usual_step(path, stream.average_rate, time_base)
    ticks, keys, is_counted, failed = table.displayed(), table.keys(), False, np.empty(0, np.int64)
    if not (layout in (_MOV, _MATROSKA) and codec in _EXACT_CODECS and table.is_exact()):
        decoded, failed = _decode_ticks(path, step)
        if layout not in _SEEKABLE_FORMATS:
            keys = np.empty(0, np.int64)
        if not np.array_equal(decoded, ticks):
            ticks, is_counted = _in_order(decoded, step=step if decoded.size == table.rows.size else None)
            keys = np.empty(0, np.int64)
    if not ticks.size:
        raise MediaError(f"no frame of {path!r} can be decoded; expected a video; check that it plays")
    last = int(ticks[-1])
    is_unsaid = layout == _MOV and codec == "vp9"  # FFmpeg guesses its packets' durations by the mean rate
    stated_end = (stream.start_time or 0) + (stream.duration or 0) if is_unsaid else 0
    end_tick = stated_end if stated_end > last else last + (table.duration_at(last) or step)
    announced = _announced_end(container, stream, path, index)
    notes = stream_notes(container, stream)
    notes += _shortfall_note(announced, int(ticks[0]) * time_base, end_tick * time_base) or extent_notes(path, layout)
    notes += _lost_beginning_note(table.displayed(), int(ticks[0]), step, time_base)
    skips = find_skips(ticks, end_tick, step, time_base)
    closed = {tick for tick, _ in skips}
    gaps = tuple(gap for gap in _gaps(ticks, failed, table.keys(), step) if gap[1] not in closed)
    notes += skip_notes(skips, time_base)
    return FrameIndex(ticks, keys, end_tick, step, time_base, is_counted, gaps, table.corrupt(), skips, notes)


def _decode_ticks(path: str, step: int) -> tuple[Ticks, Ticks]:
    """The time stamps of all frames, in the order in which the decoder hands them out, and of what it cannot decode."""
    failed: list[int] = []
    with open_input(path) as container, media_errors(path):
        packets = read_packets(container, video_stream(container, path))
        decoded = [tick for tick, _ in decoded_frames(packets, step, on_failure=failed.append)]
    return np.array(decoded, np.int64), np.array(failed, np.int64)


def _in_order(decoded: Ticks, *, step: int | None = None) -> tuple[Ticks, bool]:
    """Strictly increasing ticks, and whether the k-th of them belongs to the k-th decoded frame.

    Args:
        decoded: in the order of decoding.
        step: how far a frame follows the one before where its own tick does not; None: it is dropped.
    """
    ordered = distinct(decoded)
    if ordered.size == decoded.size:
        return ordered, True
    if step is not None:
        steps = step * np.arange(decoded.size)
        return np.maximum.accumulate(decoded - steps) + steps, True
    is_later = decoded[1:] > np.maximum.accumulate(decoded)[:-1]
    return decoded[np.concatenate([[True], is_later])], False


def _gaps(ticks: Ticks, failed: Ticks, keys: Ticks, step: int) -> tuple[tuple[int, int], ...]:
    """Where frames are missing: around packets that cannot be decoded, and holes before a key frame."""
    distances = np.diff(ticks)
    after_failure = np.searchsorted(ticks, failed, side="right") - 1
    suspects = {
        index for index in after_failure.tolist() if 0 <= index < distances.size and distances[index] > 1.5 * step
    }
    if np.count_nonzero(distances <= 1.5 * step) >= _REGULAR_SHARE * distances.size:
        holes = np.flatnonzero((distances > _HOLE_STEPS * step) & np.isin(ticks[1:], keys))
        suspects.update(holes.tolist())
    return tuple((int(ticks[index]) + step, int(ticks[index + 1])) for index in sorted(suspects))


def _announced_end(
    container: InputContainer, stream: VideoStream, path: str, index: SampleIndex | None
) -> Fraction | None:
    """Where the container says that the pictures end, in its own seconds, if it says so and may lack the data."""
    time_base = stream.time_base or Fraction(1, 1000)
    if index is not None:
        is_cut = index.is_cut(Path(path).stat().st_size)
        return ((stream.start_time or 0) + stream.duration) * time_base if is_cut and stream.duration else None
    if container.format.name == _MATROSKA:
        return _clock_seconds(stream.metadata.get("DURATION", ""))
    if container.format.name == "avi":
        return stream.frames * time_base
    return None


def _clock_seconds(text: str) -> Fraction | None:
    """'00:01:02.5' in seconds."""
    try:
        hours, minutes, seconds = (Fraction(part) for part in text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _shortfall_note(announced: Fraction | None, start: Fraction, end: Fraction) -> tuple[str, ...]:
    if announced is None or announced - end <= _SHORTFALL_SECONDS:
        return ()
    there, promised = float(end - start), float(announced - start)
    return (f"the file is cut short: it announces {promised:.3f} s, of which the first {there:.3f} s are there",)


def _lost_beginning_note(displayed: Ticks, first: int, step: int, time_base: Fraction) -> tuple[str, ...]:
    if not displayed.size or first - int(displayed[0]) <= step:
        return ()
    seconds = float((first - int(displayed[0])) * time_base)
    return (f"the video starts in the middle: {seconds:.3f} s before the first key frame cannot be decoded",)


def usual_step(path: str, rate: Fraction | None, time_base: Fraction) -> int:
    """The distance of two frames by the rate that the file claims, >= 1; of 25 a second where that cannot be meant.

    Raises:
        MediaError: a single tick lasts too long.
    """
    if time_base > LONGEST_STILL_SECONDS:
        raise MediaError(
            f"the clock of {path!r} ticks every {float(time_base):.3g} s, expected at most {LONGEST_STILL_SECONDS} s; "
            "the file is damaged, so repair or re-encode it"
        )
    is_meant = rate and rate * LONGEST_STILL_SECONDS >= 1
    return max(1, round(1 / ((rate if is_meant else None) or _USUAL_FPS) / time_base))


def find_skips(ticks: Ticks, end_tick: int, step: int, time_base: Fraction) -> tuple[Skip, ...]:
    """Where frames stand still for too long, the last one too.

    Args:
        ticks: (F,) int64, strictly increasing.
        end_tick: where the last frame's display ends.
        step: the usual distance of two frames.
        time_base: seconds in a tick.
    """
    ends = np.append(ticks[1:], end_tick)
    distances = ends - ticks
    seconds = distances * float(time_base)
    others = seconds.sum() - seconds
    normal = seconds[seconds <= LONGEST_STILL_SECONDS].sum()
    too_long = (seconds > LONGEST_STILL_SECONDS) & (seconds > STILL_SHARE * normal)
    too_long |= (seconds > LONE_STILL_SECONDS) & (seconds > STILL_SHARE * others)
    shown = step if step * time_base <= LONE_STILL_SECONDS else max(1, round(1 / _USUAL_FPS / time_base))
    return tuple(zip(ends[too_long].tolist(), (distances[too_long] - shown).tolist(), strict=True))


def skip_notes(skips: tuple[Skip, ...], time_base: Fraction) -> tuple[str, ...]:
    """What there is to say, as sentences without a full stop."""
    if not skips:
        return ()
    frames = f"{len(skips)} frames claim" if len(skips) > 1 else "one frame claims"
    longest, total = (float(reduce(length for _, length in skips) * time_base) for reduce in (max, sum))
    claim = f"{frames} to be displayed for up to {longest:.3g} s, which cannot be meant"
    return (f"{claim}; {total:.3g} s of standing still are left out",)
