"""The papers' tables beside a summary: every number in its place, and each claim judged by its test."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from scripts.research import paper_tables, papers
from scripts.research.paper_tables import Run
from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.summary import Mean, Summary


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("run")
    options = ScoreOptions(methods=paper_tables.METHODS, measures=paper_tables.MEASURES)
    clips = write_set(folder / "set", 6)
    return score_set(clips, folder / "out", options, model=hidden_model(), command="reproduce").summary


def test_the_papers_shares_add_up() -> None:
    for shares in (*papers.SHARES, papers.SIGNED):
        assert sum(shares.win) == pytest.approx(100.91 if shares.number == 2 else 100)
    for pre, post in papers.RATIOS.values():
        for value, mean, _ in (pre, post):
            assert abs(value - 2.718281828**mean) < 0.02


def test_the_page_holds_every_table_and_claim(summary: Summary) -> None:
    page = "\n\n".join(paper_tables.document([Run("clips", summary)]))
    for part in ("95.26", "1.27", "32.43", "No image or clip here has boxes", "109.69", "6 of 6 in 2 groups"):
        assert part in page
    own = summary.methods["gradcam++"].average_drop.value
    assert f"| **ours**: tiny on clips, n = 6 | {own:.1f} [" in page
    assert page.count("\n* ") >= 14


def test_our_row_stands_below_the_papers_row_of_the_same_data_and_network(summary: Summary) -> None:
    summary = replace(summary, settings=replace(summary.settings, model="torchvision:alexnet"))
    runs = [Run("ImageNet", summary), Run("VOC", summary), Run("elsewhere", summary)]
    lines = "\n\n".join(paper_tables.document(runs)).splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("| table ")]
    after = {lines[index].split(":")[0]: lines[index + 1] for index in starts}
    assert after["| table 8"].startswith("| **ours**: torchvision:alexnet on ImageNet")
    assert after["| table 9"].startswith("| **ours**: torchvision:alexnet on VOC")
    assert after["| table 10"].startswith("| table 11")
    assert after["| table 11"].startswith("| **ours**: torchvision:alexnet on elsewhere")
    assert after["| table 7"].startswith("| **ours**: torchvision:alexnet on ImageNet")


def test_wins_and_drops_belong_to_their_method(summary: Summary) -> None:
    pair, sign = paper_tables.pair_of(summary, "gradcam", "gradcam++signed")
    assert sign == -1
    row = next(
        line for line in paper_tables._shares([Run("x", summary)], (papers.SIGNED,)).splitlines() if "ours" in line
    )
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[6].startswith(f"{pair.win_a:.1f}")
    assert cells[7] == f"{pair.win_b:.1f}"


def test_a_claim_is_judged_by_its_test(summary: Summary) -> None:
    pair, _ = paper_tables.pair_of(summary, "gradcam++", "gradcam")
    assert pair.equal_area is not None
    for p_value, log_ratio, verdict in (
        (0.001, 0.2, "holds"),
        (0.001, -0.2, "the opposite holds"),
        (0.2, 0.2, "not shown"),
    ):
        tested = replace(pair.equal_area, p_holm=p_value, log_ratio=Mean(log_ratio, None, None))
        pairs = tuple(replace(pair, equal_area=tested) if each is pair else each for each in summary.pairs)
        assert f"than gradcam: {verdict} (" in next(iter(paper_tables.claims(replace(summary, pairs=pairs))))


def test_a_pair_is_found_in_either_order(summary: Summary) -> None:
    pair, sign = paper_tables.pair_of(summary, "gradcam", "gradcam++signed")
    assert (pair.a, sign) == ("gradcam++signed", -1)
    with pytest.raises(click.ClickException, match="no pair of gradcam and cam"):
        paper_tables.pair_of(summary, "gradcam", "cam")


def test_a_wrong_option_and_a_set_without_scores_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("path\nnowhere.mp4\n")
    run = partial(CliRunner().invoke, paper_tables.paper_tables)
    arguments = [str(tmp_path / "set.csv"), "-o", str(tmp_path / "out"), "--model", "tiny_r3d"]
    assert "Error: --fill is 'pink'; it must be one of" in run([*arguments, "--fill", "pink"]).output
    assert "Error: none of the 1 clips can be opened" in run(arguments).output
    unsure = [str(write_set(tmp_path / "one", 1)), *arguments[1:], "--min-confidence", "1"]
    assert "Error: none of the 1 clips was scored; see" in run(unsure).output
