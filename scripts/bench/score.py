"""Case `score`: a scoring run beside the forward passes that its measures need.

Forward passes are timed between the clips of the same run, by the copy of the network that scoring runs: a machine
whose speed drifts treats both alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import vidcam
from scripts.bench.tables import Row, Table, Target
from scripts.bench.timing import plain_forward, quartiles, timed
from scripts.bench.videos import make_set
from scripts.library import BATCH, faster, grey_input
from vidcam.models.registry import load_model


def scoring(name: str, clips: int) -> Table:
    """Time a scoring run, and the forward passes that it needs at the same batch size."""
    model, samples = load_model(name, device="cpu", weights="random"), list[float]()
    module, batch = faster(model, str(model.spec.layer)), grey_input(model.spec).repeat(BATCH, 1, 1, 1, 1)

    def sample(stage: str, _done: float, _total: float | None) -> None:
        """Time a forward pass between two clips."""
        if stage == "scoring clips":
            samples.append(timed(lambda: plain_forward(module, batch))[0])

    with tempfile.TemporaryDirectory() as folder:
        manifest, started = make_set(Path(folder), clips), time.perf_counter()
        result = vidcam.score_clips(manifest, Path(folder) / "out", model=model, progress=sample)
        wall = time.perf_counter() - started - sum(samples)
    passes = sum(result.forwards)
    low, median, high = quartiles([seconds / BATCH * passes for seconds in samples])
    rows = {
        f"{passes} forward passes": Row((low, median, high), ratio=(1.0, 1.0, 1.0)),
        "vidcam score": Row((wall, wall, wall), ratio=(wall / high, wall / median, wall / low)),
    }
    target = Target("scoring over its forward passes", wall / (statistics.mean(samples) / BATCH * passes), 1.10)
    note = f"Seconds for {clips} clips, default measures, batch {BATCH}, with decoding, maps and tables."
    return Table(f"{name}: scoring a set", note, rows, (target,))
