"""Put a page together: HTML, style, script, data. Nothing in it is loaded from elsewhere.

The script is the modules of `page/`, in the order in which they import each other, without their import lines. A
Content-Security-Policy allows this script and this style alone, by their hashes, and no connection.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from vidcam.pipelines.report.packing import PackedBlock
from vidcam.system.json_files import from_json, to_json

PageName = Literal["page", "set", "study"]
"""The page of videos, of a scored set, and of a study, which the pipeline `trust` writes."""

MODULES: Mapping[PageName, tuple[str, ...]] = MappingProxyType(
    {
        "page": (
            *("arithmetic.js", "maps.js", "dom.js", "unpack.js", "draw.js", "state.js", "player.js", "strip.js"),
            *("tiles.js", "controls.js", "words.js", "texts.js", "files.js", "keys.js", "main.js"),
        ),
        "set": ("dom.js", "unpack.js", "clipdialog.js", "confusions.js", "curves.js", "set.js"),
        "study": (
            *("arithmetic.js", "maps.js", "dom.js", "unpack.js", "draw.js", "player.js", "tiles.js"),
            *("study-store.js", "study-files.js", "study-screen.js", "study.js"),
        ),
    }
)
"""The modules of each page, in the order in which they depend on each other."""

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|class|const|let)\b)", re.MULTILINE)
_COMMENT = re.compile(r"^\s*/\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)


def asset(name: str) -> str:
    """Read a file of `page/`."""
    return (files("vidcam.pipelines.report") / "page" / name).read_text("utf-8")


@lru_cache(maxsize=3)
def script(page: PageName) -> str:
    """Return the modules of a page as one, without their documentation."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _COMMENT.sub("", asset(name)))) for name in MODULES[page])


def palettes() -> Mapping[str, str]:
    """Return name → base64 of 256 × 3 bytes."""
    return from_json(asset("palettes.json"), dict[str, str])


def fill_page(page: PageName, title: str, data: object, block: PackedBlock, media: Mapping[str, str]) -> str:
    """Fill `frame.html` with what a page shows, its numbers, and its videos, `id` → base64."""
    code = script(page)
    style = asset("style.css") + ("" if page == "page" else asset(f"{page}.css"))
    parts = {
        "title": escape(title),
        "policy": escape(_policy(code, style)),
        "body": asset(f"{page}.html"),
        "style": style,
        "script": code,
        "data": _in_script(to_json(data, indent=0)),
        "block": block.to_base64(),
        "media": "\n".join(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in media.items()),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], asset("frame.html"))


def _in_script(text: str) -> str:
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
