"""The papers' tables beside ours: Grad-CAM++ tables 1–3 and 6–11, its critique's tables 1–2, and their claims.

`vidcam score` computes the figures, and resumes where it was interrupted. Where the papers' models or data are not at
hand, compare the claims, not the digits.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import vidcam
from scripts.markdown import table
from scripts.research.papers import LOCALIZATION, OTHERS, RATIOS, SHARES, SIGNED, Shares
from vidcam.pipelines.score.numbers import factor, interval, number
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.pairs import SIGNIFICANCE
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.summary import Mean, MethodFigures, Pair, Summary
from vidcam.system.json_files import read_json

METHODS = ("gradcam", "gradcam+", "gradcam++", "gradcam++signed")
MEASURES = ("default", "localization")

CLAIMS = (
    ("gradcam++", "gradcam", "GC++ 4.1, 6.2: gradcam++ keeps more of the confidence than gradcam"),
    ("gradcam", "gradcam++signed", "GC++ 7.1: gradcam keeps more than the signed ablation"),
    ("gradcam+", "gradcam", "EQ 4: gradcam+ keeps more than gradcam"),
    *(
        (method, "centre", f"(control) {method} keeps more than a bump in the centre")
        for method in ("gradcam", "gradcam+", "gradcam++")
    ),
)
"""Two methods, and the claim that the first one is better."""


@dataclass(frozen=True, slots=True)
class Run:
    """A scored set.

    Attributes:
        data: kind of the data, 'VOC'.
        summary: the content of summary.json.
    """

    data: str
    summary: Summary

    @property
    def title(self) -> str:
        """Model, data and number of images, for rows."""
        return f"{self.summary.settings.model} on {self.data}, n = {self.summary.n}"


@click.command()
@click.argument("clips", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of the scores.")
@click.option("--model", default="i3d", show_default=True)
@click.option("--weights", default="pretrained", show_default=True)
@click.option("--layer", multiple=True)
@click.option("--fill", default="black", show_default=True)
@click.option("--correct-only", is_flag=True, help="Only clips of the right class, as in the critique.")
@click.option("--min-confidence", default=0.0, show_default=True, help="Only clips above this probability, as there.")
def paper_tables(
    clips: Path,
    out: Path,
    *,
    model: str,
    weights: str,
    layer: tuple[str, ...],
    fill: Any,
    correct_only: bool,
    min_confidence: float,
) -> None:
    """Score a set of CLIPS by the methods of the papers, and print their tables beside ours as Markdown."""
    command = shlex.join(["scripts/run", "research.paper_tables", *sys.argv[1:]])
    try:
        options = ScoreOptions(
            methods=METHODS,
            measures=MEASURES,
            layer=layer or None,
            fill=fill,
            correct_only=correct_only,
            min_confidence=min_confidence,
        )
        score_set(clips, out, options, model=model, weights=weights, command=command)
    except vidcam.VidcamError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo("\n\n".join(document([read_run(clips.name, out)])))


def read_run(data: str, folder: Path) -> Run:
    """Read the summary of a scored set.

    Raises:
        ClickException: nothing was scored.
    """
    summary = read_json(folder / "summary.json", Summary)
    if not summary.n:
        raise click.ClickException(f"none of the {summary.clips} clips was scored; see {folder / 'report.md'}")
    return Run(data, summary)


def document(runs: Sequence[Run]) -> Iterator[str]:
    """The parts of the page."""
    yield "# The papers' tables beside ours"
    yield "\n".join(table(("model", "layer", "data", "explained", "images or clips", "command"), map(_run_row, runs)))
    yield "## Differences from the papers\n\n" + differences(runs)
    yield "## GC++ tables 1, 2, 6 and 8–11 (percent)\n\n" + _shares(runs, SHARES)
    yield "## GC++ table 7: the ablation with signed gradients (percent)\n\n" + _shares(runs, (SIGNED,))
    yield "## GC++ table 3: Loc(δ)\n\n" + _localization(runs)
    yield "## EQ tables 1 and 2: relative performance\n\n" + _critique(runs)
    yield "## The claims\n\n" + "\n\n".join(
        f"**{run.title}**\n\n" + "\n".join(f"* {line}" for line in claims(run.summary)) for run in runs
    )
    figures = (f"* {name}: " + ", ".join(map(" ".join, rows)) + "." for name, rows in OTHERS.items())
    yield "## Not laid beside ours\n\nThey need people, or the training of students.\n\n" + "\n".join(figures)


def _run_row(run: Run) -> tuple[str, ...]:
    summary, settings = run.summary, run.summary.settings
    most, layer = settings.label_in_top, " + ".join(settings.layer)
    explained = f"label in the top {most}" if most else "predicted class"
    scored = f"{summary.n} of {summary.clips} in {summary.groups} groups"
    return str(settings.model), layer, run.data, explained, scored, f"`{summary.command}`"


def differences(runs: Sequence[Run]) -> str:
    """How these evaluations differ from the papers'."""
    fills = ", ".join(dict.fromkeys(run.summary.settings.fill for run in runs))
    lines = [
        f"Fill: {fills}. The papers multiply the image by the map, before or after its mean is subtracted.",
        "Maps are min-max normalised over the whole image or clip, and upsampled linearly.",
        "α is eq. 19 without an epsilon.",
        "Win % counts ties separately. The papers' shares in table 2 add up to 100.91.",
        "Loc(δ) is about what the model sees, its crop, and the label's class. Of videos it covers space and time.",
    ]
    for run in runs:
        settings = run.summary.settings
        lines.append(
            f"{run.title}: weights {settings.weights}. Left out: {run.summary.left_out}; `--correct-only` "
            f"{settings.correct_only}, `--min-confidence` {settings.min_confidence:g}. The critique keeps images "
            f"of the right class above a score."
        )
    return "\n".join(f"* {line}" for line in lines)


