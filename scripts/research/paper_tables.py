"""The papers' tables beside ours: Grad-CAM++ tables 1–3 and 6–11, its critique's tables 1–2, and their claims.

`vidcam score` computes the figures, and resumes where it was interrupted. The papers' models and data are not
available: compare the claims, not the digits.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import vidcam
from scripts.markdown import table
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set

METHODS = ("gradcam", "gradcam+", "gradcam++", "gradcam++signed")
MEASURES = ("default", "localization")

GCPP: Mapping[str, tuple[float, ...]] = {
    "table 1: ImageNet, VGG-16": (36.84, 46.56, 17.05, 13.42, 70.72, 29.28),
    "table 2: VOC 2007, VGG-16": (19.53, 28.54, 18.96, 21.43, 61.47, 39.44),
    "table 6: Sports-1M, C3D, 3,000 videos": (59.79, 95.26, 6.68, 0.84, 94.09, 5.91),
    "table 8: ImageNet, AlexNet": (62.75, 82.86, 8.24, 3.16, 86.56, 13.44),
    "table 9: VOC 2007, AlexNet": (29.16, 45.82, 19.76, 14.38, 72.79, 27.21),
    "table 10: ImageNet, ResNet-50": (28.90, 30.36, 22.16, 22.11, 60.51, 39.49),
    "table 11: VOC 2007, ResNet-50": (16.19, 20.86, 19.52, 21.99, 58.61, 41.39),
}
"""Average Drop, Increase and Win %, each of gradcam++ and gradcam."""

TABLE_7: Mapping[str, tuple[float, ...]] = {"VOC 2007, VGG-16": (32.43, 28.54, 19.12, 21.43, 26.09, 73.91)}
"""The same of the signed ablation and gradcam."""

TABLE_3 = {"0": (0.34, 0.33), "0.25": (0.38, 0.28), "0.5": (0.28, 0.16)}
"""mLoc(δ) of gradcam++ and gradcam: VOC 2012, VGG-16, images."""

EQ = {
    ("gradcam++", "gradcam"): ((1.24, 0.21, 0.64), (1.27, 0.24, 0.68)),
    ("gradcam+", "gradcam"): ((1.16, 0.15, 0.66), (1.25, 0.22, 0.68)),
    ("gradcam++", "gradcam+"): ((1.06, 0.06, 0.41), (1.01, 0.01, 0.11)),
}
"""Relative performance, mean and standard deviation of its log, of pre- and post-softmax maps: 4,219 images."""

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

Summary = Mapping[str, Any]


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
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    if not summary["n"]:
        raise click.ClickException(f"none of the {summary['clips']} clips was scored; see {out / 'report.md'}")
    click.echo("\n\n".join(document(summary)))


def document(summary: Summary) -> Iterator[str]:
    """The parts of the page."""
    settings = summary["settings"]
    where = (
        f"{settings['model']} at {' + '.join(settings['layer'])}, {summary['n']} clips in {summary['groups']} groups"
    )
    yield f"# The papers' tables beside {where}\n\n`{summary['command']}`"
    yield "## Differences from the papers\n\n" + differences(summary)
    yield "## Grad-CAM++, tables 1, 2, 6 and 8–11 (percent)\n\n" + _shares(summary, "gradcam++", GCPP)
    yield "## Table 7: the ablation with signed gradients (percent)\n\n" + _shares(summary, "gradcam++signed", TABLE_7)
    yield "## Table 3: Loc(δ)\n\n" + _localization(summary)
    yield "## The critique, tables 1 and 2\n\n" + _critique(summary)
    yield "## The claims\n\n" + "\n".join(f"* {line}" for line in claims(summary))


def differences(summary: Summary) -> str:
    """How this evaluation differs from the papers'."""
    settings = summary["settings"]
    return f"""\
* Model and data: {settings["model"]} ({settings["weights"]}) on {summary["n"]} clips. The papers use image \
networks, and C3D on 3,000 videos of Sports-1M.
* Fill: {settings["fill"]}. The papers multiply the image by the map, before or after its mean is subtracted.
* Maps are min-max normalised over the whole clip and upsampled trilinearly. α is eq. 19 without an epsilon.
* Win % counts ties separately. The papers' shares in table 2 add up to 100.91.
* Loc(δ) covers space and time, on clips with tubes, for the label's class. Table 3 is about images.
* Left out: {summary["left_out"]} clips (`--correct-only` {settings["correct_only"]}, `--min-confidence` \
{settings["min_confidence"]:g}). The critique keeps images of the right class above a score."""


