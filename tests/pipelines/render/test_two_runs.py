"""Two runs that draw into one place: the second is refused before it decodes; what a killed run left is swept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.rendered import render
from tests.helpers.saved import save_hot
from vidcam.errors import OutputError
from vidcam.pipelines.render import renderer
from vidcam.pipelines.report import writer
from vidcam.pipelines.report.writer import report
from vidcam.system.exchange import claimed_path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


def no_work(*_: object, **__: object) -> None:
    pytest.fail("the work began")


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png", "a.pdf", "frames"])
def test_a_second_rendering_is_refused_before_its_work(
    name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "opened_source", no_work)
    with claimed_path(tmp_path / name, overwrite=False) as hidden:
        with pytest.raises(OutputError, match=rf"another run is writing '.*{name}'; wait for it"):
            render(saved, tmp_path / name)
        hidden.touch()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_second_page_is_refused_before_its_work(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "shown_of", no_work)
    with claimed_path(tmp_path / "a.html", overwrite=False) as hidden:
        with pytest.raises(OutputError, match="another run is writing"):
            report(saved, tmp_path / "a.html")
        hidden.touch()


@pytest.mark.parametrize("name", ["a.mp4", "frames"])
def test_what_a_killed_rendering_left_is_swept(name: str, saved: Path, tmp_path: Path) -> None:
    left = tmp_path / f".{name}.0123456789abcdef.part"
    left.mkdir()
    (left / name).touch()
    render(saved, tmp_path / name, end=0.1)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_earlier_sequence_is_refused_before_the_work(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "opened_source", no_work)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "mine.txt").touch()
    with pytest.raises(OutputError, match="exists already; choose another folder"):
        render(saved, tmp_path / "frames", overwrite=True)