def pair_of(summary: Summary, a: str, b: str) -> tuple[Pair, int]:
    """The comparison of two methods, and 1 if it is a over b, or -1 if it is b over a."""
    for pair in summary.pairs:
        if {pair.a, pair.b} == {a, b}:
            return pair, 1 if pair.a == a else -1
    raise click.ClickException(f"the summary has no pair of {a} and {b}; score both")


def _shares(runs: Sequence[Run], papers: Sequence[Shares]) -> str:
    """Average Drop, Increase and Win %: each row of the papers with ours below it, then our other rows."""
    method, rows, left = papers[0].method, [], list(runs)
    for paper in papers:
        figures = (*paper.drop, *paper.increase, *paper.win)
        rows.append((paper.title, *(f"{value:.2f}" for value in figures)))
        for run in runs:
            if (run.data, run.summary.settings.model) == (paper.data, paper.network):
                rows += _our_shares(run, method)
                left.remove(run)
    rows += [row for run in left for row in _our_shares(run, method)]
    names = (method.removeprefix("gradcam"), "gradcam")
    header = ("", *(f"{measure} {name}" for measure in ("drop", "increase", "win") for name in names))
    return "\n".join(table(header, rows))


def _our_shares(run: Run, method: str) -> Iterator[tuple[str, ...]]:
    scores, (pair, sign) = run.summary.methods, pair_of(run.summary, method, "gradcam")
    compared = scores[method], scores["gradcam"]
    ours = [interval(mean) for means in zip(*map(_drop_increase, compared), strict=True) for mean in means]
    ties = f" (ties {pair.ties:.1f})" if pair.ties else ""
    wins = [number(pair.win_a), number(pair.win_b)][::sign]
    yield f"**ours**: {run.title}", *ours, wins[0] + ties, wins[1]
    for control in ("random", "centre"):
        drop, increase = map(interval, _drop_increase(scores[control]))
        yield f"{control} (control)", "", drop, "", increase, "", ""


def _drop_increase(figures: MethodFigures) -> tuple[Mean, Mean]:
    return figures.average_drop, figures.increase


