"""Score a made set in one run and in shards that are killed and resumed, and compare the bytes.

`python -m scripts.bench kills --clips 10000 --kills 20`. The clips are windows of made videos of 32 × 32, scored by
`tiny_r3d`. Each shard is a process of its own; some are killed after a random number of parts and started again.
"""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from scripts.bench.videos import make_set
from vidcam.models.registry import load_model
from vidcam.pipelines.score.merge import merge_shards
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.store import CLIPS_PER_PART

OPTIONS = {"methods": ("gradcam",), "measures": "drop", "controls": False, "threads": 1}


def score(manifest: Path, out: Path, shard: str | None) -> None:
    """Score in this process."""
    score_set(manifest, out, ScoreOptions(**OPTIONS, shard=shard), model="tiny_r3d")  # type: ignore[arg-type]


def finish(manifest: Path, out: Path, shard: str | None, moments: Sequence[int] = ()) -> int:
    """Score in another process, which is killed and started again once it has written so many parts.

    Args:
        manifest: the set.
        out: folder of the results.
        shard: the shard; None: the whole set.
        moments: numbers of parts, increasing.

    Returns:
        The number of kills.
    """
    context, remaining = multiprocessing.get_context("fork"), list(moments)
    while True:
        process = context.Process(target=score, args=(manifest, out, shard))
        process.start()
        while process.is_alive():
            if remaining and len(list((out / "scores").glob("part-*"))) >= remaining[0]:
                process.kill()
                process.join()
                remaining.pop(0)
            time.sleep(0.002)
        if process.exitcode == 0:
            return len(moments) - len(remaining)


def differing(one: Path, other: Path) -> list[str]:
    """Names of the files that are missing in one of the folders, or have other bytes."""
    names = {path.name for folder in (one, other) for path in folder.iterdir() if path.is_file()} - {"run.toml"}
    return [
        name
        for name in sorted(names)
        if not ((one / name).exists() and (other / name).exists())
        or (one / name).read_bytes() != (other / name).read_bytes()
    ]


@click.command("kills")
@click.option("--clips", type=int, default=320, show_default=True)
@click.option("--kills", type=int, default=8, show_default=True, help="Kills for each number of shards.")
@click.option("--shards", type=int, multiple=True, default=(1, 4, 16), show_default=True)
def kills(clips: int, kills: int, shards: tuple[int, ...]) -> None:
    """Compare one run with shards that are killed and resumed."""
    torch.set_num_threads(1)  # before the first operation: processes that fork must have no threads
    load_model("tiny_r3d")
    draw = random.Random(0)  # noqa: S311 – not for secrets
    with tempfile.TemporaryDirectory() as place:
        folder, started = Path(place), time.perf_counter()
        manifest = make_set(folder, clips, size=(32, 32))
        finish(manifest, folder / "one", None)
        click.echo(f"one run: {time.perf_counter() - started:.0f} s")
        for of in shards:
            done, folders = 0, [folder / f"{of}-{number}" for number in range(1, of + 1)]
            parts = max(1, clips // of // CLIPS_PER_PART)
            moments = [sorted(draw.randint(1, parts) for _ in range(number, kills, of)) for number in range(of)]
            for number, out in enumerate(folders, start=1):
                done += finish(manifest, out, f"{number}/{of}", moments[number - 1])
            started = time.perf_counter()
            merge_shards(folders, folder / f"merged-{of}")
            seconds = time.perf_counter() - started
            others = differing(folder / "one", folder / f"merged-{of}")
            click.echo(f"{of} shards, {done} kills, merged in {seconds:.0f} s: files that differ: {others or 'none'}")
