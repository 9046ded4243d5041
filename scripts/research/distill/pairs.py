"""Two motions in one clip, the counterpart of GC++ table 5: sigmoids, mean average precision, α = 0.01.

Two clips of different classes stand side by side, (16, 64, 128). The teacher is tiny_r3d with a new last layer, trained
on these clips while all else is frozen, as the paper's VGG-16 was. Student, steps and seeds are those of table 4.

    scripts/run research.distill.pairs --out FOLDER                # run and print; resumed as the other tables are
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts import markdown
from scripts.research.distill.data import held_out_pool, training_pool
from scripts.research.distill.networks import as_batch, student_input
from scripts.research.distill.results import Run, append, is_done, read
from scripts.research.distill.rows import Row
from scripts.research.distill.tables import interval, paired
from scripts.research.distill.training import AT_ONCE, TEACHER, Lessons, Setting, trained
from scripts.research.pool import Pool, to_input
from vidcam.cam.differentiable import DifferentiableMaps, differentiable_maps
from vidcam.models.registry import load_model
from vidcam.motion.paths import LABELS

RUNS = "pairs.jsonl"
ROWS = (
    Row("gradcam++", "gradcam++"),
    Row("cross-entropy + KD", hinton=1.0),
    Row("cross-entropy"),
    Row("gradcam++ normalised", "gradcam++", "normalised"),
)
PAPER = {"gradcam++": 0.42, "cross-entropy + KD": 0.34, "cross-entropy": 0.31}
"""mAP of GC++ table 5: VOC 2007, VGG-16 teaches an 11-layer CNN."""

METHOD = "gradcam++"
_PAIRS = 25

HEAD_STEPS, HEAD_RATE = 400, 0.02
"""Steps over all training pairs, and the learning rate, of the teacher's new layer."""


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of clips and results.")
@click.option("--seeds", nargs=2, default=(0, 20), show_default=True, help="First seed, and the one behind the last.")
@click.option("--clips", default=Setting().clips, show_default=True, help="Training clips; half as many pairs.")
@click.option("--steps", default=Setting().steps, show_default=True, help="Batches of 32 pairs.")
def pairs(*, out: Path, seeds: tuple[int, int], clips: int, steps: int) -> None:
    """Train students on two motions a clip, one line a run, and print the table."""
    torch.set_num_threads(1)
    setting, path = Setting(clips, steps), out / RUNS
    lessons, (test_clips, present), teacher_map = load_pairs(out, clips)
    for seed in range(*seeds):
        for row in ROWS:
            if is_done(read(path), row.name, seed, setting):
                continue
            student, terms = trained(row, seed, setting, lessons)
            with torch.no_grad():
                scores = torch.cat([student(as_batch(part)) for part in torch.split(test_clips, AT_ONCE)])
            result = {
                "row": row.name, "seed": seed, "clips": clips, "steps": steps, "terms": terms,
                "map": mean_average_precision(scores, present), "teacher_map": teacher_map,
            }  # fmt: skip
            append(path, result)
    click.echo("\n".join(table(read(path))))


