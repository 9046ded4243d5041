"""Does the analysis of a trust study give back what was put in? Simulated raters of known preference answer the forms.

    scripts/run research.trust_study --studies 200

prints the coverage of the 95 % intervals for raters and clips that differ, and for ones that do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import click
import numpy as np
from numpy.typing import NDArray

from scripts.markdown import table
from vidcam.metrics.intervals import Interval
from vidcam.metrics.preference import fit_strengths
from vidcam.pipelines.trust.analysis import Analysis, analysis_of
from vidcam.pipelines.trust.answers import PAIR_ANSWERS, SINGLE_ANSWERS, AnswerRow, AnswerSheet, Collected
from vidcam.pipelines.trust.content import KeyClip, StudyKey
from vidcam.pipelines.trust.design import NO_MAP, Item, Lengths, make_design
from vidcam.pipelines.trust.votes import PASSED

Doubles = NDArray[np.float64]

_DRAWS = 400_000


@dataclass(frozen=True, slots=True)
class Population:
    """Raters and clips from which studies are drawn.

    Attributes:
        log_strengths: θ of each method for the middle rater and clip.
        log_ties: λ.
        yes_if_right: logit of yes where the model is right; for each method, then for the video alone.
        yes_if_wrong: the same where it is wrong.
        cannot_tell: share of `cannot tell`.
        rater_spread: standard deviation over raters, of θ for each method and of the logit of yes.
        clip_spread: the same over clips.
    """

    log_strengths: tuple[float, ...]
    log_ties: float
    yes_if_right: tuple[float, ...]
    yes_if_wrong: tuple[float, ...]
    cannot_tell: float
    rater_spread: float
    clip_spread: float


METHODS = ("a", "b", "c")
DIFFERENT = Population((0.5, 0.1, -0.6), -0.3, (1.2, 1.2, 1.4, 1.0), (0.6, 0.2, -0.2, -0.4), 0.1, 0.4, 0.6)
ALIKE = replace(DIFFERENT, rater_spread=0.0, clip_spread=0.0)


def made_key(clips: int, lengths: Lengths, seed: int, *, wrong: float = 0.4) -> StudyKey:
    """Return the key of a study without a page; the model is wrong in a share of the clips."""
    known = tuple(
        KeyClip(f"{index}.mp4", "yoga", "archery" if index < wrong * clips else "yoga") for index in range(clips)
    )
    design = make_design([int(clip.is_right or False) for clip in known], len(METHODS), lengths, seed)
    return StudyKey(
        study="simulated", title="", version="", seed=seed, methods=METHODS, clips=known,
        items=design.items, forms=design.forms,
    )  # fmt: skip


def simulate(
    key: StudyKey, people: Population, raters: int, generator: np.random.Generator, *, careless: int = 0
) -> Collected:
    """Let raters answer; the last `careless` of them answer by chance.

    Args:
        key: the study.
        people: from whom raters and clips are drawn.
        raters: their number.
        generator: source of all draws; its state advances.
        careless: how many answer anything.
    """
    size = len(key.methods) + 1  # the last column is the bias to yes
    of_clips = generator.normal(0.0, people.clip_spread, (len(key.clips), size))
    sheets = []
    for number in range(raters):
        own = generator.normal(0.0, people.rater_spread, size)
        form, rows = number % len(key.forms), []
        for screen, code in enumerate(key.forms[form]):
            item, is_swapped = key.items[code // 2], bool(code % 2)
            chances = _chances(item, key, people, own + of_clips[item.clip])
            words = SINGLE_ANSWERS if item.kind == "single" else PAIR_ANSWERS
            if number >= raters - careless:
                chances = np.full(3, 1.0 / 3.0)
            word = words[int(generator.choice(3, p=chances))]
            turned = {"left": "right", "right": "left"}.get(word, word) if is_swapped else word
            rows.append(AnswerRow(screen, turned, 3.0))
        sheets.append(AnswerSheet(key.study, f"rater{number:03d}", form, tuple(rows)))
    return Collected(tuple(sheets), ())


def _chances(item: Item, key: StudyKey, people: Population, effects: Doubles) -> Doubles:
    """Chances of the three answers to a question, in the order of their words."""
    if item.kind in ("instruction", "shuffled"):
        return np.array([1.0, 0.0, 0.0])
    if item.kind == "pair":
        theta = np.array(people.log_strengths) + effects[:-1]
        return pair_chances(theta[item.left] - theta[item.right], people.log_ties)
    logits = people.yes_if_right if key.clips[item.clip].is_right else people.yes_if_wrong
    logit = logits[-1 if item.left == NO_MAP else item.left] + effects[-1]
    yes = (1.0 - people.cannot_tell) / (1.0 + np.exp(-logit))
    return np.array([yes, 1.0 - people.cannot_tell - yes, people.cannot_tell])


def pair_chances(difference: Doubles | float, log_ties: float) -> Doubles:
    """Davidson's chances that the first, the second or none is preferred, (3, …)."""
    half = 0.5 * np.asarray(difference)
    terms = np.exp(np.stack([half, -half, np.full_like(half, log_ties)]))
    return np.asarray(terms / terms.sum(axis=0))


