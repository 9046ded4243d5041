"""Written videos read back the same, and a failure is one sentence."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.videos import Frames, click, flat_frames, noise_frames, write_video
from vidcam.errors import EncodeError, ShapeError
from vidcam.video import VideoWriter, open_video, probe
from vidcam.video.encoders import Encoder, software_encoder

FPS = Fraction(25)
TICK = Fraction(1, 25)


def smooth_frames(count: int, height: int, width: int) -> Frames:
    """Make a moving grey ramp, which codecs preserve well."""
    row = np.arange(width)[None, None] + 3 * np.arange(count)[:, None, None]
    grey = np.broadcast_to(row % 200 + 20, (count, height, width))
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def write(path: Path, frames: Frames, pts_seconds: list[float] | None = None, **options: object) -> Path:
    settings = {"fps": FPS, "time_base": TICK, **options}
    with VideoWriter(path, size=frames.shape[1:3], **settings) as writer:  # type: ignore[arg-type]
        for index, frame in enumerate(frames):
            writer.write(frame, index / 25 if pts_seconds is None else pts_seconds[index])
    return path


def read(path: Path) -> Frames:
    with open_video(path) as reader:
        return np.stack([frame for _, frame in reader.frames()])


def test_constant_rate(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.mp4", smooth_frames(50, 32, 48)))
    assert (info.size, info.frame_count, info.fps) == ((32, 48), 50, FPS)
    assert info.pts_seconds.tolist() == [index / 25 for index in range(50)]
    assert info.duration_seconds == 2.0
    assert (info.codec, info.pixel_format, info.has_audio) == ("h264", "yuv420p", False)


@pytest.mark.parametrize(
    "time_base",
    [
        Fraction(1, 25),
        Fraction(1, 100),
        Fraction(1, 1000),
        Fraction(1, 90_000),
        Fraction(1001, 30_000),
        Fraction(1, 10_000_000),
    ],
)
def test_variable_rate_and_duration_are_exact(tmp_path: Path, time_base: Fraction) -> None:
    units = max(1, round(Fraction(1, 50) / time_base))
    ticks = np.cumsum([0, *np.random.default_rng(3).integers(1, 6, 40)]) * units
    pts_seconds = [float(int(tick) * time_base) for tick in ticks]
    end_seconds = float((int(ticks[-1]) + 7 * units) * time_base)
    path = tmp_path / "a.mp4"
    info = probe(write(path, smooth_frames(41, 16, 16), pts_seconds, time_base=time_base, duration_seconds=end_seconds))
    assert info.pts_seconds.tolist() == pytest.approx(pts_seconds, abs=1e-12)
    assert info.duration_seconds == pytest.approx(end_seconds, abs=1e-12)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.duration or 0) * (stream.time_base or 0) == pytest.approx(end_seconds, abs=1e-9)


def test_a_time_base_too_fine_for_mp4_is_replaced(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.mp4", smooth_frames(5, 16, 16), time_base=Fraction(1, 10**9)))
    assert info.time_base == Fraction(1, 90_000)
    assert info.pts_seconds.tolist() == pytest.approx([index / 25 for index in range(5)], abs=1e-5)


def test_times_between_multiples_of_the_time_base(tmp_path: Path) -> None:
    """A clip that is cut from a 25 fps AVI at 0.5 s: its times are not multiples of 1/25 s."""
    pts_seconds = [0.02 + index / 25 for index in range(20)]
    info = probe(write(tmp_path / "a.mp4", smooth_frames(20, 16, 16), pts_seconds, duration_seconds=0.82))
    assert info.pts_seconds.tolist() == pytest.approx([index / 25 for index in range(20)], abs=1e-4)
    assert info.duration_seconds == pytest.approx(0.8, abs=1e-4)


def test_a_closed_writer(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", size=(16, 16), fps=FPS, time_base=TICK, duration_seconds=1.6)
    writer.write(smooth_frames(1, 16, 16)[0], 0.0)
    writer.close()
    writer.close()
    writer.abort()
    with pytest.raises(EncodeError, match="is closed; make a new one"):
        writer.write(smooth_frames(1, 16, 16)[0], 2.0)
    assert probe(tmp_path / "a.mp4").duration_seconds == 1.6


def test_frames_read_back_nearly_the_same(tmp_path: Path) -> None:
    frames = smooth_frames(20, 48, 64)
    decoded = read(write(tmp_path / "a.mp4", frames, encoder=software_encoder("libx264", quality=1)))
    assert np.abs(decoded.astype(int) - frames).max() <= 3


def test_grey_ramp_within_two(tmp_path: Path) -> None:
    frames = flat_frames(range(0, 256, 3))
    decoded = read(write(tmp_path / "a.mp4", frames, encoder=software_encoder("libx264", quality=1)))
    assert np.abs(decoded.astype(int) - frames).max() <= 2


def test_colour_bars_within_three(tmp_path: Path) -> None:
    bars = np.array(
        [[255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [255, 0, 0], [0, 0, 255]]
    )
    frames = np.broadcast_to(bars.astype(np.uint8)[:, None, None], (7, 32, 32, 3))
    decoded = read(write(tmp_path / "a.mp4", frames, encoder=software_encoder("libx264", quality=1)))
    assert np.abs(decoded.astype(int) - frames).max() <= 3


def test_colours_are_tagged(tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / "a.mp4", smooth_frames(3, 16, 16)))) as container:
        context = container.streams.video[0].codec_context
        assert context.profile == "High"
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


ENCODERS = [
    ("libx264", "a.mp4", "avc1"),
    ("libx265", "a.mp4", "hvc1"),
    ("libsvtav1", "a.mp4", "av01"),
    ("libvpx-vp9", "a.mp4", "vp09"),
    ("libvpx-vp9", "a.webm", None),
    ("libsvtav1", "a.webm", None),
]


@pytest.mark.parametrize(("name", "file", "tag"), ENCODERS)
def test_every_encoder_tags_colours_and_codec(name: str, file: str, tag: str | None, tmp_path: Path) -> None:
    """Players need these tags. Apple's players open HEVC only with the tag hvc1."""
    path = write(tmp_path / file, smooth_frames(3, 64, 64), encoder=software_encoder(name))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        next(container.decode(stream))
        context = stream.codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert tag in {None, context.codec_tag}


