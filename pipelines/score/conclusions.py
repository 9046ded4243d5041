"""What can be concluded from a scoring run, in words: the ranking, each pair, and what more clips would show.

A difference is stated if the corrected p is below 5 % and the interval has no 1. Where so few clips cannot show one,
the sentence says that, and not that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from vidcam.metrics.power import POWER
from vidcam.pipelines.score.numbers import clips_text, clips_that_would, factor, number, p_value, times_text, two_digits
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.pairs import SIGNIFICANCE
from vidcam.pipelines.score.summary import EqualArea, Mean, MethodFigures, Pair, Summary
from vidcam.results.notes import alpha_range_note

EQUAL = math.log(1.05)
"""Two methods are practically equal if the whole interval of what they keep at equal area is within 5 %."""

NEEDS_RETENTION = "Which method is better was not measured: that needs the measure retention."


def ranked(summary: Summary) -> list[str]:
    """Return the methods and controls by what they keep at equal area, the most first; none if it was not measured."""
    kept = {name: f.kept.value for name, f in summary.methods.items() if f.kept and f.kept.value is not None}
    return sorted(kept, key=lambda name: -kept[name])


def ranking_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row for each method and control, the best first: what it keeps, and what follows."""
    names = ranked(summary)
    rows = []
    for rank, name in enumerate(names, start=1):
        figures, is_control = summary.methods[name], name in CONTROLS
        sentences = () if is_control else _about(summary, name, names)
        rows.append(
            {
                "rank": str(rank),
                "map": f"{name} (control)" if is_control else name,
                "keeps (geometric mean)": _percent(figures.kept),
                "verdicts": "" if is_control else verdict_counts(figures),
                "conclusion": "; ".join(sentences),
            }
        )
    return rows if any(row["verdicts"] for row in rows) else [_without(row, "verdicts") for row in rows]


def headline(summary: Summary) -> str:
    """Say in one to three sentences which method keeps most, and against what."""
    names = ranked(summary)
    methods, controls = ([n for n in names if (n in CONTROLS) is wanted] for wanted in (False, True))
    if not methods:
        return NEEDS_RETENTION
    first, sentences = methods[0], _capital("; ".join(_about(summary, methods[0], names)))
    if summary.pairs and all(map(is_open_for_lack_of_clips, summary.pairs)):
        return f"{too_few(summary)} So far, {first} keeps most."
    if controls and names.index(controls[0]) < names.index(first):
        return f"No method keeps more than the control {controls[0]}. Of the methods, {first} keeps most. {sentences}."
    if not sentences:
        return f"{first} was scored, with nothing to compare it with."
    outcomes = {_outcome(tested) for tested in _comparisons(summary, first, names).values()}
    sure = "" if outcomes == {"different"} else f"On these {_clips(summary)}, "
    return f"{sure}{first} keeps most of the probability at equal area. {sentences}."


def notes(summary: Summary) -> Iterator[str]:
    """Say which maps are not to be trusted, how the ranking was made, and how many clips it takes."""
    for name, figures in summary.methods.items():
        if figures.alpha is not None:
            yield from alpha_range_note(name, figures.alpha.min, figures.alpha.max)
    clips, tested = _clips(summary), [pair.equal_area for pair in summary.pairs if pair.equal_area is not None]
    if not ranked(summary):
        return
    yield (
        "Ranked by what is kept of the probability with the lowest 25, 50 and 75 % of the voxels hidden: the geometric "
        f"mean over these shares and {clips}. All maps hide the same share."
    )
    if tested:
        smallest = number(tested[0].smallest_p, 3) if (tested[0].smallest_p or 0.0) >= 0.001 else "below 0.001"
        yield (
            f"Level: p < 0.05 after Holm's correction over {len(tested)} comparison{'s' * (len(tested) > 1)}. The "
            f"smallest p of {clips} is {smallest} before the correction. It takes at least {tested[0].least_groups} to "
            "show any difference. 'About N would' means: N clips show a difference as large as the one seen with a "
            f"chance of {100 * POWER:.0f} %."
        )
    if any(figures.verdicts for figures in summary.methods.values()):
        yield (
            "Verdicts count the clips by what a map keeps at half area against the best control. That of `explain` "
            "also hides the peak and mirrors the clip."
        )


def too_few(summary: Summary) -> str:
    """Say that a set is too small to show any difference."""
    least = next((pair.equal_area.least_groups for pair in summary.pairs if pair.equal_area is not None), None)
    return f"{_clips(summary)} cannot show which map keeps more: it takes {least} or more."


def accuracy_text(summary: Summary) -> str:
    """Say how often the model is right, and from which windows."""
    accuracy = summary.accuracy
    if accuracy.value is None:
        return ""
    top5 = "" if accuracy.top5 is None else f", top-5 {number(100 * accuracy.top5)} %"
    top1 = f"top-1 {number(100 * accuracy.value)} %"
    return f"Accuracy: {top1}{top5}, {clips_text(accuracy.known)}; {windows_text(summary)}."


def windows_text(summary: Summary) -> str:
    """Say which windows of a clip were scored."""
    choice, mean = summary.settings.windows, summary.windows
    if choice == "central":
        return "one window a clip, the central one (`explain` shows the whole video, as `--windows all` does)"
    what = "all windows that `explain` shows" if choice == "all" else f"up to {choice} windows spread over each video"
    return f"{what}, {number(mean)} a clip; the clip's probability is their mean, and each clip counts once"


def verdict_counts(figures: MethodFigures) -> str:
    """Say how many clips have which verdict: '40 reliable, 12 doubtful, 4 unreliable'."""
    return ", ".join(f"{count} {word}" for word, count in figures.verdicts.items() if count)


