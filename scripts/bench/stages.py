"""Case `stages`: what verdict, sheet and page add to the time of `explain`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scripts.bench.tables import Row, Table, Target
from scripts.bench.timing import quartiles
from scripts.bench.videos import FPS, make_video
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import ExplainOptions

LIMITS = {"verdict": 0.10, "report": 0.05}
"""Stage → the largest share of the time of `explain`, for videos over 30 s."""


def stages(name: str, seconds: int, runs: int) -> Table:
    """Time the stages of `explain`, as it is called by default."""
    explainer = Explainer(load_model(name, device="cpu", weights="random"), ExplainOptions(overwrite=True))
    shares, spent = dict[str, list[float]](), dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as folder:
        source = make_video(Path(folder) / "video.mp4", seconds * FPS)
        for _ in range(runs):
            began = time.perf_counter()
            clock = explainer.explain(source, Path(folder) / "out").stage_seconds
            wall = time.perf_counter() - began
            for stage, value in {**clock, "in all": wall}.items():
                spent.setdefault(stage, []).append(value)
                shares.setdefault(stage, []).append(value / wall)
    rows = {stage: Row(quartiles(spent[stage]), ratio=quartiles(shares[stage])) for stage in spent}
    targets = tuple(Target(f"{stage} of the time", rows[stage].ratio[1], limit) for stage, limit in LIMITS.items())
    note = f"A video of {seconds} s, 340 × 256, default outputs. Ratio: of the whole. Stages overlap. Runs: {runs}."
    return Table(f"{name}: the stages of explain", note, rows, targets)
