"""Pages as files: what is in them, what is refused, their size. No browser."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import vidcam
from tests.helpers.saved import save_hot
from tests.helpers.videos import noise_frames, write_video
from vidcam.errors import InputError, MediaError, OutputError
from vidcam.pipelines.report.packing import PackedBlock
from vidcam.pipelines.report.page import MODULES, asset, palettes, script
from vidcam.pipelines.report.videos import MOST_EMBEDDED, link
from vidcam.pipelines.report.writer import framed, report
from vidcam.render.colormap import colour_table
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation


def data_in(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    return cast("dict[str, Any]", json.loads(found[1]))


def data_of(path: Path) -> dict[str, Any]:
    return data_in(path.read_text("utf-8"))


def test_a_block_gives_back_what_it_got() -> None:
    block, random = PackedBlock(), np.random.default_rng(0)
    cells = random.random((3, 2, 4, 5)).astype(np.float32) * 40 - 3
    seconds = np.array([0.0, 0.04, 0.12, 4000.0, 3.5])
    sections = block.cells(cells), block.times(seconds), block.floats(np.array([0.5, np.nan, 1e308, -1e308]))
    raw = zlib.decompress(b64decode(block.to_base64()))

    def values(number: int, dtype: str) -> Any:
        section, size = sections[number], np.dtype(dtype).itemsize
        count = int(np.prod(section.shape))
        planes = np.frombuffer(raw, np.uint8, count * size, section.offset).reshape(size, count)
        return np.ascontiguousarray(planes.T).view(dtype).reshape(section.shape)

    back = sections[0].low + sections[0].step * values(0, "<u2")
    assert np.abs(back - cells).max() <= np.ptp(cells) / 131070 * 1.01
    assert np.cumsum(values(1, "<i8")) / 1e6 == pytest.approx(seconds)
    np.testing.assert_array_equal(values(2, "<f4"), [0.5, np.nan, np.inf, -np.inf])


def test_the_page_is_small(tmp_path: Path) -> None:
    page = report(save_hot(tmp_path), tmp_path / "page.html", embed=0).path
    assert page.stat().st_size < 120_000


def test_the_video_is_in_the_page_or_linked(tmp_path: Path) -> None:
    saved = save_hot(tmp_path, sound=np.zeros(48_000, np.float32))  # h264 and yuv420p
    (inside,) = data_of(report(saved, tmp_path / "in.html").path)["clips"][0]["videos"]
    assert (inside["embedded"], inside["href"]) == ("video-0", "")
    (tmp_path / "deep").mkdir()
    (linked,) = data_of(report(saved, tmp_path / "deep" / "out.html", embed=0).path)["clips"][0]["videos"]
    assert (linked["embedded"], linked["href"]) == ("", "../video.mp4")


def test_results_of_one_video_become_targets_of_one(tmp_path: Path) -> None:
    first = load(save_hot(tmp_path))
    assert isinstance(first, VideoExplanation)
    against = tuple(replace(each, contrast=np.full(3, 1)) for each in first.explanations)
    data = data_of(report([first, replace(first, explanations=against)], tmp_path / "page.html").path)
    (clip,) = data["clips"]
    names = [(target["label"], target["contrast"]) for target in clip["targets"]]
    assert names == [
        ("running", None), ("per-window", None), ("running", "jumping"), ("per-window", "jumping"),
    ]  # fmt: skip


def test_a_video_that_browsers_do_not_play_is_told_and_copied(tmp_path: Path) -> None:
    saved = save_hot(tmp_path)  # h264 in rgb
    plain = report(saved, tmp_path / "plain.html")
    assert "--proxy" in plain.notes[0]
    copied = report(saved, tmp_path / "copied.html", proxy=True)
    assert copied.notes == ()
    (video,) = data_of(copied.path)["clips"][0]["videos"]
    assert (video["kind"], video["embedded"]) == ("proxy", "video-0")


def test_a_copy_beside_the_page_is_replaced_with_overwrite_only(tmp_path: Path) -> None:
    saved, copy = save_hot(tmp_path), tmp_path / "page_proxy.mp4"
    copy.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"page_proxy\.mp4' exists already"):
        report(saved, tmp_path / "page.html", proxy=True, embed=0)
    assert copy.read_bytes() == b"mine"
    assert not (tmp_path / "page.html").exists()
    report(saved, tmp_path / "page.html", proxy=True, embed=0, overwrite=True)
    assert copy.read_bytes() != b"mine"


def test_a_lost_video_is_no_error(tmp_path: Path) -> None:
    saved = save_hot(tmp_path)
    (tmp_path / "video.mp4").unlink()
    written = report(saved, tmp_path / "page.html")
    assert "not at hand" in written.notes[0]


def test_what_is_refused(tmp_path: Path) -> None:
    saved = save_hot(tmp_path)
    with pytest.raises(InputError, match=r"must end in \.html"):
        report(saved, tmp_path / "page.pdf")
    with pytest.raises(InputError, match="no result"):
        report([], tmp_path / "page.html")
    with pytest.raises(InputError, match="--embed is -1"):
        report(saved, tmp_path / "page.html", embed=-1)
    with pytest.raises(InputError, match="one result, not 2"):
        report([saved, saved], tmp_path / "page.html", source=tmp_path / "video.mp4")
    with pytest.raises(MediaError, match=r"none\.npz does not exist"):
        report(tmp_path / "none.npz", tmp_path / "page.html")
    other = write_video(tmp_path / "other.mp4", noise_frames(9))
    with pytest.raises(MediaError, match="not the explained video"):
        report(saved, tmp_path / "page.html", source=other)
    assert not (tmp_path / "page.html").exists()
    report(saved, tmp_path / "page.html")
    with pytest.raises(OutputError, match="exists already"):
        report(saved, tmp_path / "page.html")


def test_the_same_maps_make_the_same_page(tmp_path: Path) -> None:
    saved = save_hot(tmp_path)
    first, second = (report(saved, tmp_path / f"{name}.html").path.read_bytes() for name in "ab")
    assert first == second


def test_no_label_ends_the_script(tmp_path: Path) -> None:
    explanation = load(save_hot(tmp_path))
    assert isinstance(explanation, VideoExplanation)
    named = replace(explanation, labels=("</script><script>alert(1)</script>", "x"), source="<!--.mp4")
    text = report(named, tmp_path / "page.html", source=tmp_path / "video.mp4").path.read_text("utf-8")
    assert "alert(1)</script>" not in text
    assert text.count("</script>") == 3
    assert data_of(tmp_path / "page.html")["clips"][0]["targets"][0]["label"].startswith("</script>")


def test_a_notebook_shows_the_page(tmp_path: Path) -> None:
    html = report(save_hot(tmp_path), tmp_path / "page.html")._repr_html_()
    assert html is not None
    assert html.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert 'sandbox="allow-scripts' in framed("")


def test_every_module_is_in_the_script() -> None:
    code = "".join(map(script, MODULES))
    folder = Path(vidcam.__file__).parent / "pipelines" / "report" / "page"
    assert {path.name for path in folder.glob("*.js")} == {name for names in MODULES.values() for name in names}
    assert not re.search(r"^(import|export)\b", code, re.MULTILINE)
    assert "eval(" not in code
    assert "innerHTML" not in code
    names = set(re.findall(r"\{\{(\w+)\}\}", asset("frame.html")))
    assert names == {"policy", "title", "style", "body", "script", "data", "block", "media"}


def test_palettes_are_those_of_render() -> None:
    for name, text in palettes().items():
        assert b64decode(text) == colour_table(name).tobytes()


def test_links_have_no_scheme(tmp_path: Path) -> None:
    assert link(tmp_path / "a:b c#1?.mp4", tmp_path) == "./a%3Ab%20c%231%3F.mp4"
    assert MOST_EMBEDDED == 20_000_000
