"""Print the table of docs/models/README.md, or some of its rows: `python -m tests.gallery [TITLE ...]`."""

from __future__ import annotations

import os
import sys
import warnings

import pytest

from scripts.markdown import table
from tests.gallery.family import Family
from tests.gallery.measure import Measured, measure
from tests.gallery.test_gallery import FAMILIES

HEADER = ("family", "lines", "layer", "largest difference", "place", "cost")


def row(family: Family) -> list[str]:
    """Return the cells of a family."""
    title = f"[{family.title}]({family.page}.md#{anchor(family.title)})"
    with pytest.MonkeyPatch.context() as patch:
        found = measure(family, patch, is_timed=True)
    return [title, str(found.lines), f"`{found.layer}`", f"{found.difference:.0e}", place(found), f"{found.cost:.1f}"]


def anchor(title: str) -> str:
    """Return the address of a heading, as GitHub makes it."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def place(found: Measured) -> str:
    """Say what the probe of cells found."""
    return f"{sum(found.probe)} of {len(found.probe)}" if found.probe else "–"


def main() -> None:
    """Measure all families, or those that are named, and print the table."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")  # the packages' own
    rows = []
    titles = sys.argv[1:] or [family.title for family in FAMILIES]
    for family in (family for family in FAMILIES if family.title in titles):
        rows.append(row(family))
        print(family.title, file=sys.stderr)  # noqa: T201
    print("\n".join(table(HEADER, rows)))  # noqa: T201


if __name__ == "__main__":
    main()
