"""Options and helpers of the tests of `explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions

PAIR = ("gradcam", "gradcam++")
EVERYTHING = ExplainOptions(methods=PAIR, outputs=OUTPUTS)


def read_document(path: Path) -> dict[str, Any]:
    """The JSON as mappings and lists."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document
