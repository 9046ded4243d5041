"""Random access to frames, with as little decoding as possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.videos import LOSSLESS_RGB, frame_index_of, noise_frames, write_video
from vidcam.errors import MediaError
from vidcam.video.decoder import FrameDecoder

COUNT, GROUP = 96, 16


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    options = {**LOSSLESS_RGB, "g": str(GROUP), "sc_threshold": "0"}
    return str(write_video(tmp_path_factory.mktemp("video") / "a.mp4", noise_frames(COUNT), options=options))


@pytest.fixture
def decoder(path: str) -> Iterator[FrameDecoder]:
    decoder = FrameDecoder(path, frame_index_of(path))
    yield decoder
    decoder.close()


def ticks_of(decoder: FrameDecoder, indices: list[int]) -> list[int]:
    return [(decoder.frame(index).pts or 0) // 512 for index in indices]


def test_sequential_reading_decodes_each_frame_once(decoder: FrameDecoder) -> None:
    assert ticks_of(decoder, list(range(COUNT))) == list(range(COUNT))
    assert decoder.decoded_count == COUNT


def test_repeating_a_frame_decodes_nothing(decoder: FrameDecoder) -> None:
    assert decoder.frame(5) is decoder.frame(5)
    assert decoder.decoded_count == 6


def test_a_far_frame_is_decoded_from_its_key_frame(decoder: FrameDecoder) -> None:
    assert ticks_of(decoder, [0, 83]) == [0, 83]
    assert decoder.decoded_count == 1 + 83 - 80 + 1


def test_no_seek_to_a_near_key_frame(decoder: FrameDecoder) -> None:
    assert ticks_of(decoder, [14, 17]) == [14, 17]
    assert decoder.decoded_count == 18


def test_reading_backwards(decoder: FrameDecoder) -> None:
    assert ticks_of(decoder, [70, 35, 0]) == [70, 35, 0]
    assert decoder.decoded_count == (70 - 64 + 1) + (35 - 32 + 1) + 1


def test_reading_from_the_start_after_the_end(decoder: FrameDecoder) -> None:
    assert ticks_of(decoder, [COUNT - 1, 0, COUNT - 1]) == [COUNT - 1, 0, COUNT - 1]


def test_missing_frame(path: str) -> None:
    frame_index = frame_index_of(path)
    ticks = np.append(frame_index.ticks, frame_index.end_tick)
    decoder = FrameDecoder(path, replace(frame_index, ticks=ticks))
    with pytest.raises(MediaError, match=rf"frame {COUNT} of {COUNT + 1} in .* cannot be decoded"):
        decoder.frame(COUNT)
    assert ticks_of(decoder, [3]) == [3]
    decoder.close()


def test_a_missing_frame_between_two_frames(path: str) -> None:
    frame_index = frame_index_of(path)
    decoder = FrameDecoder(path, replace(frame_index, ticks=np.insert(frame_index.ticks, 4, frame_index.ticks[3] + 1)))
    with pytest.raises(MediaError, match=r"frame 4 of .* cannot be decoded"):
        decoder.frame(4)
    decoder.close()


def test_decoding_continues_if_the_seek_lands_before_the_key_frame(path: str) -> None:
    frame_index = frame_index_of(path)
    decoder = FrameDecoder(path, replace(frame_index, key_ticks=frame_index.ticks[[0, 50]]))  # 50 is not a key frame
    assert ticks_of(decoder, [0, 52]) == [0, 52]
    decoder.close()


def test_a_seek_without_packets_restarts_at_the_beginning(
    decoder: FrameDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameDecoder, "_packets_from", lambda self, key: iter(()))
    assert ticks_of(decoder, [0, 52, 20]) == [0, 52, 20]
    assert decoder.decoded_count == 1 + 53 + 21


def test_a_failing_seek_restarts_at_the_beginning(decoder: FrameDecoder) -> None:
    class FailingSeek:
        def seek(self, *_: object, **__: object) -> None:
            raise av.PermissionError(1, "not here")

        def close(self) -> None: ...

    assert ticks_of(decoder, [3]) == [3]
    decoder._container.close()
    decoder._container = FailingSeek()  # type: ignore[assignment]
    assert ticks_of(decoder, [1]) == [1]


def test_a_format_without_seeking(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.gif", noise_frames(30), codec="gif", pixel_format="rgb8", options={}, time_base=Fraction(1, 25)
    )
    frame_index = frame_index_of(path)
    decoder = FrameDecoder(str(path), replace(frame_index, key_ticks=frame_index.ticks[::10]))
    indices = [0, 25, 12, 29, 1]
    assert [decoder.frame(index).pts for index in indices] == frame_index.ticks[indices].tolist()
    decoder.close()
