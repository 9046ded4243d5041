"""A canvas as SVG and PDF: text, lines, and pictures with all their pixels, the right way up."""

from __future__ import annotations

import base64
import io
import re
import zlib
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vidcam.render.canvas import Canvas, TextStyle

SIZE = (200, 120)  # (width, height)


def picture() -> NDArray[np.uint8]:
    """Return a picture of more than 256 colours, which a PDF stores without a palette."""
    return np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)


def canvas() -> Canvas:
    made = Canvas(SIZE[0])
    made.text(10, 10, "probability $1$ ü", TextStyle(12))
    made.line([0, 100], [60, 60], "#ff0000", dashes_px=(4, 2))
    made.box(0, 100, 50, 110, "#00ff00", opacity=0.5)
    made.picture(100, 70, picture(), size=(10, 20))
    return made


def test_an_svg_holds_the_picture_upside_down_and_turns_it() -> None:
    svg = ET.fromstring(canvas().to_svg(SIZE[1]))  # noqa: S314 – our own
    assert svg.attrib["viewBox"] == "0 0 200 120"
    (image,) = svg.iter("{http://www.w3.org/2000/svg}image")
    data = base64.b64decode(image.attrib["{http://www.w3.org/1999/xlink}href"].partition(",")[2])
    with Image.open(io.BytesIO(data)) as stored:
        np.testing.assert_array_equal(np.asarray(stored.convert("RGB"))[::-1], picture())
    assert (float(image.attrib["width"]), float(image.attrib["height"])) == (20, 10)
    assert "scale(1 -1)" in image.attrib["transform"]
    shift = float(re.findall(r"translate\(0 (-?[\d.]+)\)", image.attrib["transform"])[0])
    assert -(float(image.attrib["y"]) + shift) == pytest.approx(70 + 10)  # its bottom, 80 below the top
    assert float(image.attrib["x"]) == 100


def test_an_svg_has_outlines_and_no_date() -> None:
    text = canvas().to_svg(SIZE[1]).decode()
    assert "<text" not in text
    assert text.count("<use") >= len("probability$1$ü")
    assert "stroke-dasharray" in text
    assert "date" not in text


def streams(pdf: bytes) -> list[bytes]:
    """Return the streams of a PDF, inflated."""
    stream = re.compile(rb"FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
    return [zlib.decompress(data) for data in stream.findall(pdf)]


def test_a_pdf_has_one_page_with_fonts_and_the_picture_right_way_up() -> None:
    pdf = canvas().to_pdf(SIZE[1])
    assert b"/MediaBox [ 0 0 200 120 ]" in pdf
    assert b"DejaVuSans" in pdf
    assert b"CreationDate" not in pdf
    content = streams(pdf)[0].decode("latin-1")
    assert re.search(r"\b20 0 0 10 100 40 cm", content)  # 20 × 10, its bottom 40 above the bottom of the page
    assert "] 0 d" in content
    baseline = 10 + (17 + 0.72 * 12) / 2  # of a line box of 17 pixels that starts at 10
    x, y = re.findall(r"1 0 -?0 1 (\S+) (\S+) cm\s+BT", content)[0]
    assert (float(x), float(y)) == pytest.approx((10, SIZE[1] - baseline), abs=0.01)
    pixels = picture().tobytes()
    assert any(pixels in stream or _unfiltered(stream) == pixels for stream in streams(pdf))


def _unfiltered(stream: bytes) -> bytes:
    """Undo the PNG filters of the picture's rows, by PNG itself."""
    if len(stream) != 20 * (40 * 3 + 1):
        return b""
    header = b"\x00\x00\x00\x28\x00\x00\x00\x14\x08\x02\x00\x00\x00"
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(stream)), (b"IEND", b""))
    )
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).tobytes()


def test_the_users_settings_have_no_effect_and_stay() -> None:
    former = canvas().to_svg(SIZE[1]), canvas().to_pdf(SIZE[1])
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": None, "pdf.fonttype": 3, "svg.image_inline": False}):
        assert (canvas().to_svg(SIZE[1]), canvas().to_pdf(SIZE[1])) == former
        assert mpl.rcParams["svg.fonttype"] == "none"
