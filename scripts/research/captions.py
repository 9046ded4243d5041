"""Measure on held-out clips of the caption set where the maps of words and of captions of tiny_captioner lie.

Three questions: does the map of a word lie on the thing that it names, does the map of a whole caption cover both
things (figure 7 of arXiv:1710.11063), and what does the map of a wrong caption show (its appendix A.2)? Each figure is
the mean over clips with its 95 % bootstrap interval. Masks are the pixels of the things in all frames.

energy      share of the map's sum on the thing
ratio       energy on the thing, divided by that on both; 0.5: the map does not tell them apart
pointing    share of the maximal voxels on the thing
coverage    share of the things' voxels that a map keeps, cut at their volume
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import vidcam
from scripts.markdown import table
from scripts.research.caption_pool import tokens_of
from scripts.research.motion_maps import averaged
from scripts.research.pool import HELD_OUT_SEED, to_input
from vidcam.cam.request import ScoreFunction
from vidcam.maps import Floats, upsample_volume
from vidcam.metrics.controls import centre_heat, shuffled_cells
from vidcam.metrics.instances import MIN_COVERAGE, instance_coverage
from vidcam.metrics.intervals import bootstrap_mean
from vidcam.metrics.localization import energy, pointing
from vidcam.models.families.tiny import WEIGHTS_FOLDER
from vidcam.models.families.tiny_captioner import TinyCaptioner
from vidcam.models.weights.state import load_weights_file
from vidcam.motion.captions import COLOURS, MOTIONS, SHAPES, CaptionedClip, Thing, make_captioned_clip

Values = NDArray[np.float64]
Things = tuple[Thing, Thing]

WORD_METHODS = ("gradcam", "gradcam++", "hirescam")
METHODS = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
LAYER, GRID = "layer4", (4, 8, 8)
BATCH = 20

PLACES_OF_KINDS = {"colour": (1, 9), "shape": (2, 10), "motion": (3, 11), "place": (6, 14)}
"""Where the words of the two things stand: a red bar rises on the left and a blue disc grows on the right."""

WORDS = {"colour": tuple(COLOURS), "shape": tuple(SHAPES), "motion": MOTIONS}
"""Kinds of words that are made wrong, and their words."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some clips.

    Attributes:
        inputs: model inputs (N, 3, T, H, W).
        things: what is shown.
        masks: (N, 2, T, H, W) bool.
    """

    inputs: Tensor
    things: tuple[Things, ...]
    masks: NDArray[np.bool_]

    @classmethod
    def of(cls, clips: Sequence[CaptionedClip]) -> Part:
        """Make the inputs of clips."""
        inputs = to_input(torch.from_numpy(np.stack([clip.frames for clip in clips])))
        return cls(inputs, tuple(clip.things for clip in clips), np.stack([clip.masks for clip in clips]))


Rows = dict[tuple[str, ...], Values]
"""Name of a row → (measures, N)."""


@click.command()
@click.option("--clips", "count", type=click.IntRange(2), default=200, show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), default=WEIGHTS_FOLDER / "tiny_captioner.safetensors")
def captions(*, count: int, weights: Path) -> None:
    """Print the tables in Markdown."""
    torch.set_num_threads(1)
    network = TinyCaptioner().eval()
    load_weights_file(network, weights, name="tiny_captioner")
    clips = [make_captioned_clip(HELD_OUT_SEED + number) for number in range(count)]
    parts = [Part.of(clips[start : start + BATCH]) for start in range(0, count, BATCH)]
    for title, head, measure in (
        ("Words", ("word", "map", *WORD_MEASURES), word_rows),
        ("Words, by the score", ("word", "score", *WORD_MEASURES), score_rows),
        ("Whole captions", ("map", *CAPTION_MEASURES), caption_rows),
        ("Wrong words", ("word", "map", *WRONG_MEASURES), wrong_rows),
    ):
        rows = joined(measure(network, part) for part in parts)
        click.echo(f"### {title}, {count} clips\n\n{chr(10).join(table(head, formatted(rows)))}\n")
        if measure is caption_rows:
            click.echo(f"gradcam++ minus gradcam, clip by clip: {differences(rows)}\n")


def heats_of(
    network: TinyCaptioner,
    part: Part,
    things: Sequence[Things],
    score: Callable[[Tensor], ScoreFunction],
    methods: Sequence[str],
) -> dict[str, Floats]:
    """Make the maps of a score of captions that the network is given, method → (N, T, H, W)."""
    tokens = tokens_of(things)
    explanation = vidcam.explain(
        network, part.inputs, target=score(tokens), methods=methods, layer=LAYER, kwargs={"tokens": tokens}
    )
    return {method: explanation.heat(method) for method in methods}


def of_words(words: int | slice | None) -> Callable[[Tensor], ScoreFunction]:
    """Return what makes the log probability of words the score."""
    return lambda tokens: vidcam.targets.log_prob(tokens, words=words)


def of_logit(word: int) -> Callable[[Tensor], ScoreFunction]:
    """Return what makes the logit of a word the score."""
    return lambda tokens: lambda output: output[:, word].gather(1, tokens[:, word, None]).squeeze(1)


WORD_MEASURES = ("energy", "ratio", "ratio, first thing", "ratio, second thing", "pointing", "at the other", "empty")


def word_measures(heat: Floats, masks: NDArray[np.bool_], thing: int) -> Values:
    """Measure the map of a word that names a thing, (7, N)."""
    own, other = masks[:, thing], masks[:, 1 - thing]
    ratio = ratio_of(heat, own, other)
    by_thing = [ratio if thing == number else np.full(len(heat), np.nan) for number in range(2)]
    is_empty = (heat.max(axis=(1, 2, 3)) <= 0).astype(np.float64)
    return np.stack([energy(heat, own), ratio, *by_thing, pointing(heat, own), pointing(heat, other), is_empty])


def ratio_of(heat: Floats, own: NDArray[np.bool_], other: NDArray[np.bool_]) -> Values:
    """Return the energy on a thing, divided by that on both, (N,); 0.5 where there is none."""
    inside, outside = energy(heat, own), energy(heat, other)
    both = inside + outside
    return np.where(both > 0, inside / np.where(both > 0, both, 1.0), 0.5)


def over_things(values: Sequence[Values]) -> Values:
    """Return the mean over the words of both things, where defined, (measures, N)."""
    stacked = np.stack(values)
    defined = ~np.isnan(stacked)
    means: Values = np.where(defined, stacked, 0.0).sum(axis=0) / defined.sum(axis=0)
    return means


def word_rows(network: TinyCaptioner, part: Part) -> Rows:
    """Measure the maps of the words of true captions, and the controls."""
    found: dict[tuple[str, ...], list[Values]] = {}
    for kind, places in PLACES_OF_KINDS.items():
        for thing, place in enumerate(places):
            heats = heats_of(network, part, part.things, of_words(place), WORD_METHODS)
            if kind == "colour":
                found.setdefault(("any", "control: answer"), []).append(
                    word_measures(answers(part.masks[:, thing]), part.masks, thing)
                )
            for method, heat in heats.items():
                found.setdefault((kind, method), []).append(word_measures(heat, part.masks, thing))
    for thing in range(2):
        for name, heat in controls(heats["gradcam"], part).items():
            found.setdefault(("any", name), []).append(word_measures(heat, part.masks, thing))
    return {row: over_things(values) for row, values in found.items()}


def score_rows(network: TinyCaptioner, part: Part) -> Rows:
    """Compare the log probability of a word with its logit as the score, by hirescam."""
    rows: Rows = {}
    for kind, places in PLACES_OF_KINDS.items():
        for name, score in (("log probability", of_words), ("logit", of_logit)):
            values = [
                word_measures(
                    heats_of(network, part, part.things, score(place), ["hirescam"])["hirescam"], part.masks, thing
                )
                for thing, place in enumerate(places)
            ]
            rows[kind, name] = over_things(values)
    return rows


def answers(masks: NDArray[np.bool_]) -> Floats:
    """Return the best maps of the layer's grid, (N, T, H, W): the truth, averaged over each cell."""
    return np.stack([upsample_volume(averaged(mask, GRID), mask.shape) for mask in masks])


