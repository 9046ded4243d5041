"""What raters are asked: balance over sides, clips and methods, checks, repeated pairs, and the seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from vidcam.errors import InputError
from vidcam.pipelines.trust.design import NO_MAP, SHUFFLED, Design, Lengths, make_design

STRATA = [0, 1, 1, 0, 1, 1, 0, 1, 1, 0]
DESIGN = make_design(STRATA, 3, Lengths(pairs=10, singles=5), seed=4)


def codes(design: Design, form: int, kind: str) -> list[int]:
    return [code for code in design.forms[form] if design.items[code // 2].kind == kind]


def test_a_form_has_what_was_asked_for() -> None:
    for number, form in enumerate(DESIGN.forms):
        assert len(codes(DESIGN, number, "single")) == 5
        assert len(codes(DESIGN, number, "pair")) == 11  # one of ten is asked again
        assert Counter(DESIGN.items[code // 2].kind for code in form)["instruction"] == 1
        assert codes(DESIGN, number, "shuffled")
        kinds = [DESIGN.items[code // 2].kind == "single" for code in form]
        assert kinds == sorted(kinds, reverse=True)


def test_a_small_study_has_few_checks() -> None:
    design = make_design([0, 1, 1], 2, Lengths(40, 0), seed=0)
    kinds = [design.items[code // 2].kind for code in design.forms[0]]
    assert sorted(kinds) == ["instruction", *["pair"] * 4, "shuffled"]  # one of three pairs again


def test_nobody_sees_a_clip_twice_in_the_first_part() -> None:
    for number in range(len(DESIGN.forms)):
        clips = [DESIGN.items[code // 2].clip for code in codes(DESIGN, number, "single")]
        assert len(set(clips)) == len(clips)


def test_each_method_stands_left_as_often_as_right() -> None:
    """Two forms in a row are mirrors, but for the repeated pair."""
    for number in range(0, len(DESIGN.forms), 2):
        seen = Counter[tuple[int, int]]()
        for form in (number, number + 1):
            first = {code // 2: code % 2 for code in reversed(codes(DESIGN, form, "pair"))}
            seen.update(first.items())
        assert all(seen[item, side] == seen[item, 1 - side] for item, side in seen)
    sides = Counter((DESIGN.items[code // 2].left, code % 2) for code in codes(DESIGN, 0, "pair"))
    assert abs(sides[0, 0] - sides[0, 1]) <= 3


def test_everything_is_asked_equally_often_over_all_forms() -> None:
    design = make_design(STRATA, 3, Lengths(pairs=10, singles=5), seed=1)
    asked = Counter(code // 2 for number in range(len(design.forms)) for code in set(codes(design, number, "pair")))
    pairs = [index for index, item in enumerate(design.items) if item.kind == "pair"]
    assert len(pairs) == 3 * len(STRATA)
    assert min(asked[index] for index in pairs) > 0
    singles = Counter(
        (design.items[code // 2].clip, design.items[code // 2].left)
        for number in range(len(design.forms))
        for code in codes(design, number, "single")
    )
    assert set(singles) == {(clip, method) for clip in range(10) for method in (0, 1, 2, NO_MAP)}
    assert max(singles.values()) - min(singles.values()) <= 2


def test_methods_are_balanced_where_the_model_is_wrong() -> None:
    """A rater sees clips of both groups, and in each group all methods about equally often."""
    design = make_design([0] * 12 + [1] * 12, 3, Lengths(pairs=0, singles=24), seed=0)
    for number in range(len(design.forms)):
        seen = Counter(
            (design.items[code // 2].clip < 12, design.items[code // 2].left)
            for code in codes(design, number, "single")
        )
        assert set(seen.values()) == {3}
    short = make_design([0] * 12 + [1] * 12, 3, Lengths(pairs=0, singles=8), seed=0)
    groups = Counter(short.items[code // 2].clip < 12 for code in short.forms[0])
    assert groups[True] == groups[False] == 4


def test_a_clip_does_not_follow_itself() -> None:
    design = make_design(STRATA, 3, Lengths(pairs=20, singles=0), seed=2)
    for number in range(len(design.forms)):
        clips = [design.items[code // 2].clip for code in design.forms[number]]
        assert sum(one == other for one, other in pairwise(clips)) <= 4  # of 24; by chance a check or a repeated pair


def test_repeated_pairs_have_their_sides_swapped() -> None:
    for number in range(len(DESIGN.forms)):
        items = Counter(code // 2 for code in codes(DESIGN, number, "pair"))
        (again,) = [item for item, count in items.items() if count == 2]
        assert {code for code in DESIGN.forms[number] if code // 2 == again} == {2 * again, 2 * again + 1}


def test_the_seed_decides() -> None:
    lengths = Lengths(pairs=10, singles=5)
    assert make_design(STRATA, 3, lengths, seed=4) == DESIGN
    assert make_design(STRATA, 3, lengths, seed=5) != DESIGN


def test_parts_can_be_left_out() -> None:
    no_pairs = make_design([0, 0], 2, Lengths(pairs=0, singles=2), seed=0)
    assert {no_pairs.items[code // 2].kind for form in no_pairs.forms for code in form} == {"single"}
    no_singles = make_design([0, 0], 2, Lengths(pairs=2, singles=0), seed=0)
    assert "single" not in {no_singles.items[code // 2].kind for form in no_singles.forms for code in form}
    assert any(item.right == SHUFFLED for item in no_singles.items)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="two methods and a clip"):
        make_design([0], 1, Lengths(), seed=0)
    with pytest.raises(InputError, match="--pairs is -1"):
        Lengths(pairs=-1)
    with pytest.raises(InputError, match="no question"):
        Lengths(pairs=0, singles=0)
