"""The small language of conditions on rows of scores.csv."""

from __future__ import annotations

import pytest

from vidcam.errors import InputError
from vidcam.pipelines.score.filters import parse_filter

COLUMNS = ("path", "correct", "class", "probability", "method", "retention_0.5", "kept_frame-mean", "label")
ROW = dict(zip(COLUMNS, ("a b.mp4", "false", "yoga", "0.75", "gradcam++", "0.2", "1.5", ""), strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "correct == false",
        "correct != true",
        "class == 'yoga' and probability>0.7",
        'class == "tai chi" or probability >= .75',
        "not (class == 'tai chi' or probability < 0.5)",
        "not not correct == false",
        "retention_0.5 <= 2e-1",
        "kept_frame-mean > 1",
        "method == 'gradcam++' and path == 'a b.mp4'",
        "label == empty and probability != 1",
        "correct == true and class == 'yoga' or class == 'yoga'",  # `and` binds more tightly
        "((correct == false))",
    ],
)
def test_conditions_that_hold(text: str) -> None:
    assert parse_filter(text, COLUMNS)(ROW)
    assert not parse_filter(f"not ({text})", COLUMNS)(ROW)


def test_an_empty_cell_is_neither_smaller_nor_larger() -> None:
    for text in ("label < 1", "label > 1", "label == 1", "label != 1", "path > 0"):
        assert not parse_filter(text, COLUMNS)(ROW)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected a condition of at most 100 words, such as correct == false"),
        ("correct = false", "= false is not understood"),
        ("corect == false", "scores.csv has no column corect; it has class, correct, kept_frame-mean"),
        ("correct", "expected ==, !=, <, <=, > or >= at the end"),
        ("correct false", "expected ==, !=, <, <=, > or >= after correct, got false"),
        ("correct ==", "expected a value at the end"),
        ("correct == == 1", "expected a value after ==, got =="),
        ("correct == false and", "expected a column at the end"),
        ("(correct == false", "a parenthesis is not closed"),
        ("correct == false)", "expected and, or or the end, got )"),
        ("correct == false probability > 1", "expected and, or or the end, got probability"),
        ("class == yoga", "yoga is no number; put texts in quotes: class == 'yoga'"),
        ("class < 'yoga'", "only numbers are smaller or larger"),
        ("correct == 'false", "'false is not understood"),
        ("__import__('os').system('true')", "scores.csv has no column __import__"),
        ("correct == true or " * 300, "expected a condition of at most 100 words"),
    ],
)
def test_what_is_no_condition_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_filter(text, COLUMNS)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_deep_parentheses_are_no_crash() -> None:
    assert parse_filter("(" * 48 + "correct == false" + ")" * 48, COLUMNS)(ROW)
    assert parse_filter("not " * 96 + "correct == false", COLUMNS)(ROW)
    with pytest.raises(InputError, match="at most 100 words"):
        parse_filter("(" * 400 + "correct == false" + ")" * 400, COLUMNS)
