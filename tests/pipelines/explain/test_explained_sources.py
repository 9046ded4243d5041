"""`explain_video` with each kind of source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.helpers.nets import brightness_model
from tests.helpers.odd import ODD, anamorphic, damaged, images
from tests.helpers.videos import click_seconds
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.explain.conftest import EVERYTHING, PAIR
from vidcam.errors import OutputError
from vidcam.pipelines.explain.explainer import Explainer, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions
from vidcam.system.json_files import as_plain
from vidcam.video.reader import open_video


def test_a_folder_of_images(tmp_path: Path) -> None:
    folder = images(tmp_path / "shots", count=30)
    result = explain_video(folder, tmp_path / "out", model=brightness_model(), methods=PAIR, fps=12.5, captions="none")
    source = as_plain(result.document)["source"]
    assert (source["path"], source["fps"], source["codec"], source["warnings"]) == ("../shots", 12.5, "png", [])
    assert as_plain(result.document)["runtime"]["decoder"] == "images"
    with open_video(tmp_path / "out" / "shots_bright-thing_gradcam.mp4") as video:
        np.testing.assert_allclose(video.info.pts_seconds, np.arange(30) / 12.5, atol=1e-3)


def test_an_open_file_and_an_address(make_video: VideoMaker, tmp_path: Path) -> None:
    path, options = make_video(sound=True), ExplainOptions(outputs=("data", "overlay"), methods=("gradcam",))
    plain = Explainer(brightness_model(), options).explain(path, tmp_path / "plain")
    with fsspec.open("memory://clips/video.mp4", "wb") as file:
        file.write(path.read_bytes())
    address = "memory://clips/video.mp4"
    for name in ("video.mp4", address):
        with path.open("rb") as file:
            source = address if name == address else file
            result = Explainer(brightness_model(), options).explain(source, tmp_path / "out")
        assert as_plain(result.document)["source"] == as_plain(plain.document)["source"] | {"path": name}
        assert click_seconds(result.paths[0]) == pytest.approx(1.0, abs=0.03)
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"video.json", "video-2.json"}
    with pytest.raises(OutputError, match=r"holds results of video\.mp4 already"):
        Explainer(brightness_model(), options).explain("memory://clips/video.mp4", tmp_path / "out")


def test_a_damaged_video_is_explained_with_a_warning(tmp_path: Path) -> None:
    path = damaged(tmp_path / "video.mp4")
    options = ExplainOptions(methods=PAIR, outputs=OUTPUTS, captions="none")
    result = Explainer(brightness_model(), options).explain(path, tmp_path / "out")
    source = as_plain(result.document)["source"]
    assert source["readable_seconds"] == [[0.0, 0.56], [1.04, 2.0]]
    assert result.warnings == ["0.560–1.040 s cannot be decoded; the last readable picture is shown instead"]
    with open_video(tmp_path / "out" / "video_bright-thing_gradcam.mp4") as video:
        assert video.info.frame_count == 50


def test_the_overlay_has_square_pixels(tmp_path: Path) -> None:
    result = Explainer(brightness_model(), EVERYTHING).explain(anamorphic(tmp_path / "video.mp4"), tmp_path / "out")
    assert as_plain(result.document)["source"]["size"] == [48, 80]
    assert as_plain(result.document)["source"]["pixel_aspect"] == pytest.approx(64 / 51)
    with open_video(tmp_path / "out" / "video_bright-thing_gradcam.mp4") as video:
        assert (video.info.size, video.info.pixel_aspect) == ((48, 80), Fraction(1))


@pytest.mark.parametrize("name", ["tiny.mp4", "one-frame.mp4", "alpha.mov", "animation.gif", "no-first-key.ts"])
def test_odd_files_from_end_to_end(tmp_path: Path, name: str) -> None:
    path = ODD[name](tmp_path / name)
    result = Explainer(brightness_model(), EVERYTHING).explain(path, tmp_path / "out")
    with open_video(path) as source, open_video(result.paths[0]) as video:
        assert video.info.frame_count == source.info.frame_count
        np.testing.assert_allclose(video.info.pts_seconds, source.info.pts_seconds, atol=1e-3)
