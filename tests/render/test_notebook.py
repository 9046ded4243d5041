"""Results in a notebook: embedded files and pages of maps."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidcam.render import notebook
from vidcam.render.colormap import colour_table
from vidcam.render.notebook import html_of, html_of_verdicts, maps_page
from vidcam.render.overlay import overlay
from vidcam.results.verdict import Verdict


@pytest.mark.parametrize(("name", "start"), [("a.mp4", "<video controls"), ("a.webm", "<video"), ("a.gif", "<img")])
def test_a_file_is_embedded(name: str, start: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"moving")
    html = html_of(tmp_path / name) or ""
    assert html.startswith(start)
    assert base64.b64encode(b"moving").decode() in html


def test_large_missing_and_other_files_are_not_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.npz").write_bytes(b"maps")
    (tmp_path / "a.mp4").write_bytes(b"moving")
    monkeypatch.setattr(notebook, "MAX_BYTES", 5)
    assert [html_of(tmp_path / name) for name in ("a.npz", "a.mp4", "gone.mp4")] == [None, None, None]


def test_verdicts_come_before_remarks_and_no_text_becomes_markup() -> None:
    verdicts = [("gradcam, <b>", Verdict("unreliable", "keeps 3 % < 40 %")), ("cam", Verdict("reliable", "keeps 80 %"))]
    html = html_of_verdicts(verdicts, ["Motion counts & more."])
    places = [html.index(text) for text in ("gradcam, &lt;b&gt;", "✗ unreliable", "✓ reliable", "counts &amp; more")]
    assert places == sorted(places)
    assert "3 % &lt; 40 %" in html


def test_maps_page_shows_the_colours_of_the_table() -> None:
    heat = np.zeros((8, 4, 4), np.float32)
    heat[-1] = 1.0
    with Image.open(io.BytesIO(maps_page({"gradcam": heat}, title="class 1", subtitle="audit"))) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for end in (0, 255):
        assert (pixels == colour_table()[end]).all(axis=1).sum() > 1000


def test_maps_page_shows_the_clip_and_the_maps_over_it() -> None:
    heat = np.zeros((2, 4, 4), np.float32)
    heat[1] = 1.0
    frames = np.full((2, 8, 8, 3), 90, np.uint8)
    with Image.open(io.BytesIO(maps_page({"gradcam": heat}, frames, title="", subtitle=""))) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    cell = 570 * 570  # pixels of one of two columns
    assert (pixels == 90).all(axis=1).sum() == pytest.approx(3 * cell, rel=0.02)  # two of the clip, one without heat
    hot = overlay(frames, heat)[1, 0, 0]
    assert (pixels == hot).all(axis=1).sum() == pytest.approx(cell, rel=0.02)