def number(value: float | None, digits: int = 1) -> str:
    """Format with fixed digits, or as a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(mean: Mapping[str, float | None], digits: int = 1) -> str:
    """Format as '61.0 [55.2, 66.1]'."""
    value, low, high = (number(mean[name], digits) for name in ("value", "low", "high"))
    return value if value == "–" else f"{value} [{low}, {high}]"


def pair_of(summary: Summary, a: str, b: str) -> tuple[Mapping[str, Any], int]:
    """The comparison of two methods, and 1 if it is a over b, or -1 if it is b over a."""
    for pair in summary["pairs"]:
        if {pair["a"], pair["b"]} == {a, b}:
            return pair, 1 if pair["a"] == a else -1
    raise click.ClickException(f"the summary has no pair of {a} and {b}; score both")


def _shares(summary: Summary, method: str, papers: Mapping[str, Sequence[float]]) -> str:
    """Average Drop, Increase and Win % of a method and gradcam: the papers', ours, and the controls."""
    scores, (pair, _) = summary["methods"], pair_of(summary, method, "gradcam")
    names = ("average_drop", "increase")
    ours = [interval(scores[row][name]) for name in names for row in (method, "gradcam")]
    ties = f" (ties {pair['ties']:.1f})" if pair["ties"] else ""
    rows = [(name, *(f"{value:.2f}" for value in values)) for name, values in papers.items()]
    rows.append(("**ours**", *ours, number(pair["win_a"]) + ties, number(pair["win_b"])))
    for control in ("random", "centre"):
        drop, increase = (interval(scores[control][name]) for name in names)
        rows.append((f"{control} (control)", "", drop, "", increase, "", ""))
    methods = (method.removeprefix("gradcam"), "gradcam")
    header = ("", *(f"{measure} {name}" for measure in ("drop", "increase", "win") for name in methods))
    return "\n".join(table(header, rows))


def _localization(summary: Summary) -> str:
    count = summary["methods"]["gradcam"]["n_with_boxes"]
    if not count:
        return "No clip of the set has boxes."
    methods = ("gradcam++", "gradcam", "gradcam+", "random", "centre")
    rows = []
    for delta, papers in TABLE_3.items():
        ours = (interval(summary["methods"][name]["localization"][delta], 2) for name in methods)
        rows.append((delta, *map("{:.2f}".format, papers), *ours))
    header = ("δ", "paper ++", "paper gradcam", *(f"ours {name}" for name in methods))
    return "\n".join([f"{count} clips with tubes.\n", *table(header, rows)])


def _critique(summary: Summary) -> str:
    rows = []
    for (a, b), papers in EQ.items():
        pair, _ = pair_of(summary, a, b)
        for kind, paper, ours in zip(
            ("pre-softmax", "post-softmax"), papers, (pair, pair["post_softmax"]), strict=True
        ):
            value, mean, std = (number(ours[name], 2) for name in ("relative_performance", "log_mean", "log_std"))
            cells = f"{paper[0]:.2f}", value, f"{paper[1]:.2f} ({paper[2]:.2f})", f"{mean} ({std})"
            rows.append((f"{a} vs {b}, {kind}", *cells))
    logs = "mean (std) of the log"
    return "\n".join(table(("pair", "paper", "ours", f"paper: {logs}", f"ours: {logs}"), rows))


def claims(summary: Summary) -> Iterator[str]:
    """The papers' claims, and whether they hold here at equal area, by the tests of the summary."""
    for a, b, claim in CLAIMS:
        yield f"{claim}: {_verdict(summary, a, b)}"
    kept = pair_of(summary, "gradcam++", "gradcam+")[0]["equal_area"]["log_ratio"]
    value, low, high = (None if kept[end] is None else math.exp(kept[end]) for end in ("value", "low", "high"))
    verdict = "holds" if low is not None and high is not None and 0.9 < low <= high < 1.1 else "not shown"
    limits = f"kept at equal area {number(value, 2)} [{number(low, 2)}, {number(high, 2)}], alike within 0.9 to 1.1"
    yield f"EQ: gradcam++ is practically gradcam+: {verdict} ({limits})."
    ours, theirs = (summary["methods"][method]["retention"] for method in ("gradcam++", "gradcam"))
    values = ", ".join(f"{number(ours[t]['value'])} vs {number(theirs[t]['value'])} at θ = {t}" for t in ours)
    verdict = "holds" if all(ours[t]["value"] >= theirs[t]["value"] for t in ours) else "does not hold"
    yield f"GC++ 7.2: gradcam++ is as good or better at each hidden share: {verdict} ({values} %)."


def _verdict(summary: Summary, a: str, b: str) -> str:
    """Whether a keeps more than b at equal area; the papers' measures, of unlike areas, follow in brackets."""
    pair, sign = pair_of(summary, a, b)
    kept, p_holm = pair["equal_area"]["log_ratio"]["value"], pair["equal_area"]["p_holm"]
    if p_holm is None or kept is None or pair["relative_performance"] is None:
        return "undefined here."
    verdict = "holds" if sign * kept > 0 else "the opposite holds"
    if p_holm >= 0.05:
        verdict = "not shown"
    drops = " vs ".join(interval(summary["methods"][name]["average_drop"]) for name in (a, b))
    return (
        f"{verdict} (kept at equal area {math.exp(sign * kept):.2f}, p = {p_holm:.2g}; relative performance "
        f"{pair['relative_performance'] ** sign:.2f}; Average Drop {drops})."
    )


if __name__ == "__main__":
    paper_tables()