def _localization(runs: Sequence[Run]) -> str:
    methods = ("gradcam++", "gradcam", "gradcam+", "random", "centre")
    rows = [
        ("table 3: VOC 2012, VGG-16", delta, *map("{:.2f}".format, paper), "", "", "")
        for delta, paper in LOCALIZATION.items()
    ]
    for run in runs:
        scores = run.summary.methods
        if count := scores["gradcam"].n_with_boxes:
            for delta in LOCALIZATION:
                ours = (interval(scores[name].localization[delta], 2) for name in methods)
                rows.append((f"**ours**: {run.title}, {count} with boxes", delta, *ours))
    text = "\n".join(table(("", "δ", *methods), rows))
    return (
        text if len(rows) > len(LOCALIZATION) else f"{text}\n\nNo image or clip here has boxes of an explained class."
    )


def _critique(runs: Sequence[Run]) -> str:
    rows = []
    for (a, b), papers in RATIOS.items():
        for index, kind in enumerate(("pre-softmax", "post-softmax")):
            ratio, log_mean, log_std = papers[index]
            cells = f"{ratio:.2f}", f"{log_mean:.2f} ({log_std:.2f})"
            rows.append((f"{a} vs {b}, {kind}", "EQ: 4,219 images", *cells))
            for run in runs:
                pair, _ = pair_of(run.summary, a, b)
                ours = (pair, pair.post_softmax)[index]
                if ours is not None:
                    spread = f"{number(ours.log_mean, 2)} ({number(ours.log_std, 2)})"
                    rows.append(("", f"**ours**: {run.title}", number(ours.relative_performance, 2), spread))
    return "\n".join(table(("pair", "", "relative performance", "mean (std) of the log"), rows))


def claims(summary: Summary) -> Iterator[str]:
    """The papers' claims, and whether they hold here at equal area, by the tests of the summary."""
    for a, b, claim in CLAIMS:
        yield f"{claim}: {_verdict(summary, a, b)}"
    tested = pair_of(summary, "gradcam++", "gradcam+")[0].equal_area
    assert tested is not None
    kept = tested.log_ratio
    is_alike = kept.low is not None and kept.high is not None and math.log(0.9) < kept.low <= kept.high < math.log(1.1)
    verdict = "holds" if is_alike else "not shown"
    limits = f"kept at equal area {factor(kept)}, alike within 0.9 to 1.1"
    yield f"EQ: gradcam++ is practically gradcam+: {verdict} ({limits})."
    shares = summary.methods["gradcam"].retention
    values = {theta: (_kept(summary, "gradcam++", theta), _kept(summary, "gradcam", theta)) for theta in shares}
    verdict = "holds" if all(ours >= theirs for ours, theirs in values.values()) else "does not hold"
    texts = ", ".join(f"{ours:.1f} vs {theirs:.1f} at θ = {theta}" for theta, (ours, theirs) in values.items())
    yield f"GC++ 7.2: gradcam++ is as good or better at each hidden share: {verdict} ({texts} %)."


def _kept(summary: Summary, method: str, theta: str) -> float:
    value = summary.methods[method].retention[theta].value
    assert value is not None
    return value


def _verdict(summary: Summary, a: str, b: str) -> str:
    """Whether a keeps more than b at equal area; the papers' measures, of unlike areas, follow in brackets."""
    pair, sign = pair_of(summary, a, b)
    tested, performance = pair.equal_area, pair.relative_performance
    if tested is None or tested.p_holm is None or tested.log_ratio.value is None or performance is None:
        return "undefined here."
    kept, p_holm = tested.log_ratio.value, tested.p_holm
    verdict = "holds" if sign * kept > 0 else "the opposite holds"
    if p_holm >= SIGNIFICANCE:
        verdict = "not shown"
    drops = " vs ".join(interval(summary.methods[name].average_drop) for name in (a, b))
    return (
        f"{verdict} (kept at equal area {math.exp(sign * kept):.2f}, p = {p_holm:.2g}; relative performance "
        f"{performance**sign:.2f}; Average Drop {drops})."
    )


if __name__ == "__main__":
    paper_tables()
