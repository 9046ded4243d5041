"""The search for maps: which map is most faithful at equal area, and best in place, at a given cost?

    scripts/run research.map_search motion --model tiny_r3d --out search.jsonl     # known truth
    scripts/run research.map_search clips manifest.csv --out search.jsonl          # I3D, a manifest of `vidcam score`
    scripts/run research.map_search grid manifest.csv --out search.jsonl           # I3D, two clips in one
    scripts/run research.map_search tables search.jsonl

Each clip adds one line to the file. A clip that has its line is not measured again.

kept θ      100 log(O/Y): the class's log probability after the lowest θ of the voxels are hidden, minus that before.
            All maps hide the same number of voxels. Ties are in random order, the same for all maps.
share       grid pointing game: the share of the map's sum that lies in the half of its class; 0.5 knows nothing.
energy …    as in `vidcam.metrics`, against the boxes of the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from scripts.research.map_candidates import (
    LAYER_STEPS,
    SEED,
    Heats,
    Subject,
    averaged_heats,
    black_occlusion,
    controls,
    earlier_heats,
    input_heats,
    input_products,
    layer_heats,
    occlusion_heats,
)
from scripts.research.map_measures import Lines, Rows, kept, log_probability, truth
from scripts.research.map_tables import tables
from scripts.research.pool import LEFT_FOR_RIGHT, to_input
from vidcam.metrics.retention import DEFAULT_THETAS
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion.box_tracks import filled_boxes
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.samples import Sample, load_sample
from vidcam.pipelines.study.motion_set import mixed
from vidcam.preprocess import fill_for

FIRST_SEED = 500_000
MOTION_STEPS, CLIP_STEPS = (1, 4, 8, 16, 32), (1, 4)
SURE = 0.9
"""Lowest probability of the label in the grid pointing game."""

CHEAP = ("gradcam", "gradcam++", "neutral-gradcam", "gradcam+ - grey", "neutral+plus", "neutral, flips")
FREE = ("centre", "frame difference cells")
FINE = (
    *("{} cells", "{} signed cells", "neutral × {} cells", "neutral × {} signed cells"),
    *("neutral × {} fine", "neutral when, {} fine where"),
    *("neutral × {} mostly signed cells", "neutral × {} mostly signed fine"),
    *("neutral² × {} cells", "neutral² × {} fine"),
)
ROWS: Mapping[str, Sequence[str]] = {
    "cheap": (*CHEAP, *FREE),
    "dear": (*CHEAP, *FREE, "occlusion + neutral"),
    "boxes": (),
    "early": ("earlier gradient", "neutral × earlier gradient"),
    "fine": ("shuffled cells", "neutral × IG1 cells", *(form.format("IG4") for form in FINE)),
    "rest": ("layer IG", "earlier IG", "neutral, shifts", "occlusion", "occlusion + neutral+plus", "uniform"),
}
"""Whose kept probability is measured on real clips, in parts; a part makes only the maps that it needs.