def true_values(people: Population, *, seed: int = 1) -> Mapping[str, float]:
    """Return what a study of all raters on all clips would find, by integration over both."""
    random, size = np.random.default_rng(seed), len(people.log_strengths)
    spread = float(np.hypot(people.rater_spread, people.clip_spread))
    draws = random.normal(0.0, spread, (_DRAWS, size + 1))
    theta = np.array(people.log_strengths) + draws[:, :-1]
    pairs = list(combinations(range(size), 2))
    counts = [pair_chances(theta[:, i] - theta[:, j], people.log_ties).mean(axis=1) for i, j in pairs]
    found = fit_strengths(np.array(counts).T * 1e6, size)
    values = {f"log strength {name}": float(v) for name, v in zip(METHODS, found.log_strengths, strict=True)}
    values |= {
        f"log ratio {METHODS[i]}, {METHODS[j]}": float(found.log_strengths[i] - found.log_strengths[j])
        for i, j in pairs
    }
    values["log ties"] = found.log_ties
    for kind, logits in (("right", people.yes_if_right), ("wrong", people.yes_if_wrong)):
        for name, logit in zip((*METHODS, "video alone"), logits, strict=True):
            yes = (1.0 - people.cannot_tell) / (1.0 + np.exp(-logit - draws[:, -1]))
            values[f"yes if {kind}, {name}"] = float(yes.mean())
    return values


def found_values(analysis: Analysis) -> dict[str, Interval]:
    """Return the intervals of an analysis, named as in `true_values`."""
    assert analysis.preferences is not None
    values = {f"log strength {row.method}": row.log_strength for row in analysis.preferences.methods}
    for pair in analysis.preferences.pairs:
        low, high = sorted((pair.a, pair.b))
        ratio = pair.log_ratio
        turned = ratio if low == pair.a else Interval(-ratio.value, -ratio.high, -ratio.low)
        values[f"log ratio {low}, {high}"] = turned
    values["log ties"] = analysis.preferences.log_ties
    for row in analysis.judgements:
        values |= {f"yes if right, {row.method}": row.yes_if_right, f"yes if wrong, {row.method}": row.yes_if_wrong}
    return values


def coverage(
    people: Population, studies: int, *, raters: int = 13, clips: int = 50, resamples: int = 200, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return for each value the share of the intervals that hold it, their mean width, and the mean error."""
    truth = true_values(people)
    held, widths, errors = (dict.fromkeys(truth, 0.0) for _ in range(3))
    for number in range(studies):
        generator = np.random.default_rng([seed, number])
        key = made_key(clips, Lengths(40, 20), number)
        collected = simulate(key, people, raters, generator)
        analysis = analysis_of(collected, key, passed=PASSED, seed=number, resamples=resamples)
        for name, interval in found_values(analysis).items():
            held[name] += interval.low <= truth[name] <= interval.high
            widths[name] += (interval.high - interval.low) / studies
            errors[name] += (interval.value - truth[name]) / studies
    return {name: (held[name] / studies, widths[name], errors[name]) for name in truth}


def careless_found(raters: int, *, seed: int = 0) -> float:
    """Return the share of raters who answer by chance and are left out."""
    key = made_key(50, Lengths(40, 20), seed)
    collected = simulate(key, DIFFERENT, raters, np.random.default_rng(seed), careless=raters)
    analysis = analysis_of(collected, key, passed=PASSED, seed=seed, resamples=2)
    return sum(bool(rater.excluded) for rater in analysis.raters) / raters


@click.command()
@click.option("--studies", default=200, show_default=True, help="Simulated studies for each of the two populations.")
@click.option("--raters", default=13, show_default=True, help="Raters of a study.")
@click.option("--clips", default=50, show_default=True, help="Clips of a study.")
def main(studies: int, raters: int, clips: int) -> None:
    """Print the coverage of the intervals."""
    for title, people in (("Raters and clips differ", DIFFERENT), ("Raters and clips are alike", ALIKE)):
        found, truth = coverage(people, studies, raters=raters, clips=clips), true_values(people)
        rows = [
            (name, f"{truth[name]:.2f}", f"{held:.3f}", f"{width:.2f}", f"{error:+.3f}")
            for name, (held, width, error) in found.items()
        ]
        click.echo(f"{title}: {studies} studies of {raters} raters, {clips} clips\n")
        click.echo("\n".join(table(("value", "truth", "coverage", "mean width", "mean error"), rows)) + "\n")
    click.echo(f"raters who answer by chance and are left out: {careless_found(300):.0%}")


if __name__ == "__main__":
    main()
