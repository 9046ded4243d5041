"""A small table of scores that can be worked out in the head, and settings to go with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidcam.models.model import Forward
from vidcam.pipelines.score.settings import Provenance, Settings
from vidcam.pipelines.score.table import ClipInfo, ScoreTable

NAN = float("nan")
PROVENANCE = Provenance(vidcam="0", torch="1", numpy="2", av="3", device="cpu")
SETTINGS = Settings(
    model="tiny",
    weights="own",
    labels="3 (sha256 0)",
    mean_cube=None,
    layer=("relu",),
    fusion="mean",
    methods=("gradcam", "gradcam++"),
    measures=("drop", "relative", "retention"),
    controls=True,
    windows="central",
    fill="black",
    score_scale=1.0,
    steps=16,
    fine="pooled",
    budget=200,
    batch_size=4,
    forward=Forward(),
    seed=0,
    min_confidence=0.0,
    correct_only=False,
    clips="3 (sha256 0)",
)
DONE = replace(SETTINGS, provenance=(PROVENANCE,))
"""The settings of a run that has scored clips."""


def scores() -> ScoreTable:
    """Two clips, two methods and a control; gradcam+ keeps twice as much of the second clip."""
    rows: dict[str, list[list[float]]] = {
        "drop": [[0.5, 0.8], [0.5, 0.6], [0.9, 1.0]],
        "increase": [[0, 0], [0, 1], [0, 0]],
        "area": [[0.2, 0.4], [0.3, 0.3], [0.36, 0.36]],
        "empty": [[0, 1], [0, 0], [0, 0]],
        "log_masked_probability": np.log([[0.4, 0.1], [0.4, 0.2], [0.1, 0.1]]).tolist(),
        "log_masked_post_softmax": [*np.log([[0.4, 0.1], [0.2, 0.2]]).tolist(), [NAN, NAN]],
        "probability": [[0.8, 0.5]] * 3,
        "log_probability": np.log([[0.8, 0.5]] * 3).tolist(),
        "retention_0.25": [[0.8, 0.8], [0.8, 0.8], [0.4, 0.8]],
        "retention_0.5": [[0.9, 0.7], [1.1, 0.9], [0.2, 0.4]],
        "retention_0.75": [[0.1, 0.4], [0.2, 0.4], [0.1, 0.2]],
        "start": [[0.0, 1.5]] * 3,
    }
    names = ("alpha_min", "alpha_q1", "alpha_median", "alpha_q3", "alpha_max", "alpha_all_min", "alpha_all_max")
    rows |= {name: [[NAN, NAN]] * 3 for name in (*names, "correlation_with_gradcam_plus")}
    return ScoreTable(
        methods=("gradcam", "gradcam+", "centre"),
        columns=tuple(rows),
        counts={"scored": 2, "failed": 1, "left out": 0},
        clips=ClipInfo([0, 2], ["a.mp4", "c.mp4"], ["a", "c"], ["yoga", "archery"], [1, 1]),
        failures=[("b.mp4", "no | video")],
        labelled=(1, 1, 1),
        evidence={},
        _values={name: np.array(values) for name, values in rows.items()},
    )
