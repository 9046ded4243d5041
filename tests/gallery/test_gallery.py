"""Each recipe of docs/models runs as it stands there, and gives the maps of an independent derivation."""

from __future__ import annotations

import re

import pytest

from tests.gallery import frame_networks, hugging_face, monai_models, pytorchvideo_models, torchvision_models
from tests.gallery.family import Family
from tests.gallery.measure import measure
from tests.gallery.recipes import PAGES, read_recipes

FAMILIES: tuple[Family, ...] = (
    *hugging_face.FAMILIES,
    *torchvision_models.FAMILIES,
    *pytorchvideo_models.FAMILIES,
    *frame_networks.FAMILIES,
    *monai_models.FAMILIES,
)
MOST_LINES, LARGEST_DIFFERENCE = 10, 1e-5


@pytest.mark.gallery
@pytest.mark.filterwarnings("default")  # the packages' own
@pytest.mark.parametrize("family", FAMILIES, ids=[family.title.replace(" ", "-") for family in FAMILIES])
def test_recipe_gives_the_maps_of_plain_autograd(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    if family.package is not None:
        pytest.importorskip(family.package, reason=f"needs {family.package}: pip install 'vidcam[gallery]'")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = measure(family, monkeypatch)
    assert found.difference <= LARGEST_DIFFERENCE
    assert all(found.probe)
    assert found.heat == found.clip


def test_each_family_has_one_short_recipe_and_each_recipe_a_family() -> None:
    pages = [page.stem for page in sorted(PAGES.glob("*.md")) if page.stem != "README"]
    recipes = {(page, title): recipe for page in pages for title, recipe in read_recipes(page).items()}
    assert sorted(recipes) == sorted((family.page, family.title) for family in FAMILIES)
    assert max(recipe.lines for recipe in recipes.values()) <= MOST_LINES


def test_table_has_each_family_and_the_lines_of_its_recipe() -> None:
    rows = re.findall(
        r"^\| \[(.+?)\]\((\w[\w-]*)\.md#\S+\) \| (\d+) \|", (PAGES / "README.md").read_text("utf-8"), re.M
    )
    lines = {family.title: read_recipes(family.page)[family.title].lines for family in FAMILIES}
    assert [(title, page, int(count)) for title, page, count in rows] == [
        (family.title, family.page, lines[family.title]) for family in FAMILIES
    ]
