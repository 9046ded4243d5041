"""The files of an explained video: nothing is lost, and nothing is left of a failure."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.nets import brightness_model
from tests.pipelines.conftest import FilmMaker
from tests.pipelines.explain.conftest import EVERYTHING, PAIR, read_document
from vidcam.errors import OutputError
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions


def test_results_are_not_overwritten_by_accident(film: FilmMaker, tmp_path: Path) -> None:
    source, out = film(), tmp_path / "out"
    options = ExplainOptions(methods=PAIR, outputs=("data",))
    explain_video(source, out, model=brightness_model(), options=options)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputError, match=r"film.json holds results of film.mp4 already; pass --overwrite"):
        explain_video(source, out, model=brightness_model(), options=options)
    assert before == {path: path.read_bytes() for path in out.iterdir()}


def test_overwriting_takes_away_what_is_no_longer_true(film: FilmMaker, tmp_path: Path) -> None:
    source, out = film(), tmp_path / "out"
    explain_video(source, out, model=brightness_model(), options=EVERYTHING)
    (out / "mine.txt").write_text("kept")
    options = ExplainOptions(methods=PAIR, outputs=("data",), targets=("dark/thing",), overwrite=True)
    explain_video(source, out, model=brightness_model(), options=options)
    assert sorted(path.name for path in out.iterdir()) == ["film.json", "film.npz", "mine.txt"]


@pytest.mark.parametrize("name", ["film.png", "film.npz", "film_bright-thing_gradcam.mp4"])
def test_files_of_the_users_are_never_replaced(name: str, film: FilmMaker, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    for overwrite in (False, True):
        options = ExplainOptions(methods=PAIR, overwrite=overwrite)
        with pytest.raises(OutputError, match=rf"{re.escape(name)} is in the way and no result of vidcam's"):
            explain_video(film(), out, model=brightness_model(), options=options)
        assert [(path.name, path.read_text()) for path in out.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("fails_at", [1, 4, 8])
def test_all_files_are_exchanged_or_none(
    existing: bool, fails_at: int, film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = film(), tmp_path / "out"
    if existing:
        explain_video(source, out, model=brightness_model(), options=EVERYTHING)
    before = {path.name: path.read_bytes() for path in out.iterdir()} if existing else {}
    real, count = Path.rename, iter(range(1, 1000))

    def rename(self: Path, target: Path) -> Path:
        if next(count) == fails_at + 7 * existing:  # seven former files are put aside first
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        options = ExplainOptions(methods=PAIR, outputs=OUTPUTS, overlap=0.0, overwrite=True)
        if fails_at < 8:
            with pytest.raises(KeyboardInterrupt):
                explain_video(source, out, model=brightness_model(), options=options)
            after = {path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else {}
            assert after == before
        else:
            explain_video(source, out, model=brightness_model(), options=options)


def test_the_json_is_moved_last(film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    explain_video(film(), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    assert moved[-1] == "film.json"
    assert moved.count("film.json") == 1


def test_two_sources_of_one_stem_are_kept_apart(film: FilmMaker, tmp_path: Path) -> None:
    first, out = film(), tmp_path / "out"
    (tmp_path / "other").mkdir()
    second = Path(shutil.copy(first, tmp_path / "other" / "film.mp4"))
    options = ExplainOptions(methods=PAIR, outputs=("data",))
    for source in (first, second):
        explain_video(source, out, model=brightness_model(), options=options)
    assert read_document(out / "film.json")["source"]["path"] == "../film.mp4"
    assert read_document(out / "film-2.json")["source"]["path"] == "../other/film.mp4"
    with pytest.raises(OutputError, match=r"film-2\.json holds results"):
        explain_video(second, out, model=brightness_model(), options=options)


@pytest.mark.parametrize(
    "step", ["explainer.analyse", "result.film_bounds", "result.draw_videos", "result.contact_sheet"]
)
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_after_a_failure(
    step: str, existing: bool, film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "out"
    if existing:
        out.mkdir(parents=True)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"vidcam.pipelines.explain.{step}", fail)
    with pytest.raises(KeyboardInterrupt):
        explain_video(film(), out, model=brightness_model(), options=EVERYTHING)
    assert out.exists() == existing
    assert not existing or not list(out.iterdir())


def test_a_failure_while_encoding_leaves_nothing(
    film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcam.video.writer import VideoWriter

    real, count = VideoWriter.write, iter(range(1000))

    def write(self: VideoWriter, *arguments: Any) -> None:
        if next(count) == 20:
            raise OSError("planted")
        real(self, *arguments)

    monkeypatch.setattr(VideoWriter, "write", write)
    with pytest.raises(OSError, match="planted"):
        explain_video(film(), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    assert not (tmp_path / "out").exists()
