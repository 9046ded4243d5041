"""Batches of a video: the model's input against an independent loop, one decoding, and flat memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.clips import frames_of, model_input
from tests.helpers.videos import Frames, noise_frames
from vidcam.geometry import three_crops, union
from vidcam.media import Seconds
from vidcam.pipelines.windows import batches, timeline, window_tensors
from vidcam.preprocess import crop_frames
from vidcam.sampling import Window, plan_windows
from vidcam.spec import ModelSpec, Scaling
from vidcam.video.array_reader import ArrayReader
from vidcam.video.arrays import frames_of_array

SPEC = ModelSpec(
    name="small",
    frames=8,
    fps=Fraction(25, 2),
    resize=20,
    crop_size=(16, 16),
    scaling=Scaling(mean=(10.0, 100.0, 200.0), std=(1.0, 2.0, 4.0), channels="bgr"),
    classes=2,
    layer=None,
)


class Reel(ArrayReader):
    """A reader of frames in memory that records the requested times."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames_of_array(frames), fps=Fraction(25))
        self.asked: list[float] = []

    def frames_at(self, seconds: Seconds) -> Iterator[tuple[float, Frames]]:
        for second, frame in zip(seconds.tolist(), super().frames_at(seconds), strict=True):
            self.asked.append(second)
            yield frame


def _plan(reel: Reel, spec: ModelSpec = SPEC, **options: Any) -> tuple[Window, ...]:
    return plan_windows(reel.info, frames=spec.frames, fps=spec.fps, **options)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_each_window_equals_reading_it_alone(overlap: float) -> None:
    reel = Reel(noise_frames(53, 24, 32))
    windows = _plan(reel, overlap=overlap)
    tensors = list(window_tensors(reel, windows, SPEC, SPEC.geometry(reel.info.size)))
    assert len(tensors) == len(windows) > 2
    for window, tensor in zip(windows, tensors, strict=True):
        alone = model_input(frames_of(reel, window.times)[0], SPEC)[0]
        torch.testing.assert_close(tensor, alone, rtol=0, atol=0)


def test_scaling_by_hand() -> None:
    """RGB (50, 60, 70) is BGR (70, 60, 50) to this model: (70 - 10) / 1, (60 - 100) / 2, (50 - 200) / 4."""
    frames = np.broadcast_to(np.array([50, 60, 70], np.uint8), (20, 16, 16, 3)).copy()
    reel = Reel(frames)
    spec = replace(SPEC, resize=16)
    tensors = list(window_tensors(reel, _plan(reel, spec), spec, spec.geometry((16, 16))))
    assert [tensor.shape for tensor in tensors] == [(3, 8, 16, 16)] * len(tensors)
    for tensor in tensors:
        assert tensor.dtype == torch.float32
        assert [float(channel.unique()) for channel in tensor] == [60.0, -20.0, -37.5]


def test_overlapping_windows_decode_each_frame_once_and_in_order() -> None:
    reel = Reel(noise_frames(90, 20, 20))
    windows = _plan(reel, overlap=0.75)
    assert len(list(window_tensors(reel, windows, SPEC, SPEC.geometry(reel.info.size)))) == len(windows)
    assert reel.asked == sorted(set(np.concatenate([window.times for window in windows]).tolist()))


def test_a_frame_that_fills_several_slots_is_decoded_once() -> None:
    reel = Reel(noise_frames(3, 20, 20))
    (window,) = _plan(reel)
    (tensor,) = window_tensors(reel, [window], SPEC, SPEC.geometry(reel.info.size))
    assert len(reel.asked) == len(set(window.times.tolist())) < 8
    torch.testing.assert_close(tensor, model_input(frames_of(reel, window.times)[0], SPEC)[0], rtol=0, atol=0)


def test_memory_does_not_grow_with_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[weakref.ref[Tensor]] = []

    def tagged(*arguments: Any, device: torch.device) -> list[Tensor]:
        frame = crop_frames(*arguments, device=device)[0]
        born.append(weakref.ref(frame))
        return [frame]

    monkeypatch.setattr("vidcam.pipelines.windows.crop_frames", tagged)
    reel = Reel(noise_frames(300, 16, 16))
    spec = replace(SPEC, resize=16)
    windows = _plan(reel, spec, overlap=0.5)
    alive = [
        sum(frame() is not None for frame in born)
        for _ in window_tensors(reel, windows, spec, spec.geometry(reel.info.size))
    ]
    assert len(born) > 140
    assert max(alive) <= 8 + 1  # the frames of one window, and the loop's own name for the newest


def test_frames_are_not_decoded_before_their_window_is_requested() -> None:
    reel = Reel(noise_frames(100, 16, 16))
    windows = _plan(reel)
    tensors = window_tensors(reel, windows, SPEC, SPEC.geometry(reel.info.size))
    next(tensors)
    assert reel.asked == windows[0].times.tolist()


def test_the_last_batch_has_the_remaining_windows() -> None:
    reel = Reel(noise_frames(75, 20, 20))
    windows = _plan(reel)
    geometry = SPEC.geometry(reel.info.size)
    parts = list(batches(reel, windows, SPEC, geometry, size=4))
    assert [list(indices) for indices, _ in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert [len(tensor) for _, tensor in parts] == [4, 4, 1]
    together = torch.cat([tensor for _, tensor in parts])
    one_by_one = torch.stack(list(window_tensors(reel, windows, SPEC, geometry)))
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(20, 90), (90, 20), (24, 40)])
def test_crops_of_a_window_are_cut_from_the_same_frames(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each crop equals reading it alone, and the middle one the centre crop; a frame is decoded and resized once."""
    resized: list[int] = []

    def counted(frames: Frames, *arguments: Any, **options: Any) -> Tensor:
        resized.append(len(frames))
        return crop_frames(frames, *arguments, **options)

    reel = Reel(noise_frames(53, *size))
    windows, centre = _plan(reel, overlap=0.5), SPEC.geometry(size)
    crops = three_crops(centre)
    alone = [torch.stack(list(window_tensors(reel, windows, SPEC, crop))) for crop in crops]
    assert crops[1] == centre
    monkeypatch.setattr("vidcam.pipelines.windows.crop_frames", counted)
    reel.asked.clear()
    parts = list(batches(reel, windows, SPEC, union(crops), crops=crops, size=7))
    assert [list(indices) for indices, _ in parts[:2]] == [[0, 1], [2, 3]]  # six clips: a window is never divided
    together = torch.cat([tensor for _, tensor in parts])
    for number, expected in enumerate(alone):
        torch.testing.assert_close(together[number::3], expected, rtol=0, atol=0)
    times = sorted(set(np.concatenate([window.times for window in windows]).tolist()))
    assert reel.asked == times
    assert sum(resized) == len(times)


def test_the_timeline_of_windows() -> None:
    first, second = Window(0.0, 1.0, np.array([0.0, 0.5])), Window(0.5, 1.5, np.array([0.5, 1.0]))
    line = timeline([first, second])
    assert line.starts.tolist() == [0.0, 0.5]
    assert line.ends.tolist() == [1.0, 1.5]
    assert line.frame_seconds.tolist() == [[0.0, 0.5], [0.5, 1.0]]
