"""What of a film is shown, and the words and curves that go with it; from its maps alone, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, name_not_found
from vidcam.media import Seconds
from vidcam.render.strip import Window, probability_steps
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW, Film

MOST_MOMENTS = 2000
"""Moments of a curve over time at most; more than a strip has pixels, nearly."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One map that is shown: of which target, by which method."""

    target: int
    method: str


def chosen(film: Film, targets: Sequence[str | int], methods: Sequence[str], *, all_of_them: bool) -> tuple[Shown, ...]:
    """The maps that are shown, in the order of asking; without being asked the first one, or all.

    Raises:
        NameNotFoundError: a target or a method that was not explained.
        InputError: a guided method, or several maps where one is shown.
    """
    numbers = [_target_number(film, target) for target in targets] or range(len(film.labels) if all_of_them else 1)
    found = []
    for number in dict.fromkeys(numbers):
        known = film.explanations[number].methods
        names = [_method_name(name, known) for name in methods] or (known if all_of_them else known[:1])
        found += [Shown(number, name) for name in dict.fromkeys(names)]
    if len(found) > 1 and not all_of_them:
        raise InputError(
            f"{len(found)} maps were asked for, expected one in this style; pass --style side-by-side, or ask for one"
        )
    return tuple(found)


def _target_number(film: Film, target: str | int) -> int:
    indices = [int(explanation.target[0]) for explanation in film.explanations]
    text = str(target)
    for number, label in enumerate(film.labels):
        if text.casefold() == label.casefold() or (label != PER_WINDOW and text == str(indices[number])):
            return number
    raise name_not_found(
        "target", text, film.labels, f"{', '.join(film.labels)} was explained; explain the film for it"
    )


def _method_name(name: str, known: Sequence[str]) -> str:
    folded = name.strip().casefold()
    if folded in GUIDED:
        raise InputError(
            f"{folded} cannot be drawn from saved maps, which do not hold what it multiplies; expected one of "
            f"{', '.join(known)}; draw it with vidcam explain"
        )
    if folded not in known:
        raise name_not_found("method", name, known, f"{', '.join(known)} was explained; explain the film by it")
    return folded


class Story:
    """What a film tells about one target over time: which label, how probable, how much evidence.

    Args:
        film: its maps.
        target: position of the target.
    """

    def __init__(self, film: Film, target: int) -> None:
        self._film, self._target = film, target
        line, probability = film.timeline, film.explanations[target].probability
        self._middles = (line.starts + line.ends) / 2
        self.windows: list[Window] = list(
            zip(line.starts.tolist(), line.ends.tolist(), np.clip(probability, 0.0, 1.0).tolist(), strict=True)
        )
        self._edges, self._steps = probability_steps(self.windows)

    @property
    def mean_probability(self) -> float:
        """Of the target over the windows."""
        return float(np.mean([window[2] for window in self.windows]))

    def label(self, second: float) -> str:
        """The target's label, with its foil; for the top class of each window, that of the nearest window."""
        label = self._film.labels[self._target]
        explanation = self._film.explanations[self._target]
        if label == PER_WINDOW:
            label = self._name(int(explanation.target[self._nearest(second)]))
        return label if explanation.foil is None else f"{label} rather than {self._name(int(explanation.foil[0]))}"

    def probability(self, second: float) -> float | None:
        """Mean of the windows that cover the moment; None where none does.

        Of windows with a class of their own it is that of the nearest, whose label is shown.
        """
        place = int(np.searchsorted(self._edges, second, side="right")) - 1
        if not 0 <= place < self._steps.size or np.isnan(self._steps[place]):
            return None
        if self._film.labels[self._target] == PER_WINDOW:
            return self.windows[self._nearest(second)][2]
        return float(self._steps[place])

    def leaders(self) -> list[str]:
        """The label of the highest score in each window."""
        best = self._film.explanations[self._target].logits.argmax(axis=1)
        return [self._name(int(index)) for index in best]

    def _name(self, index: int) -> str:
        return self._film.class_labels.get(index, f"class {index}")

    def _nearest(self, second: float) -> int:
        return int(np.abs(self._middles - second).argmin())


def caption(story: Story, shown: Shown, second: float) -> tuple[str, str]:
    """Two lines: the label; its probability then, and the method."""
    probability = story.probability(second)
    sure = "" if probability is None else f"{percent(probability)} · "
    return story.label(second), f"{sure}{shown.method}"


def percent(probability: float) -> str:
    """Whole percents that never round to certainty or to nothing."""
    if 0.0 < probability < 0.005:
        return "< 1 %"
    if 0.995 <= probability < 1.0:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def moments(pts_seconds: Seconds) -> Seconds:
    """At most MOST_MOMENTS of the displayed frames, evenly."""
    return pts_seconds[:: max(1, -(-pts_seconds.size // MOST_MOMENTS))]


def relative(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """In units of its largest value: what matters over time is when, not how much."""
    most = float(evidence.max())
    return evidence / most if most > 0 else evidence
