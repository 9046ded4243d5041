"""Arrays, lists, patterns and web addresses are explained like the video that holds the same frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.nets import bright_image_model, brightness_model
from tests.helpers.videos import noise_frames, write_video
from tests.helpers.web import Page, serving
from tests.pipelines.explain.conftest import read_document
from vidcam.errors import MediaError, OutputError, ShapeError
from vidcam.media import Frames
from vidcam.pipelines.explain.explainer import ExplainedVideo, explain_video
from vidcam.pipelines.explain.outputs import check_paths
from vidcam.pipelines.render.renderer import render_video
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation
from vidcam.video.reader import open_video
from vidcam.video.source import Source

COUNT, RATE = 20, Fraction(10)
DESCRIPTION = f"array of {COUNT} frames, 48 × 64"


def made_frames() -> Frames:
    """A bright square that moves over noise."""
    frames = noise_frames(COUNT, 48, 64) // 4
    for index in range(COUNT):
        frames[index, 10:22, 2 * index : 2 * index + 12] = 240
    return frames


FRAMES = made_frames()


def explained(source: Any, out: Path, **options: Any) -> ExplainedVideo:
    settings = {"methods": "gradcam", "outputs": ("overlay", "data"), "captions": "none", "fps": RATE, **options}
    return explain_video(source, out, model=brightness_model(), **settings)


def image_files(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"img_{index:05d}.png" for index in range(COUNT)]
    for path, frame in zip(paths, FRAMES, strict=True):
        Image.fromarray(frame).save(path)
    return paths


def source_of_kind(kind: str, folder: Path) -> Any:
    if kind in {"folder", "paths", "pattern"}:
        paths = image_files(folder)
        return {"folder": folder, "paths": paths, "pattern": folder / "img_%05d.png"}[kind]
    return {
        "array": FRAMES,
        "floats": torch.from_numpy(FRAMES) / 255,
        "list": list(FRAMES),
        "images": [Image.fromarray(frame) for frame in FRAMES],
    }[kind]


def pictures(path: Path) -> Frames:
    with open_video(path) as reader:
        return np.stack([frame for _, frame in reader.frames()])


def npz(result: ExplainedVideo) -> Path:
    return next(path for path in result.paths if path.suffix == ".npz")


@pytest.fixture(scope="module")
def of_a_file(tmp_path_factory: pytest.TempPathFactory) -> ExplainedVideo:
    """Explained from a lossless video."""
    folder = tmp_path_factory.mktemp("file")
    path = write_video(folder / "video.mkv", FRAMES, fps=RATE, time_base=Fraction(1, 1000))
    return explained(path, folder / "out", fps=None)


SAID = {
    "array": DESCRIPTION,
    "floats": DESCRIPTION,
    "list": f"list of {COUNT} frames, 48 × 64",
    "images": f"list of {COUNT} frames, 48 × 64",
    "folder": "../shots",
    "paths": f"list of {COUNT} images, 48 × 64",
    "pattern": "../shots/img_%05d.png",
}


@pytest.mark.parametrize("kind", SAID)
def test_the_result_is_that_of_the_lossless_video(kind: str, of_a_file: ExplainedVideo, tmp_path: Path) -> None:
    source, before = source_of_kind(kind, tmp_path / "shots"), FRAMES.copy()
    result = explained(source, tmp_path / "out")
    is_named = kind in {"folder", "pattern"}
    stem = "shots" if is_named else "video"
    assert [path.name for path in result.paths] == [path.name.replace("video", stem, 1) for path in of_a_file.paths]
    np.testing.assert_array_equal(pictures(result.paths[0]), pictures(of_a_file.paths[0]))  # their time bases differ
    for found, expected in zip(result.explanation.explanations, of_a_file.explanation.explanations, strict=True):
        np.testing.assert_array_equal(found.volume("gradcam"), expected.volume("gradcam"))

    entry = read_document(result.paths[-1])["source"]
    assert (entry["path"], entry["size"], entry["fps"], entry["frames"]) == (SAID[kind], [48, 64], 10.0, COUNT)
    assert entry["warnings"] == []
    saved = load(npz(result))
    assert isinstance(saved, VideoExplanation)
    assert saved.origin is not None
    assert saved.origin == result.explanation.origin
    assert (saved.source, saved.origin.fps, saved.origin.is_local) == (Path(SAID[kind]).name, "10", is_named)

    drawn = render_video(npz(result), tmp_path / "a.mp4", source=source)
    assert drawn.frames == COUNT
    if is_named:
        render_video(npz(result), tmp_path / "b.mp4")
    else:
        assert entry["sha256"] == saved.origin.content_hash or kind == "paths"
        with pytest.raises(MediaError, match=rf"of {COUNT} .*48 × 64', which is not a file; pass it again as source="):
            render_video(npz(result), tmp_path / "b.mp4")
        render_video(result.explanation, tmp_path / "b.mp4", source=source)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with open_video(tmp_path / "a.mp4") as video:
        np.testing.assert_allclose(video.info.pts_seconds, np.arange(COUNT) / 10, atol=1e-3)
    assert np.array_equal(FRAMES, before)


@pytest.mark.usefixtures("drawn_sheets")
def test_a_frame_rate_that_was_not_given_is_said(tmp_path: Path) -> None:
    result = explained(FRAMES, tmp_path / "out", fps=None, outputs="sheet")
    assert result.warnings == [f"no frame rate was given: {COUNT} frames shown at 25 fps"]
    assert read_document(result.paths[-1])["source"]["fps"] == 25.0
    assert pictures(result.paths[0]).shape[0] == 1


def test_equal_frames_in_another_form_are_accepted(tmp_path: Path) -> None:
    result = explained(FRAMES, tmp_path / "out", outputs="data")
    sources: tuple[Source, ...] = (list(FRAMES), torch.from_numpy(FRAMES), FRAMES / 255)
    files = [
        render_video(npz(result), tmp_path / f"{number}.png", source=source).path
        for number, source in enumerate((FRAMES, *sources))
    ]
    assert len({path.read_bytes() for path in files}) == 1


def test_another_source_is_refused(tmp_path: Path) -> None:
    result = explained(FRAMES, tmp_path / "out", outputs="data")
    changed = FRAMES.copy()
    changed[7, 0, 0, 0] += 1
    with pytest.raises(MediaError, match=rf"'{DESCRIPTION}' is not the explained video"):
        render_video(npz(result), tmp_path / "p.png", source=changed)
    video = write_video(tmp_path / "video.mkv", FRAMES)
    with pytest.raises(MediaError, match=rf"video\.mkv' is a video file, but '{DESCRIPTION}' was explained"):
        render_video(npz(result), tmp_path / "p.png", source=video)
    with pytest.raises(ShapeError, match=r"frames\.transpose\(0, 2, 3, 1\)"):
        render_video(npz(result), tmp_path / "p.png", source=FRAMES.transpose(0, 3, 1, 2))
    assert not (tmp_path / "p.png").exists()


def test_a_picture_does_not_join_the_pattern(tmp_path: Path) -> None:
    paths = image_files(tmp_path / "shots")
    result = explained(paths[0].parent / "img_%05d.png", tmp_path / "out", outputs="data")
    with pytest.raises(OutputError, match="would overwrite the source video or its images"):
        render_video(npz(result), tmp_path / "shots" / "img_99999.png")
    render_video(npz(result), tmp_path / "shots" / "poster.png")


def test_arrays_are_told_apart_by_their_pixels(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explained(FRAMES, out, outputs="data").paths[-1].name == "video.json"
    assert explained(FRAMES[::-1], out, outputs="data").paths[-1].name == "video-2.json"
    with pytest.raises(OutputError, match=rf"video\.json holds results of {DESCRIPTION} already; pass .*overwrite"):
        explained(FRAMES, out)
    with pytest.raises(OutputError, match=r"video-2\.json holds results"):
        check_paths(FRAMES[::-1], out, overwrite=False)
    assert explained(FRAMES[::-1], out, outputs="data", overwrite=True).paths[-1].name == "video-2.json"


def test_what_cannot_be_read_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    sources: tuple[tuple[Any, str], ...] = (
        (FRAMES.transpose(0, 3, 1, 2), r"pass frames\.transpose\(0, 2, 3, 1\)"),
        ([], "an empty list"),
        (["a.mp4", "b.mp4"], "explain_video takes one video: call it for each"),
        (tmp_path / "%d.png", r"no file matches .*%d\.png"),
        ("rtsp://camera/1", r"live stream; record a part of it: ffmpeg -i rtsp://camera/1 -t 60 -c copy clip\.mp4"),
        ("http://127.0.0.1:1/a.mp4", "cannot be reached"),
        ((frame for frame in FRAMES), r"generator, expected a list of frames; pass list\(source\)"),
        (None, "NoneType, expected a path, an address, an array or a list of frames"),
    )
    for source, sentence in sources:
        with pytest.raises((MediaError, ShapeError, ValueError), match=sentence):
            explain_video(source, tmp_path / "out", model="no such model")
    assert not (tmp_path / "out").exists()


def test_an_image_model_takes_each_frame_as_a_clip(tmp_path: Path) -> None:
    result = explain_video(
        FRAMES, tmp_path / "out", model=bright_image_model(), methods="gradcam", outputs="data", fps=3
    )
    assert len(result.document.windows) == COUNT


def test_a_web_address(of_a_file: ExplainedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    path = write_video(tmp_path / "video.mkv", FRAMES, fps=RATE, time_base=Fraction(1, 1000))
    stages: list[str] = []
    with serving({"/clips/video.mkv": Page(path.read_bytes())}) as site:
        address = f"{site.address}/clips/video.mkv"
        result = explained(address, tmp_path / "out", fps=None, progress=lambda stage, *_: stages.append(stage))
        assert site.requests == [("HEAD", "/clips/video.mkv"), ("GET", "/clips/video.mkv")]
        with pytest.raises(MediaError, match=r"no longer at 'http://127.*--source"):
            render_video(npz(result), tmp_path / "p.png")
        render_video(npz(result), tmp_path / "p.png", source=address)
    assert stages[0] == "fetching video.mkv"
    assert result.document.source.path == address
    assert [path.name for path in result.paths] == [path.name for path in of_a_file.paths]
    for found, expected in zip(result.paths, of_a_file.paths, strict=True):
        if found.suffix == ".mp4":
            assert found.read_bytes() == expected.read_bytes()