def load_pairs(folder: Path, clips: int) -> tuple[Lessons, tuple[Tensor, Tensor], float]:
    """Return the training pairs with the teacher's answers, the test pairs with their classes, the teacher's mAP."""
    train, test = training_pool(folder, clips), held_out_pool(folder)
    chosen, tested = (choose_pairs(pool.labels, len(pool) // 2) for pool in (train, test))
    path = folder / f"pairs-{clips}.npz"
    if not path.exists():
        _save_answers(path, train, chosen, test, tested)
    with np.load(path) as arrays:
        answers = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    inputs = student_input(train.frames, folder / f"inputs-train-{clips}.npy")
    test_inputs = student_input(test.frames, folder / f"inputs-test-{len(test)}.npy")
    present, test_present = (classes_of(pool.labels, each) for pool, each in ((train, chosen), (test, tested)))
    teacher_map = mean_average_precision(answers.pop("test"), test_present)
    logits = answers.pop("logits")
    lessons = Lessons(load_model(TEACHER, device="cpu"), side_by_side(inputs, chosen, 4), present, logits, answers)
    return lessons, (side_by_side(test_inputs, tested, 4), test_present), teacher_map


def choose_pairs(labels: Tensor, count: int) -> Tensor:
    """Draw pairs of clips of different classes, (count, 2); the same for equal arguments."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(labels), (4 * count, 2), generator=generator)
    return drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]][:count]


def side_by_side(clips: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """Join the two clips of each pair along the axis of the width."""
    return torch.cat([clips[chosen[:, 0]], clips[chosen[:, 1]]], dim=axis)


def classes_of(labels: Tensor, chosen: Tensor) -> Tensor:
    """Return which classes are present in each pair, (n, K) of 0.0 and 1.0."""
    return torch.zeros(len(chosen), len(LABELS)).scatter_(1, labels[chosen], 1.0)


def mean_average_precision(scores: Tensor, present: Tensor) -> float:
    """Mean over classes of the average precision: of each present clip the precision down to its rank.

    Args:
        scores: (n, K).
        present: (n, K) of 0.0 and 1.0, each class present somewhere.
    """
    ranked = present.gather(0, scores.argsort(dim=0, descending=True)).double()
    precision = ranked.cumsum(dim=0) / torch.arange(1, len(ranked) + 1)[:, None]
    return float(((precision * ranked).sum(dim=0) / ranked.sum(dim=0)).mean())


def table(runs: list[Run]) -> list[str]:
    """Lines of the table, with the paired difference to cross-entropy alone."""
    rows = []
    for row in ROWS:
        values = np.array([run["map"] for run in runs if run["row"] == row.name])
        cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*interval(values))]
        cells.append("{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(paired(runs, row.name, "cross-entropy", "map"))))
        rows.append((row.name, str(len(values)), *cells, str(PAPER.get(row.name, "–"))))
    return markdown.table(("loss", "seeds", "mAP", "− cross-entropy", "paper's mAP"), rows)


def _save_answers(path: Path, train: Pool, chosen: Tensor, test: Pool, tested: Tensor) -> None:
    """Train the teacher's new layer, and save its logits, its maps and its scores of the test pairs."""
    teacher, present = load_model(TEACHER, device="cpu").module, classes_of(train.labels, chosen)

    def clips(pool: Pool, part: Tensor) -> Tensor:
        return to_input(side_by_side(pool.frames, part, 3))

    parts, tests = (torch.split(each, _PAIRS) for each in (chosen, tested))
    pooled = [run(teacher, clips(train, part), None).activations.mean(dim=(2, 3, 4)) for part in parts]
    teacher.fc = _new_layer(torch.cat(pooled), present)
    batches = zip(parts, torch.split(present, _PAIRS), strict=True)
    answers = [run(teacher, clips(train, part), classes) for part, classes in batches]
    scores = [run(teacher, clips(test, part), None).logits for part in tests]
    np.savez(
        path,
        **{METHOD: torch.cat([each.maps[METHOD] for each in answers]).numpy()},  # type: ignore[arg-type]
        logits=torch.cat([each.logits for each in answers]).numpy(),
        test=torch.cat(scores).numpy(),
    )


def run(teacher: nn.Module, clips: Tensor, present: Tensor | None) -> DifferentiableMaps:
    """Run the teacher: activations and logits, and the map of the present classes if they are given."""
    methods = () if present is None else METHOD
    return differentiable_maps(teacher, clips, present, methods=methods, layer="layer3", create_graph=False)


def _new_layer(features: Tensor, present: Tensor) -> nn.Linear:
    """Train a linear layer with sigmoids on all pairs at once."""
    torch.manual_seed(0)
    layer = nn.Linear(features.shape[1], present.shape[1])
    optimiser = torch.optim.AdamW(layer.parameters(), HEAD_RATE)
    for _ in range(HEAD_STEPS):
        loss = functional.binary_cross_entropy_with_logits(layer(features), present)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return layer.requires_grad_(requires_grad=False)


if __name__ == "__main__":
    pairs()
