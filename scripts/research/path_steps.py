"""The error of integrated gradients at the input against the number of steps, for several rules.

The error is that of completeness: the sum of the map against the difference of the scores of clip and baseline, for
the predicted class and a flat grey baseline. Times are in plain forward passes of the same clip.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from scripts import markdown
from scripts.library import grey_input, view_of
from scripts.research.pool import to_input
from vidcam.axes import Axes
from vidcam.cam.path_gradients import Rule, graded_midpoints, integrated_gradients
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.study.motion_set import mixed

FIRST_SEED = 700_000


def midpoints(steps: int) -> tuple[Sequence[float], Sequence[float]]:
    """Midpoints of equal parts."""
    return ((np.arange(steps) + 0.5) / steps).tolist(), [1 / steps] * steps


def gauss_legendre(steps: int) -> tuple[Sequence[float], Sequence[float]]:
    """The Gauss-Legendre rule."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return ((points + 1) / 2).tolist(), (weights / 2).tolist()


RULES: dict[str, Rule] = {
    "graded midpoints": graded_midpoints,
    "midpoints": midpoints,
    "Gauss-Legendre": gauss_legendre,
}


@click.command()
@click.argument("model_name", metavar="MODEL")
@click.argument("videos", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--clips", type=int, default=8, show_default=True, help="Of the motion set, if no video is named.")
@click.option("--steps", "numbers", type=int, multiple=True, default=(8, 16, 32), show_default=True)
def path_steps(*, model_name: str, videos: tuple[Path, ...], clips: int, numbers: tuple[int, ...]) -> None:
    """Print the table in Markdown: median and largest error, in percent, and the time."""
    model = load_model(model_name, device="cpu")
    errors: dict[tuple[str, int], list[float]] = {}
    costs: dict[tuple[str, int], list[float]] = {}
    for clip in _clips(model, videos, clips):
        for key, error, cost in _measured(model, clip, numbers):
            errors.setdefault(key, []).append(100 * abs(error))
            costs.setdefault(key, []).append(cost)
            click.echo(f"{key[0]}, {key[1]} steps: {100 * error:.2f} %, {cost:.1f} forwards", err=True)
    rows = [
        [name, str(steps), f"{np.median(values):.1f}", f"{max(values):.1f}", f"{np.median(costs[name, steps]):.0f}"]
        for (name, steps), values in errors.items()
    ]
    click.echo("\n".join(markdown.table(["rule", "steps", "median error %", "largest %", "forwards"], rows)))


def _clips(model: Model, videos: Sequence[Path], clips: int) -> Iterator[Tensor]:
    if videos:
        yield from (view_of(model, video, 0.0).clip for video in videos)
    elif model.spec.name in {spec.name for spec in TINY_SPECS}:
        for request in mixed(clips, first_seed=FIRST_SEED):
            yield to_input(torch.from_numpy(request.clip().frames[None]))
    else:
        raise click.UsageError("name videos; the motion set is for tiny_r3d and tiny_c3d")


def _measured(model: Model, clip: Tensor, numbers: Sequence[int]) -> Iterator[tuple[tuple[str, int], float, float]]:
    grey, network = grey_input(model.spec), model.module.eval()
    with torch.no_grad():
        target = int(network(clip).argmax())
        forward = _seconds(lambda: network(clip))

    def score(part: Tensor) -> Tensor:
        return torch.as_tensor(network(part))[:, target]

    for steps in numbers:
        for name, rule in RULES.items():
            start = time.perf_counter()
            found = integrated_gradients(score, clip, grey, Axes("NCTHW"), steps=steps, rule=rule)  # type: ignore[arg-type]
            yield (name, steps), float(found.error[0]), (time.perf_counter() - start) / forward


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    path_steps()
