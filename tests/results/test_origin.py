"""Where an explanation comes from, through JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict

from vidcam.results.origin import Origin, origin_from


def test_comes_back_from_json() -> None:
    origin = Origin("../film.mp4", "ab" * 32, (0.5, 2.5), "25/2", (1.0, 2.0, 3.5))
    assert origin_from(json.loads(json.dumps(asdict(origin)))) == origin
