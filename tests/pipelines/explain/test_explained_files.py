"""The files of an explained video: no file of the user is lost, and a failure leaves no file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.nets import brightness_model
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.explain.conftest import EVERYTHING, PAIR, read_document
from vidcam.errors import OutputError
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions


def test_results_are_not_overwritten_by_accident(make_video: VideoMaker, tmp_path: Path) -> None:
    source, out = make_video(count=24, height=48, width=64), tmp_path / "out"
    options = ExplainOptions(methods=PAIR, outputs=("data",))
    Explainer(brightness_model(), options).explain(source, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputError, match=r"video.json holds results of video.mp4 already; pass --overwrite"):
        Explainer(brightness_model(), options).explain(source, out)
    assert before == {path: path.read_bytes() for path in out.iterdir()}


def test_overwriting_deletes_old_files(make_video: VideoMaker, tmp_path: Path) -> None:
    source, out = make_video(count=24, height=48, width=64), tmp_path / "out"
    Explainer(brightness_model(), EVERYTHING).explain(source, out)
    (out / "mine.txt").write_text("kept")
    options = ExplainOptions(methods=PAIR, outputs=("data",), targets=("dark/thing",), overwrite=True)
    Explainer(brightness_model(), options).explain(source, out)
    assert sorted(path.name for path in out.iterdir()) == ["mine.txt", "video.json", "video.npz", "video_evidence.csv"]


@pytest.mark.parametrize("name", ["video.png", "video.npz", "video_bright-thing_gradcam.mp4"])
def test_files_of_the_user_are_never_replaced(name: str, make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    for overwrite in (False, True):
        options = ExplainOptions(methods=PAIR, overwrite=overwrite)
        with pytest.raises(OutputError, match=rf"{re.escape(name)} is in the way and is not from vidcam"):
            Explainer(brightness_model(), options).explain(make_video(count=24, height=48, width=64), out)
        assert [(path.name, path.read_text()) for path in out.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("fails_at", [1, 4, 10])
def test_all_files_are_replaced_or_none(
    existing: bool, fails_at: int, make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = make_video(count=24, height=48, width=64), tmp_path / "out"
    if existing:
        Explainer(brightness_model(), EVERYTHING).explain(source, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()} if existing else {}
    real, count = Path.rename, iter(range(1, 1000))

    def rename(self: Path, target: Path) -> Path:
        if next(count) == fails_at + 9 * existing:  # nine former files are put aside first
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        options = ExplainOptions(methods=PAIR, outputs=OUTPUTS, overlap=0.0, overwrite=True)
        if fails_at < 10:
            with pytest.raises(KeyboardInterrupt):
                Explainer(brightness_model(), options).explain(source, out)
            after = {path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else {}
            assert after == before
        else:
            Explainer(brightness_model(), options).explain(source, out)


def test_the_json_is_moved_last(make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    Explainer(brightness_model(), EVERYTHING).explain(make_video(count=24, height=48, width=64), tmp_path / "out")
    assert moved[-1] == "video.json"
    assert moved.count("video.json") == 1


def test_two_sources_with_one_stem_have_separate_files(make_video: VideoMaker, tmp_path: Path) -> None:
    first, out = make_video(count=24, height=48, width=64), tmp_path / "out"
    (tmp_path / "other").mkdir()
    second = Path(shutil.copy(first, tmp_path / "other" / "video.mp4"))
    options = ExplainOptions(methods=PAIR, outputs=("data",))
    for source in (first, second):
        Explainer(brightness_model(), options).explain(source, out)
    assert read_document(out / "video.json")["source"]["path"] == "../video.mp4"
    assert read_document(out / "video-2.json")["source"]["path"] == "../other/video.mp4"
    with pytest.raises(OutputError, match=r"video-2\.json holds results"):
        Explainer(brightness_model(), options).explain(second, out)


@pytest.mark.parametrize(
    "step", ["explainer.analyse", "result.video_bounds", "result.draw_videos", "result.contact_sheet"]
)
@pytest.mark.parametrize("existing", [False, True])
def test_no_file_is_left_after_a_failure(
    step: str, existing: bool, make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "out"
    if existing:
        out.mkdir(parents=True)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"vidcam.pipelines.explain.{step}", fail)
    with pytest.raises(KeyboardInterrupt):
        Explainer(brightness_model(), EVERYTHING).explain(make_video(count=24, height=48, width=64), out)
    assert out.exists() == existing
    assert not existing or not list(out.iterdir())


def test_no_file_is_left_if_encoding_fails(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcam.video.writer import VideoWriter

    real, count = VideoWriter.write, iter(range(1000))

    def write(self: VideoWriter, *arguments: Any) -> None:
        if next(count) == 20:
            raise OSError("planted")
        real(self, *arguments)

    monkeypatch.setattr(VideoWriter, "write", write)
    with pytest.raises(OSError, match="planted"):
        Explainer(brightness_model(), EVERYTHING).explain(make_video(count=24, height=48, width=64), tmp_path / "out")
    assert not (tmp_path / "out").exists()
