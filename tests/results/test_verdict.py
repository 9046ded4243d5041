from __future__ import annotations

import pytest

from vidcam.results.verdict import FEATURES, FLOOR, features, judge

GOOD = {
    "kept": 0.9,
    "kept_random": 0.3,
    "peak": 0.02,
    "peak_random": 1.0,
    "mirror": 0.9,
    "confidence": 0.9,
    "range": 1.0,
}
BAD = {"kept": 0.1, "kept_random": 0.3, "peak": 1.1, "peak_random": 0.9, "mirror": 0.1, "confidence": 0.9, "range": 1.0}


def test_the_words_follow_the_checks() -> None:
    good, bad = judge(GOOD), judge(BAD)
    assert (good.word, bad.word) == ("reliable", "unreliable")
    assert good.score is not None
    assert bad.score is not None
    assert 0.0 < bad.score < good.score < 1.0
    assert "2 %" in good.reason
    assert max(len(good.reason), len(bad.reason)) <= 90


def test_an_unsure_model_makes_no_map_reliable() -> None:
    found = judge(GOOD | {"confidence": 0.04})
    assert found.word == "doubtful"
    assert "0.04" in found.reason


def test_nothing_measured_is_not_checked() -> None:
    assert judge({}).word == "not checked"
    assert judge({"mirror": 0.9, "confidence": 0.9, "range": 1.0}).score is None


def test_a_constant_map_is_unreliable_whatever_it_keeps() -> None:
    assert judge(GOOD | {"range": 0.0}).word == "unreliable"


@pytest.mark.parametrize(
    ("name", "better", "worse"), [("kept", 0.9, 0.5), ("peak", 0.1, 0.5), ("kept_random", 0.1, 0.8)]
)
def test_the_score_is_monotone(name: str, better: float, worse: float) -> None:
    scores = [judge(GOOD | {name: value}).score for value in (better, worse)]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[0] > scores[1]


def test_the_artifact_and_the_class_do_not_change_the_word() -> None:
    assert judge(GOOD | {"artifact_share": 1.0, "class_change": 0.0}).word == "reliable"


def test_features_by_hand() -> None:
    found = features({"kept": 0.5, "kept_random": 0.1, "kept_centre": 0.25, "peak": 0.0, "peak_random": 1.0})
    assert found["half"] == pytest.approx(0.6931, abs=1e-4)  # ln 2, against the better control
    assert found["place"] == pytest.approx(6.9078, abs=1e-4)  # ln(1 / FLOOR)
    assert FLOOR == 0.001
    assert set(found) == set(FEATURES)
    assert features({})["place"] == 0.0


def test_one_unlucky_shape_and_one_unlucky_place_do_not_decide() -> None:
    found = features({"kept": 0.001, "kept_random": 0.9, "peak": 1.0, "peak_random": 0.2})
    assert (found["half"], found["place"]) == (-1.0, 0.0)
    assert features({"kept": 1.0, "kept_random": 0.001})["half"] == 2.5


def test_the_reason_names_what_speaks_for_the_word() -> None:
    shaky = judge(GOOD | {"peak": 1.0, "kept": 0.4, "mirror": -0.2})
    assert shaky.word == "unreliable"
    assert "r = -0.20" in shaky.reason
    mixed = judge(GOOD | {"peak": 1.0, "mirror": 0.3})
    assert mixed.word == "doubtful"
    assert "keeps 90 %" in mixed.reason
    assert "r = 0.30" in mixed.reason
    assert len(mixed.reason) <= 110


@pytest.mark.parametrize("checks", [{"kept": 0.01, "peak": 0.01}, {"kept": 2.0}, {"peak": 0.001}])
def test_what_cannot_be_compared_counts_as_neither_good_nor_bad(checks: dict[str, float]) -> None:
    found = judge(checks)
    assert (found.word, found.score) == ("doubtful", 0.5)


def test_huge_shares_do_not_fill_a_sentence() -> None:
    found = judge({"kept": 1e104, "kept_random": 1e139, "kept_centre": 0.5, "confidence": 1e-150})
    assert "keeps over 1000 % at half area, shuffled cells over 1000 %" in found.reason