@pytest.mark.parametrize(("name", "file", "_"), ENCODERS)
def test_decoding_order_is_display_order_and_no_versions_are_stored(
    name: str, file: str, _: str | None, tmp_path: Path
) -> None:
    """Without version strings, the bytes do not depend on the version of FFmpeg's muxers."""
    path = write(tmp_path / file, smooth_frames(70, 64, 64), encoder=software_encoder(name))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    assert len(packets) == 70
    assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
    assert np.diff([packet.pts or 0 for packet in packets]).min() > 0
    data = path.read_bytes()
    assert b"Lavc" not in data
    assert b"Lavf6" not in data


def test_an_encoder_that_reorders_frames_is_refused(tmp_path: Path) -> None:
    reordering = Encoder("libx264", "h264", (("bf", "2"), ("b_strategy", "0")))
    with pytest.raises(EncodeError, match=r"reorders frames \(B-frames\); choose another --encoder"):
        write(tmp_path / "a.mp4", flat_frames([30] * 60), encoder=reordering)


ABORTED = """if True:
    import sys
    from fractions import Fraction
    from pathlib import Path
    import numpy as np
    from vidcam.video.encoders import software_encoder
    from vidcam.video.writer import VideoWriter

    name, folder = sys.argv[1:]
    for count in (1, 5, 40):
        settings = {"fps": Fraction(25), "time_base": Fraction(1, 25), "encoder": software_encoder(name)}
        writer = VideoWriter(Path(folder) / "a.mp4", size=(64, 64), **settings)
        for index in range(count):
            writer.write(np.full((64, 64, 3), 5 * index, np.uint8), index / 25)
        writer.abort()
    """


@pytest.mark.parametrize("name", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
def test_an_aborted_encoder_prints_nothing(name: str, tmp_path: Path) -> None:
    """It runs in a subprocess, because SVT-AV1 reads the environment only once in a process."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("SVT_LOG", None)
    command = [sys.executable, "-c", ABORTED, name, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("size", [(31, 48), (32, 47), (31, 47)])
def test_odd_size_is_padded(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = smooth_frames(5, *size)
    decoded = read(write(tmp_path / "a.mp4", frames, encoder=software_encoder("libx264", quality=1)))
    assert decoded.shape == (5, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert np.abs(decoded[:, : size[0], : size[1]].astype(int) - frames).max() <= 4
    assert np.abs(decoded[:, -1].astype(int) - decoded[:, size[0] - 1]).max() <= 4
    assert np.abs(decoded[:, :, -1].astype(int) - decoded[:, :, size[1] - 1]).max() <= 4


def test_same_input_same_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mp4", noise_frames(30), sound=click(0.5, 1.2))
    first, second = (
        write(tmp_path / name, noise_frames(30), audio_from=source).read_bytes() for name in ("a.mp4", "b.mp4")
    )
    assert first == second
    assert b"Lavf" not in first


def test_the_index_is_at_the_start_of_the_file(tmp_path: Path) -> None:
    content = write(tmp_path / "a.mp4", smooth_frames(3, 16, 16)).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_full_disk(tmp_path: Path) -> None:
    """A limit on the file size simulates a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    frames = noise_frames(60, 64, 64)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(EncodeError, match=r"writing '.*a\.mp4' failed \(File too large\)"):
            write(tmp_path / "a.mp4", frames)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_frame(tmp_path: Path) -> None:
    with (
        pytest.raises(EncodeError, match=r"no frame was written to .*; write at least one"),
        VideoWriter(tmp_path / "a.mp4", size=(16, 16), fps=FPS, time_base=TICK),
    ):
        pass


@pytest.mark.parametrize("second", [0.0, -1.0, 1e-6])
def test_times_must_increase(tmp_path: Path, second: float) -> None:
    with pytest.raises(ShapeError, match="pts_seconds must be >= 0 and increase by at least"):
        write(tmp_path / "a.mp4", smooth_frames(2, 16, 16), [0.0, second])
    with pytest.raises(ShapeError, match="pts_seconds must be >= 0"):
        write(tmp_path / "a.mp4", smooth_frames(1, 16, 16), [-0.5])


@pytest.mark.parametrize(
    "frame", [np.zeros((16, 18, 3), np.uint8), np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.float32)]
)
def test_frame_must_fit(tmp_path: Path, frame: Frames) -> None:
    with (
        pytest.raises(ShapeError, match=r"frame must be \(16, 16, 3\) uint8, got"),
        VideoWriter(tmp_path / "a.mp4", size=(16, 16), fps=FPS, time_base=TICK) as writer,
    ):
        writer.write(frame, 0.0)
