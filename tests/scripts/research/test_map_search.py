"""The search for maps: its maps against vidcam's own, its measures and its tables by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import vidcam
from scripts.research.map_candidates import (
    VOLUMES,
    Subject,
    hidden_boxes,
    input_products,
    layer_heats,
    path_products,
    pooled,
    when_and_where,
)
from scripts.research.map_measures import Lines, kept, truth
from scripts.research.map_search import MOTION, all_heats, load, map_search
from scripts.research.map_tables import mean, table
from scripts.research.pool import to_input
from vidcam.motion import make_clip


def subject_of(name: str) -> Subject:
    clip = make_clip(3, 2)
    return Subject(load(name), to_input(torch.from_numpy(clip.frames)[None]), clip.label)


@pytest.mark.parametrize("name", ["tiny_r3d", "tiny_c3d"])
def test_the_maps_of_the_layer_are_those_of_explain(name: str) -> None:
    subject = subject_of(name)
    heats = layer_heats(subject)
    explanation = vidcam.explain(
        subject.model, subject.clip, methods=VOLUMES, target=subject.target, baseline=subject.blank.contiguous()
    )
    for method in VOLUMES:
        expected = vidcam.maps.upsample_volume(explanation.volume(method)[0], subject.size)
        np.testing.assert_allclose(heats[method], expected, rtol=1e-3, atol=1e-4 * expected.max(), err_msg=method)


def test_the_path_of_a_quadratic_score() -> None:
    start, end = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1), torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1)
    products = path_products(lambda x: x.pow(2).sum(dim=(1, 2, 3, 4)), start, end, 2)
    assert products.tolist() == [[[[24.0]]]]  # 3² - 1² + 4²; exact for any steps


def test_input_products_sum_to_the_difference_of_the_scores() -> None:
    subject = subject_of("tiny_c3d")
    total = float(input_products(subject, 24).sum())
    difference = float(subject.score(subject.clip) - subject.score(subject.blank))
    assert total == pytest.approx(difference, rel=0.02)


def test_the_box_that_the_score_needs_is_found() -> None:
    subject = subject_of("tiny_r3d")
    heat = hidden_boxes(subject, (2, 2, 2), subject.clip)
    assert heat.max() == 0  # filled with itself

    half = subject.clip.clone()
    half[:, :, 8:] = subject.blank[:, :, 8:]
    heat = hidden_boxes(Subject(subject.model, half, subject.target), (2, 1, 1), subject.blank)
    np.testing.assert_allclose(heat[-1], 0, atol=1e-5)


def test_pooling_and_when_and_where_by_hand() -> None:
    values = torch.zeros(1, 2, 4, 4)
    values[0, 0, 0, 0] = 4.0
    heat = pooled(values, (1, 1, 1))
    np.testing.assert_allclose(heat, 4 / 32)
    when = np.array([[[1.0, 1.0]], [[3.0, 3.0]]], np.float32)
    where = np.array([[[5.0, 0.0]], [[1.0, 1.0]]], np.float32)
    np.testing.assert_allclose(when_and_where(when, where), [[[2, 0]], [[3, 3]]])


def test_what_is_kept_and_the_truth() -> None:
    subject = subject_of("tiny_r3d")
    heats = {"centre": np.random.default_rng(0).random(subject.size, dtype=np.float32)}
    assert kept(subject, heats, subject.clip, (0.5,), batch=2) == {"centre": {"kept 0.5": 0.0}}
    inside = np.zeros((1, *subject.size), np.bool_)
    inside[0, :4, :32] = True
    measured = truth(inside[0].astype(np.float32), inside)
    assert measured == pytest.approx(dict.fromkeys(measured, 1.0))


@pytest.mark.slow
def test_every_row_has_its_map() -> None:
    assert (
        set(MOTION) - {"black occlusion", "black occlusion + neutral"}
        <= all_heats(subject_of("tiny_c3d"), (1, 4, 8), 0).keys()
    )


def test_lines_merge_and_differences_are_paired(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "lines.jsonl")
    lines.add("i3d", "a", "one", {"gradcam": {"kept 0.5": -100.0}, "centre": {"kept 0.5": -150.0}})
    lines.add("i3d", "a", "one", {"gradcam": {"kept 0.25": -10.0}})
    lines.add("i3d", "b", "two", {"gradcam": {"kept 0.5": -300.0}})
    assert lines.rows("i3d", "a")["gradcam"] == {"kept 0.5": -100.0, "kept 0.25": -10.0}
    clips = list(lines.read().values())
    assert mean(clips, "gradcam", "kept 0.5").value == -200
    assert mean(clips, "centre", "kept 0.5", "gradcam").value == -50  # only the clip that both have
    assert table(clips, ["kept 0.5"], ["gradcam", "centre"], "gradcam")[2:] == [
        "| gradcam | 2 | -200 |",
        "| centre | 1 | -150 **-50 [-50, -50]** |",
    ]
    result = CliRunner().invoke(map_search, ["tables", str(lines.path)], catch_exceptions=False)
    assert "## i3d: differences from neutral-gradcam" in result.output


@pytest.mark.slow
def test_a_clip_is_measured_once(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    for _ in range(2):
        CliRunner().invoke(
            map_search, ["motion", "--model", "tiny_c3d", "--clips", "1", "--out", str(out)], catch_exceptions=False
        )
    assert len(out.read_text().splitlines()) == 1
