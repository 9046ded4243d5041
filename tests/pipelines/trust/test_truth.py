"""True classes: from a scored set and from a list, F1 by hand, and how a video finds its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcam.errors import InputError
from vidcam.pipelines.trust.truth import f1_scores, read_truth, selected_classes, true_label

SCORED = """clip,path,label,class,correct,method
0,yoga/a.mp4,yoga,yoga,true,gradcam
0,yoga/a.mp4,yoga,yoga,true,gradcam++
1,yoga/b.mp4,yoga,archery,false,gradcam
2,archery/a.mp4,Archery,archery,true,gradcam
3,golf/c.mp4,golf,yoga,false,gradcam
4,golf/d.mp4,,golf,,gradcam
"""


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A folder as `vidcam score` writes it, as far as it is read."""
    (tmp_path / "scores.csv").write_text(SCORED)
    return tmp_path


def test_f1_by_hand(scored: Path) -> None:
    # yoga: 1 hit, 1 false alarm, 1 miss; archery: 1 hit, 1 false alarm; golf: 1 miss
    assert f1_scores(read_truth(scored)) == pytest.approx({"yoga": 0.5, "archery": 2 / 3, "golf": 0.0})


def test_the_best_classes_are_selected(scored: Path) -> None:
    truth = read_truth(scored / "scores.csv")
    assert list(selected_classes("f1:2", truth)) == ["archery", "yoga"]
    assert len(selected_classes("f1:9", truth)) == 3
    with pytest.raises(InputError, match="--select is 'best'"):
        selected_classes("best", truth)


def test_a_video_finds_its_row_by_its_name_and_its_folder(scored: Path) -> None:
    truth = read_truth(scored)
    assert true_label(truth, "/data/clips/golf/c.mp4") == "golf"
    assert true_label(truth, "elsewhere/c.mp4") == "golf"
    assert true_label(truth, "/data/archery/a.mp4") == "Archery"
    assert true_label(truth, "unknown.mp4") is None
    with pytest.raises(InputError, match=r"several videos 'a\.mp4'"):
        true_label(truth, "moved/a.mp4")


def test_a_list_without_the_models_classes_has_no_f1(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label\n'=1.mp4,yoga\n")
    truth = read_truth(tmp_path / "list.csv")
    assert truth[0].path == "=1.mp4"
    with pytest.raises(InputError, match="folder of vidcam score"):
        selected_classes("f1:1", truth)


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("name,score\na,1\n")
    with pytest.raises(InputError, match="no clip with a label"):
        read_truth(tmp_path / "other.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(tmp_path / "none.csv")