def _comparisons(summary: Summary, name: str, names: list[str]) -> dict[str, EqualArea]:
    """Return the tests of a method against the next one below it, and against the best control."""
    below = [other for other in names[names.index(name) + 1 :] if other not in CONTROLS]
    controls = [other for other in names if other in CONTROLS]
    tests = {frozenset((pair.a, pair.b)): pair.equal_area for pair in summary.pairs}
    found = {other: tests.get(frozenset((name, other))) for other in (*below[:1], *controls[:1])}
    return {other: tested for other, tested in found.items() if tested is not None}


def _about(summary: Summary, name: str, names: list[str]) -> Iterator[str]:
    """Compare a method with the next one below it, and with the best control."""
    firsts = {frozenset((pair.a, pair.b)): pair.a for pair in summary.pairs}
    for other, tested in _comparisons(summary, name, names).items():
        yield _against(summary, tested, 1 if firsts[frozenset((name, other))] == name else -1, other)


def _against(summary: Summary, tested: EqualArea, sign: int, other: str) -> str:
    """Say how a method compares with another; `sign` is -1 if the log ratio is that of the other one."""
    times = times_text(tested.log_ratio, sign)
    control = "the control " * (other in CONTROLS)
    match _outcome(tested):
        case "unknown":
            return f"not comparable with {control}{other}"
        case "too few":
            needed = f"it takes {tested.least_groups} or more"
            return f"{_clips(summary)} cannot separate it from {control}{other} (so far {times}; {needed})"
        case "equal":
            return f"keeps as much as {control}{other}, within 5 %: {times}"
        case "different":
            value = tested.log_ratio.value
            more = "more" if value is not None and sign * value > 0 else "less"
            return f"keeps {more} than {control}{other}: {times}, {p_value(tested.p_holm)}"
    needed = clips_that_would(tested.groups_needed)
    return f"{_clips(summary)} do not separate it from {control}{other} ({times}, {p_value(tested.p_holm)}{needed})"


def _outcome(tested: EqualArea) -> str:
    """Return the `outcome` of a pair; `too few` also if too few groups differ."""
    found = outcome(tested.log_ratio, tested.p_holm, has_enough=tested.groups >= tested.least_groups)
    smallest = tested.smallest_p_holm
    return "too few" if found == "open" and smallest is not None and smallest >= SIGNIFICANCE else found


def outcome(log_ratio: Mean, p_holm: float | None, *, has_enough: bool) -> str:
    """Return `different`, `equal`, `open`, `too few`, or `unknown`.

    Args:
        log_ratio: log of what one keeps over what the other keeps at equal area.
        p_holm: p of its test, corrected; None if it is undefined.
        has_enough: whether there are so many groups that a difference can be shown.
    """
    if p_holm is None or log_ratio.value is None:
        return "unknown"
    if log_ratio.low is None or log_ratio.high is None or not has_enough:
        return "too few"
    if log_ratio.low > -EQUAL and log_ratio.high < EQUAL:
        return "equal"
    return "different" if p_holm < SIGNIFICANCE and log_ratio.low * log_ratio.high > 0 else "open"


def conclusion(pair: Pair) -> str | None:
    """Say which method of a pair keeps more at equal area, or that both are practically equal; None if it is open."""
    tested = pair.equal_area
    found = None if tested is None else _outcome(tested)
    if tested is None or found not in {"equal", "different"}:
        return None
    a, b, mean, p_text = pair.a, pair.b, tested.log_ratio, p_value(tested.p_holm)
    if found == "equal":
        return f"{a} and {b} are practically equal ({a} keeps {factor(mean)} times as much at equal area, {p_text})."
    better, worse, sign = (a, b, 1) if mean.value is not None and mean.value > 0 else (b, a, -1)
    return f"{better} keeps more than {worse} at equal area ({factor(mean, sign)} times as much, {p_text})."


def is_open_for_lack_of_clips(pair: Pair) -> bool:
    """Whether so few clips could not have shown a difference."""
    return pair.equal_area is not None and _outcome(pair.equal_area) == "too few"


def verdict(pair: Pair) -> str:
    """Say in one sentence which method of a pair keeps more at equal area, or why that is not known."""
    return conclusion(pair) or _why_open(pair)


def _why_open(pair: Pair) -> str:
    a, b, tested = pair.a, pair.b, pair.equal_area
    if tested is None:
        return f"{a} and {b} are not compared: that needs the measure retention."
    found = _outcome(tested)
    if found == "unknown":
        return f"{a} and {b} cannot be compared: what they keep at equal area is undefined."
    if found == "too few":
        return (
            f"Too few clips to tell {a} from {b} (smallest possible p is {number(tested.smallest_p_holm, 2)}; "
            f"it takes {tested.least_groups} or more)."
        )
    p_text = p_value(tested.p_holm)
    needed = clips_that_would(tested.groups_needed)
    return (
        f"No clear difference between {a} and {b} at equal area ({a} keeps {factor(tested.log_ratio)} times as much, "
        f"{p_text}{needed})."
    )


def _clips(summary: Summary) -> str:
    return clips_text(summary.n, summary.groups)


def _percent(kept: Mean | None) -> str:
    """Format what is kept with two digits: '37 % [30, 44]'."""
    if kept is None or kept.value is None:
        return "–"
    value, *ends = (two_digits(100 * part) for part in (kept.value, kept.low, kept.high) if part is not None)
    return f"{value} %" + f" [{', '.join(ends)}]" * bool(ends)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without(row: dict[str, str], column: str) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name != column}
