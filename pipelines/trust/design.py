"""What raters are asked, and in which order. All of it is drawn here from a seed; the page runs the list.

A rater sees two parts. *Single*: one map (or the video alone), and the question whether the model is right. No rater
sees a clip there with two methods, so an answer belongs to one method. *Pair*: two maps of one clip side by side, and
the question which one shows better why the model says it. A form is the list of questions of one rater.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from vidcam.arguments import require_range
from vidcam.errors import InputError

ItemKind = Literal["single", "pair", "instruction", "shuffled"]

NO_MAP = -1
"""In place of a map: the video alone."""

SHUFFLED = -2
"""In place of a map: the clip's map with its cells in random order."""

MOST_FORMS = 200
"""Limit of the forms, unless it takes more to ask everything once."""

_CHECK_EVERY = 10
"""One check of attention, and one repeated pair, for so many pairs; at least two checks."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question that can be asked.

    Attributes:
        kind: `pair` and `single`: see above. `instruction`: a pair where the page says what to answer. `shuffled`: a
            map beside the same map shuffled. The last two check the rater's attention.
        clip: index of the clip.
        left: index of the method on the left, or the only one; NO_MAP without one.
        right: index of the method on the right; NO_MAP for `single`.
    """

    kind: ItemKind
    clip: int
    left: int
    right: int = NO_MAP


