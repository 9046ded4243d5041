"""Choose rows of scores.csv with a short condition: `correct == false and probability > 0.8`.

A condition compares columns with values and joins comparisons by `and`, `or`, `not` and parentheses. A column is
named as in the file. A value is a number, `true`, `false`, `empty`, or a text in quotes. Nothing is evaluated as code.
An empty cell is equal to `empty` only, and neither smaller nor larger than anything.

    condition  = both { "or" both }
    both       = part { "and" part }
    part       = "not" part | "(" condition ")" | column operator value
    operator   = == != < <= > >=
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vidcam.errors import InputError

Cells = Mapping[str, str]
"""One row of scores.csv: column → text of the cell."""

Condition = Callable[[Cells], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<sign>==|!=|<=|>=|<|>|\(|\))|(?P<word>[^\s()<>=!"']+))""")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXAMPLE = "such as correct == false and probability > 0.8"
_MOST_TOKENS = 100


def parse_filter(text: str, columns: Sequence[str]) -> Condition:
    """Return a condition on a row.

    Args:
        text: the condition.
        columns: names of the columns of scores.csv.

    Raises:
        InputError: it is none; the message says where.
    """
    parser = _Parser(_tokens(text), frozenset(columns), text)
    condition = parser.condition()
    if parser.rest:
        raise parser.error(f"expected and, or or the end, got {parser.rest[0]}")
    return condition


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise InputError(
                f"--from-scores {text!r}: {text[place:].strip():.20} is not understood; expected a condition {_EXAMPLE}"
            )
        tokens.append(match[0].strip())
        place = match.end()
    if not tokens or len(tokens) > _MOST_TOKENS:
        raise InputError(
            f"--from-scores {text!r:.40}: expected a condition of at most {_MOST_TOKENS} words, {_EXAMPLE}"
        )
    return tokens


@dataclass(slots=True)
class _Parser:
    """Reads tokens from the left; `rest` is what is not read yet."""

    rest: list[str]
    columns: frozenset[str]
    text: str

    def error(self, problem: str) -> InputError:
        return InputError(f"--from-scores {self.text!r}: {problem}")

    def condition(self) -> Condition:
        parts = [self.both()]
        while self._skip("or"):
            parts.append(self.both())
        return lambda row: any(part(row) for part in parts)

    def both(self) -> Condition:
        parts = [self.part()]
        while self._skip("and"):
            parts.append(self.part())
        return lambda row: all(part(row) for part in parts)

    def part(self) -> Condition:
        if self._skip("not"):
            inner = self.part()
            return lambda row: not inner(row)
        if self._skip("("):
            inner = self.condition()
            if not self._skip(")"):
                raise self.error("a parenthesis is not closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        column = self._next("a column")
        if column not in self.columns:
            raise self.error(f"scores.csv has no column {column}; it has {', '.join(sorted(self.columns))}")
        sign = self._next("==, !=, <, <=, > or >=")
        if sign not in _COMPARE:
            raise self.error(f"expected ==, !=, <, <=, > or >= after {column}, got {sign}")
        value = self._next("a value")
        if value in "()" or value in _COMPARE:
            raise self.error(f"expected a value after {sign}, got {value}")
        return self._compared(column, sign, value)

    def _compared(self, column: str, sign: str, value: str) -> Condition:
        is_equal, is_text = sign in {"==", "!="}, value[0] in "\"'"
        if is_text or value in {"true", "false", "empty"}:
            if not is_equal:
                raise self.error(f"{column} {sign} {value}: only numbers are smaller or larger")
            expected = value[1:-1] if is_text else "" if value == "empty" else value
            return lambda row: (row[column] == expected) == (sign == "==")
        try:
            expected_number = float(value)
        except ValueError:
            raise self.error(f"{value} is no number; put texts in quotes: {column} {sign} '{value}'") from None
        compare = _COMPARE[sign]
        return lambda row: (number := _number(row[column])) is not None and compare(number, expected_number)

    def _skip(self, token: str) -> bool:
        if self.rest and self.rest[0] == token:
            self.rest.pop(0)
            return True
        return False

    def _next(self, what: str) -> str:
        if not self.rest:
            raise self.error(f"expected {what} at the end")
        return self.rest.pop(0)


def _number(cell: str) -> float | None:
    """Return the number in a cell; None if it has none."""
    try:
        return float(cell)
    except ValueError:
        return None
