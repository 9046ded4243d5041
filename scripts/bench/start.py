"""How long the first window takes: a fresh process loads I3D and explains one window, in units of a forward pass.

Runs by itself too: `python -m scripts.bench.start FOLDER` is one such process, and prints its seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from scripts.bench.tables import Row, Table, Target
from scripts.bench.videos import FPS, make_video

_SECONDS = 4


def start(runs: int) -> Table:
    """Time the start without the import of torch, with `--verdict-forwards 0` and what vidcam remembers of the model.

    Args:
        runs: processes, after one that is not timed. It also keeps the compiled code of all modules, as after any
            first run of a user's.
    """
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        make_video(Path(folder) / "video.mp4", _SECONDS * FPS)
        command = [sys.executable, "-m", "scripts.bench.start", folder]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPYCACHEPREFIX": str(Path(folder) / "code")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for run in range(runs + 1):
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            for line in done.stdout.splitlines() if run else ():
                name, _, seconds = line.partition("\t")
                rows.setdefault(name, []).append(float(seconds))
    forward = statistics.median(rows[_FORWARD])
    table = {
        name: Row(
            more={
                "seconds": round(statistics.median(values), 2),
                "forwards": round(statistics.median(values) / forward, 1),
            }
        )
        for name, values in rows.items()
    }
    in_all = statistics.median(a / b for a, b in zip(rows[_ALL], rows[_FORWARD], strict=True))
    return Table(
        "i3d: the first window of a video",
        f"Medians of {runs} processes. The import of torch is not in it.",
        table,
        (Target("forward passes until the first window is explained and drawn", in_all, 5.0),),
    )


_FORWARD, _ALL = "a forward pass", "in all"


def _once(folder: Path) -> None:
    began = time.perf_counter()
    from vidcam.models.registry import load_model
    from vidcam.pipelines.explain.explainer import Explainer
    from vidcam.pipelines.explain.request import ExplainOptions

    imported = time.perf_counter()
    model = load_model("i3d", device="cpu")
    loaded = time.perf_counter()
    explainer = Explainer(model, ExplainOptions(at=1.0, verdict_forwards=0, overwrite=True))
    prepared = time.perf_counter()
    stages = explainer.explain(folder / "video.mp4", folder / "out").stage_seconds
    ended = time.perf_counter()
    from vidcam.preprocess import grey_input

    clip, seconds = grey_input(model.spec), []
    with torch.no_grad():
        for _ in range(6):
            before = time.perf_counter()
            explainer.ready.model.module(clip)
            seconds.append(time.perf_counter() - before)
    rows = {
        _FORWARD: statistics.median(seconds[1:]),
        "import of vidcam": imported - began,
        "load the model": loaded - imported,
        "prepare it": prepared - loaded,
        "model and maps": stages["model and maps"],
        "the rest: decode, draw, encode, sheet": ended - prepared - stages["model and maps"],
        _ALL: ended - began,
    }
    print("\n".join(f"{name}\t{value}" for name, value in rows.items()))


if __name__ == "__main__":
    _once(Path(sys.argv[1]))