@dataclass(frozen=True, slots=True)
class Design:
    """All questions, and the forms.

    Attributes:
        items: the questions.
        forms: for each form its questions in order, each as 2 × index + 1 if left and right are swapped.
    """

    items: tuple[Item, ...]
    forms: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many questions a rater is asked; fewer if there are not so many.

    Attributes:
        pairs: pairs, without checks and repeated pairs.
        singles: questions whether the model is right.
    """

    pairs: int = 40
    singles: int = 20

    def __post_init__(self) -> None:
        require_range("pairs", self.pairs, 0, 500)
        require_range("singles", self.singles, 0, 500)
        if self.pairs + self.singles == 0:
            raise InputError("--pairs 0 and --singles 0 leave no question; raise one of them")


def make_design(strata: Sequence[int], methods: int, lengths: Lengths, seed: int) -> Design:
    """Draw the questions and the forms.

    Two forms in a row have the same pairs with the sides swapped. Over all forms, each method stands left as often as
    right, each pair of each clip is asked about as often as any other, and so is each method with each clip.

    Args:
        strata: for each clip its group, such as whether the model is right. Methods are balanced within each group.
        methods: number of methods, at least two.
        lengths: how many questions a rater is asked.
        seed: of all random choices.

    Raises:
        InputError: fewer than two methods, or no clip.
    """
    if methods < 2 or not strata:
        raise InputError(f"a study needs two methods and a clip; there are {methods} methods and {len(strata)} clips")
    random = np.random.default_rng(seed)
    clips = len(strata)
    pairs = _pair_items(clips, methods, random)
    shown = [*range(methods), NO_MAP]
    singles = _single_items(strata, shown, random)
    wanted_pairs, wanted_singles = min(lengths.pairs, len(pairs)), min(lengths.singles, clips)
    checks = _check_items(clips, methods, wanted_pairs, random)
    items = (*(item for row in singles for item in row), *pairs, *checks)
    number = {item: index for index, item in enumerate(items)}

    windows = max(_windows(len(pairs), wanted_pairs), _windows(clips, wanted_singles))
    forms: list[tuple[int, ...]] = []
    for index in range(min(windows * len(shown), max(windows, MOST_FORMS // 2))):
        place, shift = index % windows, index // windows
        chosen = [pairs[(place * wanted_pairs + k) % len(pairs)] for k in range(wanted_pairs)]
        rows = [(place * wanted_singles + k) % clips for k in range(wanted_singles)]
        first = [2 * number[singles[row][shift % len(shown)]] for row in rows]
        sides = _balanced_sides(chosen, random)
        for mirror in (0, 1):
            second = [2 * number[item] + (side + mirror) % 2 for item, side in zip(chosen, sides, strict=True)]
            ordered = _apart(random.permutation(first).tolist(), items)
            ordered += _with_checks(_apart(random.permutation(second).tolist(), items), checks, number, random)
            forms.append(tuple(ordered))
    return Design(items, tuple(forms))


def _windows(total: int, each: int) -> int:
    """How many forms it takes until everything was asked once."""
    return -(-total // each) if each else 1


def _single_items(strata: Sequence[int], shown: Sequence[int], random: np.random.Generator) -> list[list[Item]]:
    """For each clip its maps, turned on by one from clip to clip of a group; any stretch of clips has all groups."""
    order = random.permutation(len(strata)).tolist()
    ranked: list[tuple[float, int, int]] = []  # place within the group as a share, place, clip
    for group in sorted(set(strata)):
        members = [clip for clip in order if strata[clip] == group]
        ranked += [((place + 0.5) / len(members), place, clip) for place, clip in enumerate(members)]
    turned = [(place, clip) for _, place, clip in sorted(ranked)]
    return [
        [Item("single", clip, shown[(place + k) % len(shown)]) for k in range(len(shown))] for place, clip in turned
    ]


def _pair_items(clips: int, methods: int, random: np.random.Generator) -> list[Item]:
    """All pairs of all clips; any stretch of the list has all clips and all pairs of methods about equally often."""
    kinds = list(combinations(range(methods), 2))
    order = random.permutation(clips).tolist()
    return [
        Item("pair", clip, *kinds[(place + turn) % len(kinds)])
        for turn in range(len(kinds))
        for place, clip in enumerate(order)
    ]


def _check_items(clips: int, methods: int, pairs: int, random: np.random.Generator) -> list[Item]:
    """Checks of attention, of both kinds in turn; none without pairs."""
    count = max(2, round(pairs / _CHECK_EVERY)) if pairs else 0
    made = []
    for index in range(count):
        clip, (left, right) = int(random.integers(clips)), random.permutation(methods)[:2].tolist()
        made.append(Item("shuffled", clip, left, SHUFFLED) if index % 2 else Item("instruction", clip, left, right))
    return list(dict.fromkeys(made))


def _balanced_sides(chosen: Sequence[Item], random: np.random.Generator) -> list[int]:
    """0 or 1 for each pair; of each pair of methods, half are 1, or all but one half."""
    sides = [0] * len(chosen)
    places: dict[tuple[int, int], list[int]] = {}
    for place in random.permutation(len(chosen)).tolist():
        places.setdefault((chosen[place].left, chosen[place].right), []).append(place)
    for of_kind in places.values():
        first = int(random.integers(2))
        for turn, place in enumerate(of_kind):
            sides[place] = (first + turn) % 2
    return sides


def _apart(codes: list[int], items: Sequence[Item]) -> list[int]:
    """Move questions so that no two in a row are about one clip, as far as that can be."""

    def clip(place: int) -> int:
        return items[codes[place] // 2].clip

    for place in range(1, len(codes)):
        if clip(place) != clip(place - 1):
            continue
        others = (k for k in range(place + 1, len(codes)) if clip(k) != clip(place))
        if (other := next(others, None)) is not None:
            codes[place], codes[other] = codes[other], codes[place]
    return codes


def _with_checks(
    codes: list[int], checks: Sequence[Item], number: dict[Item, int], random: np.random.Generator
) -> list[int]:
    """Add the checks at random places, and at the end some of the first pairs again with their sides swapped."""
    again = random.permutation(codes[: max(1, len(codes) // 3)])[: max(1, round(len(codes) / _CHECK_EVERY))]
    late = len(codes) - len(codes) // 4
    for code in again.tolist() if len(codes) > 1 else []:
        codes.insert(int(random.integers(late, len(codes) + 1)), code ^ 1)
    for item in checks:
        codes.insert(int(random.integers(1, len(codes) + 1)), 2 * number[item] + int(random.integers(2)))
    return codes
