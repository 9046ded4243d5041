"""The recipes of docs/models: one block of Python below each heading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "models"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as its page shows it.

    Attributes:
        title: the heading above it.
        code: the block.
    """

    title: str
    code: str

    @property
    def lines(self) -> int:
        """How many lines are not blank."""
        return sum(bool(line.strip()) for line in self.code.splitlines())


def read_recipes(page: str) -> dict[str, Recipe]:
    """Return heading → recipe of a page such as 'monai'; a section has exactly one block."""
    sections = re.split(r"^## ", (PAGES / f"{page}.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    recipes = {}
    for section in sections:
        title = section.partition("\n")[0]
        (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        recipes[title] = Recipe(title, code)
    return recipes