def controls(heat: Floats, part: Part) -> dict[str, Floats]:
    """Maps that know nothing of the network, name → (N, T, H, W)."""
    generator, size = np.random.default_rng(0), part.masks.shape[2:]
    cells = [averaged(each, GRID) for each in heat]
    return {
        "control: random": np.stack([upsample_volume(shuffled_cells(each, generator), size) for each in cells]),
        "control: centre": np.stack([centre_heat(size)] * len(heat)),
    }


CAPTION_MEASURES = ("energy on both", "coverage", "of the weaker thing", "both found", "share of the weaker thing")


def caption_rows(network: TinyCaptioner, part: Part) -> Rows:
    """Measure the maps of whole true captions, of captions of other clips, and the controls."""
    heats: dict[str, Floats] = dict(heats_of(network, part, part.things, of_words(None), METHODS))
    others = (*part.things[1:], part.things[0])
    foreign = heats_of(network, part, others, of_words(None), ["gradcam", "gradcam++"])
    heats |= {f"{method}, caption of another clip": heat for method, heat in foreign.items()}
    heats |= controls(heats["gradcam"], part) | {"control: answer": answers(np.asarray(part.masks.any(axis=1)))}
    return {(name,): caption_measures(heat, part.masks) for name, heat in heats.items()}


