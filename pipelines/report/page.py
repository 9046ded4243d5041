"""Put a page together: HTML, style, script, data. Nothing in it is loaded from elsewhere.

The script is the modules of `page/`, in the order in which they import each other, without their import lines. A
Content-Security-Policy allows this script and this style alone, by their hashes, and no connection.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from vidcam.pipelines.report.content import PageData
from vidcam.system.json_files import from_json, to_json

MODULES = (
    "arithmetic.js",
    "maps.js",
    "dom.js",
    "unpack.js",
    "draw.js",
    "state.js",
    "player.js",
    "strip.js",
    "tiles.js",
    "controls.js",
    "words.js",
    "texts.js",
    "files.js",
    "keys.js",
    "main.js",
)
"""Of the page of a video, in the order in which they depend on each other."""

SET_MODULES = ("dom.js", "unpack.js", "clipdialog.js", "confusions.js", "curves.js", "set.js")
"""Of the page of a scored set."""

STUDY_MODULES = (
    "arithmetic.js",
    "maps.js",
    "dom.js",
    "unpack.js",
    "draw.js",
    "player.js",
    "tiles.js",
    "study-store.js",
    "study-files.js",
    "study-screen.js",
    "study.js",
)
"""Of the page of a study; the pipeline `trust` writes it."""

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|class|const|let)\b)", re.MULTILINE)
_COMMENT = re.compile(r"^\s*/\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)


def asset(name: str) -> str:
    """Read a file of `page/`."""
    return (files("vidcam.pipelines.report") / "page" / name).read_text("utf-8")


@lru_cache(maxsize=3)
def script(modules: tuple[str, ...] = MODULES) -> str:
    """Return modules as one, without their documentation."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _COMMENT.sub("", asset(name)))) for name in modules)


def palettes() -> Mapping[str, str]:
    """Return name → base64 of 256 × 3 bytes."""
    return from_json(asset("palettes.json"), dict[str, str])


def page_html(data: PageData, block: str, media: Mapping[str, str]) -> str:
    """Write the page of videos.

    Args:
        data: what it shows.
        block: the numbers, see `packing.PackedBlock`.
        media: `id` → base64 of a video.
    """
    return fill_page("page", data.title, to_json(data, indent=0), block=block, media=media, modules=MODULES)


def fill_page(name: str, title: str, data: str, *, block: str, media: Mapping[str, str], modules: Sequence[str]) -> str:
    """Fill `frame.html` with `<name>.html` and what is given; arguments as in `page_html`, with the data as JSON."""
    code = script(tuple(modules))
    style = asset("style.css") + ("" if name == "page" else asset(f"{name}.css"))
    parts = {
        "title": escape(title),
        "policy": escape(_policy(code, style)),
        "body": asset(f"{name}.html"),
        "style": style,
        "script": code,
        "data": in_script(data),
        "block": block,
        "media": "\n".join(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in media.items()),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], asset("frame.html"))


def in_script(text: str) -> str:
    """Escape JSON for a script element: no label can end it, nor open a comment in it."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(code: str, style: str) -> str:
    def allowed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed(code)}",
            f"style-src {allowed(style)}",
            "img-src data: blob:",
            "media-src 'self' file: data: blob:",
            "frame-src 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