`boxes` measures only the place of clips with boxes."""

MOTION = (
    *(row for rows in ROWS.values() for row in rows),
    *(
        "gradcam+",
        "hirescam",
        "layercam",
        "neutral × earlier IG",
        "neutral when, earlier gradient where",
        "black occlusion",
        "black occlusion + neutral",
    ),
    *(form.format("IG8") for form in FINE),
    *("neutral × IG1 signed cells", "IG8 pixels", "IG8 fine", "frame difference fine"),
    *("gradcam × IG8 pixels", "gradcam × IG8 fine", "gradcam × IG8 cells"),
)
"""Whose kept probability is measured on the motion set."""

out_option = click.option("--out", type=click.Path(path_type=Path), required=True, help="File of JSON lines.")


@click.group()
def map_search() -> None:
    """Compare maps, and print the tables in Markdown."""
    torch.manual_seed(SEED)


@map_search.command()
@click.option("--model", "name", type=click.Choice([spec.name for spec in TINY_SPECS]), required=True)
@click.option("--clips", type=click.IntRange(1), default=160, show_default=True, help="Clips of one actor.")
@out_option
def motion(*, name: str, clips: int, out: Path) -> None:
    """Measure the maps of the true class on the motion set."""
    model, lines = load(name), Lines(out)
    for request in mixed(clips, first_seed=FIRST_SEED, actors=1):
        if lines.rows(name, request.stem):
            continue
        made = request.clip()
        subject = Subject(model, to_input(torch.from_numpy(made.frames)[None]), made.label)
        heats = all_heats(subject, MOTION_STEPS, LEFT_FOR_RIGHT[made.label])
        heats |= black_occlusion(subject, heats)
        instances = filled_boxes(made)
        rows: Rows = {candidate: truth(heat, instances) for candidate, heat in heats.items()}
        for word, fill in (("", black(subject)), (" grey", subject.blank)):
            measured = kept(subject, {row: heats[row] for row in MOTION}, fill, DEFAULT_THETAS, batch=16)
            for row, values in measured.items():
                rows[row] |= {measure + word: value for measure, value in values.items()}
        lines.add(name, request.stem, request.group, rows)


def load(name: str) -> Model:
    """Load a model whose parameters need no gradient."""
    model = load_model(name, device="cpu")
    model.module.eval().requires_grad_(requires_grad=False)
    return model


def black(subject: Subject) -> Tensor:
    """Return the fill of hidden pixels."""
    return fill_for(subject.clip, "black", subject.model.spec.scaling)


def all_heats(subject: Subject, steps: Sequence[int], mirrored: int) -> Heats:
    """Make every candidate; `mirrored` is the class of the mirrored clip."""
    heats = layer_heats(subject)
    volumes = dict(heats)
    heats |= (
        earlier_heats(subject, volumes) | averaged_heats(subject, volumes, mirrored) | occlusion_heats(subject, volumes)
    )
    for count in steps:
        heats |= input_heats(volumes, input_products(subject, count), f"IG{count}")
    return heats | controls(subject)


@map_search.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--rows", type=click.Choice(list(ROWS)), default="dear", show_default=True)
@click.option("--theta", "thetas", type=float, multiple=True, default=DEFAULT_THETAS, show_default=True)
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="First clip, in random order.")
@click.option("--clips", type=click.IntRange(1), default=1000, help="Number of clips. Default: all.")
@out_option
def clips(*, manifest: Path, rows: str, thetas: Sequence[float], first: int, clips: int, out: Path) -> None:
    """Measure I3D on the central windows of real clips: kept for the predicted class, boxes for the label."""
    model, lines = load("i3d"), Lines(out)
    for sample in samples(manifest, model, range(first, first + clips)):
        known = lines.rows("i3d", sample.entry.name)
        todo = [row for row in ROWS[rows] if not {f"kept {theta:g}" for theta in thetas} <= known.get(row, {}).keys()]
        if not todo and (sample.inside is None or "energy" in known.get("gradcam", {})):
            continue
        logits = model.module(sample.tensor[None])[0]
        predicted, label = int(logits.argmax()), model.label_index(sample.entry.label)
        subject = Subject(model, sample.tensor[None], predicted)
        heats = clip_heats(subject, rows)
        measured = kept(subject, {row: heats[row] for row in todo}, black(subject), thetas, batch=1)
        if sample.inside is not None:
            heats = heats if predicted == label else clip_heats(Subject(model, subject.clip, label), rows)
            for row, heat in heats.items():
                measured.setdefault(row, {}).update(truth(heat, sample.inside[None]))
        measured["model"] = {"probability": float(logits.softmax(0)[label]), "right": float(predicted == label)}
        lines.add("i3d", sample.entry.name, sample.entry.group, measured)


def clip_heats(subject: Subject, rows: str) -> Heats:
    """Make the maps that the rows need."""
    volumes = layer_heats(subject)
    heats = volumes | controls(subject)
    if rows in ("boxes", "early", "rest"):
        heats |= earlier_heats(subject, volumes, LAYER_STEPS if rows == "rest" else 0)
    if rows in ("boxes", "cheap", "dear", "rest"):
        shifts = (-1, 1) if rows == "rest" else ()
        heats |= averaged_heats(subject, volumes, subject.target, shifts)
    if rows in ("dear", "rest"):
        heats |= occlusion_heats(subject, volumes)
    for count in {"fine": CLIP_STEPS, "boxes": CLIP_STEPS[:1]}.get(rows, ()):
        heats |= input_heats(volumes, input_products(subject, count), f"IG{count}")
    return heats


def samples(manifest: Path, model: Model, places: range) -> Iterator[Sample]:
    """Yield the clips at these places of a random order."""
    entries = read_clips(manifest, out=Path()).entries
    for place in np.random.default_rng(SEED).permutation(len(entries))[places.start : places.stop]:
        sample = load_sample(entries[place], model.spec)
        if isinstance(sample, Sample):
            yield sample
        else:
            click.echo(f"{sample.entry.name}: {sample.reason}", err=True)


@map_search.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--pairs", type=click.IntRange(1), default=12, show_default=True)
@click.option("--steps", type=click.IntRange(1), multiple=True, default=(1, 4), show_default=True)
@out_option
def grid(*, manifest: Path, pairs: int, steps: Sequence[int], out: Path) -> None:
    """Play the grid pointing game with I3D: two clips side by side, and one after another."""
    model, lines = load("i3d"), Lines(out)
    for _, (first, second) in zip(range(pairs), sure_pairs(manifest, model), strict=False):
        pair = f"{first.entry.name} + {second.entry.name}"
        for axis, name in ((4, "space"), (2, "time")):
            if {f"IG{count} cells" for count in steps} <= lines.rows(f"i3d {name}", pair).keys():
                continue
            clip = torch.cat([first.tensor[None], second.tensor[None]], dim=axis)
            each = [half_shares(model, clip, sample, half, steps) for half, sample in enumerate((first, second))]
            rows = {
                row: {
                    "share": float(np.mean([shares[row] for shares in each])),
                    "right side": float(np.mean([shares[row] > 0.5 for shares in each])),
                }
                for row in each[0]
            }
            lines.add(f"i3d {name}", pair, pair, rows)


def half_shares(model: Model, clip: Tensor, sample: Sample, half: int, steps: Sequence[int]) -> dict[str, float]:
    """Return the share of each map's sum in one half of the clip, for the label of the sample."""
    subject = Subject(model, clip, model.label_index(sample.entry.label))
    volumes = layer_heats(subject)
    heats = volumes | controls(subject)
    for count in steps:
        heats |= input_heats(volumes, input_products(subject, count), f"IG{count}")
    axis = 0 if clip.shape[2] > sample.tensor.shape[1] else 2
    return {row: float(np.split(heat, 2, axis)[half].sum() / max(heat.sum(), 1e-30)) for row, heat in heats.items()}


def sure_pairs(manifest: Path, model: Model) -> Iterator[tuple[Sample, Sample]]:
    """Yield pairs of clips of unlike classes that the model names rightly and surely, each clip once."""
    waiting: Sample | None = None
    for sample in samples(manifest, model, range(1000)):
        subject = Subject(model, sample.tensor[None], model.label_index(sample.entry.label))
        if log_probability(subject, subject.clip)[0] < np.log(SURE):
            continue
        if waiting is None or waiting.entry.label == sample.entry.label:
            waiting = waiting or sample
            continue
        yield waiting, sample
        waiting = None


map_search.add_command(tables)

if __name__ == "__main__":
    map_search()