def caption_measures(heat: Floats, masks: NDArray[np.bool_]) -> Values:
    """Measure maps of whole captions, (5, N).

    A thing is found if the kept voxels cover a quarter of it. The share of the weaker thing is its energy, divided by
    that of both.
    """
    energies = np.stack([energy(heat, masks[:, thing]) for thing in range(2)])
    covered = np.stack([instance_coverage(each, both) for each, both in zip(heat, masks, strict=True)])
    ratio = ratio_of(heat, masks[:, 0], masks[:, 1])
    found = (covered >= MIN_COVERAGE).all(axis=1).astype(np.float64)
    return np.stack(
        [energies.sum(axis=0), covered.mean(axis=1), covered.min(axis=1), found, np.minimum(ratio, 1 - ratio)]
    )


WRONG_MEASURES = (
    "probability, true",
    "ratio, true",
    "probability, swapped",
    "ratio, swapped",
    "probability, absent",
    "ratio, absent",
)


def wrong_rows(network: TinyCaptioner, part: Part) -> Rows:
    """Measure the maps of words that are wrong for the thing in whose place they stand.

    Swapped: the word of the other thing. Absent: one of neither. A ratio is of the thing that the sentence speaks of at
    that place: below 0.5, the map lies on the other thing.
    """
    rows: dict[tuple[str, ...], list[Values]] = {}
    for kind in WORDS:
        for thing, place in enumerate(PLACES_OF_KINDS[kind]):
            wrong = [[change(pair, kind, thing) for pair in part.things] for change in (swapped, absent)]
            versions = [part.things, *wrong]
            shares = [probabilities(network, part, things, place) for things in versions]
            heats = [heats_of(network, part, things, of_words(place), WORD_METHODS) for things in versions]
            for method in WORD_METHODS:
                own, other = part.masks[:, thing], part.masks[:, 1 - thing]
                ratios = [ratio_of(each[method], own, other) for each in heats]
                values = [value for pair in zip(shares, ratios, strict=True) for value in pair]
                rows.setdefault((kind, method), []).append(np.stack(values))
    return {row: over_things(values) for row, values in rows.items()}


@torch.inference_mode()
def probabilities(network: TinyCaptioner, part: Part, things: Sequence[Things], place: int) -> Values:
    """Return the probability of a word given those before it, (N,)."""
    tokens = tokens_of(things)
    logs: Tensor = vidcam.targets.log_prob(tokens, words=place)(network(part.inputs, tokens))
    return logs.exp().double().numpy()


def swapped(pair: Things, kind: str, thing: int) -> Things:
    """Give a thing the word of the other."""
    return with_word(pair, kind, thing, getattr(pair[1 - thing], kind))


def absent(pair: Things, kind: str, thing: int) -> Things:
    """Give a thing a word of neither thing, the first one."""
    known = {getattr(each, kind) for each in pair}
    return with_word(pair, kind, thing, next(word for word in WORDS[kind] if word not in known))


def with_word(pair: Things, kind: str, thing: int, word: str) -> Things:
    """Change a word of a thing."""
    changes: Mapping[str, str] = {kind: word}
    changed = replace(pair[thing], **changes)
    return (changed, pair[1]) if thing == 0 else (pair[0], changed)


def joined(parts: Iterable[Rows]) -> Rows:
    """Put the clips of all parts together."""
    collected: dict[tuple[str, ...], list[Values]] = {}
    for rows in parts:
        for row, values in rows.items():
            collected.setdefault(row, []).append(values)
    return {row: np.concatenate(values, axis=1) for row, values in collected.items()}


def formatted(rows: Rows) -> list[tuple[str, ...]]:
    """Write each measure as 0.53 [0.50, 0.56]."""
    return [(*row, *map(interval, values)) for row, values in rows.items()]


def differences(rows: Rows) -> str:
    """Write the differences of the maps of whole captions by gradcam++ and by gradcam, clip by clip."""
    values = rows["gradcam++",] - rows["gradcam",]
    return ", ".join(f"{name} {interval(each)}" for name, each in zip(CAPTION_MEASURES, values, strict=True))


def interval(values: Values) -> str:
    """Write the mean over clips and its interval."""
    found = bootstrap_mean(values, np.random.default_rng(0))
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


if __name__ == "__main__":
    captions()
