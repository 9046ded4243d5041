"""The page of a study as a file: it is blind, it is whole, and what cannot be used is told."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.helpers.coded import coded_video, random_explanation
from tests.helpers.saved import save_hot
from tests.helpers.studies import LENGTHS, make_study
from vidcam.errors import InputError, MediaError, OutputError
from vidcam.pipelines.trust.content import StudyKey, read_key
from vidcam.pipelines.trust.design import Lengths
from vidcam.pipelines.trust.make import WrittenStudy


def text_in(page: Path, identifier: str) -> str:
    found = re.search(f'<script type="[a-z/]+" id="{identifier}">(.*?)</script>', page.read_text("utf-8"))
    assert found is not None
    return found[1]


def data_of(page: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text_in(page, "data")))


def cells(page: Path, section: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Unpack the cells of a map."""
    raw, count = zlib.decompress(b64decode(text_in(page, "block"))), int(np.prod(section["shape"]))
    planes = np.frombuffer(raw, np.uint8, count * 2, section["offset"]).reshape(2, count)
    whole = np.ascontiguousarray(planes.T).view("<u2").reshape(section["shape"])
    return np.asarray(section["low"] + section["step"] * whole)


def test_the_page_names_no_method_no_file_and_no_true_class(written: WrittenStudy, key: StudyKey) -> None:
    text = written.path.read_text("utf-8")
    for secret in ("gradcam", "clip0", "clip1", "jumping", "by hand", "relu"):
        assert secret not in text
        assert secret in written.key.read_text("utf-8") or secret in {"by hand", "relu"}
    assert sorted(key.methods) == ["gradcam", "gradcam++"]
    assert [clip.is_right for clip in key.clips] == [True, False, True]


def test_page_and_key_have_the_same_questions(written: WrittenStudy, key: StudyKey) -> None:
    data = data_of(written.path)
    assert data["study"] == key.study
    assert [tuple(form) for form in data["forms"]] == list(key.forms)
    kinds = [item["kind"] for item in data["items"]]
    assert kinds == [item.kind.replace("shuffled", "pair") for item in key.items]
    assert all(video["embedded"] for clip in data["clips"] for video in clip["videos"])


def test_a_shuffled_map_has_the_cells_of_its_map_in_another_order(written: WrittenStudy, key: StudyKey) -> None:
    data = data_of(written.path)
    (index,) = [number for number, item in enumerate(key.items) if item.kind == "shuffled"]
    item = data["items"][index]
    maps = data["clips"][item["clip"]]["targets"][0]["maps"]
    real, other = (cells(written.path, maps[item[side]]["cells"]) for side in ("left", "right"))
    assert real.shape == other.shape
    assert not np.allclose(real, other)
    for one, shuffled in zip(real, other, strict=True):
        assert np.sort(one, axis=None) == pytest.approx(np.sort(shuffled, axis=None))
    assert maps[item["left"]]["bounds"]["video"] == maps[item["right"]]["bounds"]["video"]


def test_the_same_clips_make_the_same_page(clips: Path, written: WrittenStudy, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path / "copy", ignore=shutil.ignore_patterns("study*"))
    again = make_study(tmp_path / "copy")
    assert again.path.read_bytes() == written.path.read_bytes()
    assert again.key.read_bytes() == written.key.read_bytes()
    other = make_study(tmp_path / "copy", out="other.html", seed=1)
    assert other.study != again.study


def test_classes_are_selected(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(
        "path,label,class\nclip0_h264.mp4,running,running\nclip1_h264.mp4,jumping,running\nclip2_h264.mp4,running,running\n"
    )
    chosen = make_study(clips, out="selected.html", truth=tmp_path, select="f1:1")
    assert chosen.clips == 2
    assert "running (F1 0.800)" in chosen.notes[0]
    assert "1 of 3 results are left out, as their class was not selected: clip1_h264.npz" in chosen.notes[1]


def test_what_cannot_be_used_is_left_out_and_told(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips / "0", tmp_path / "good")
    (tmp_path / "other").mkdir()
    explained = random_explanation(coded_video(tmp_path / "other" / "video_h264.mp4", 20))
    (tmp_path / "other" / "video_h264.npz").unlink()
    only = explained.explanations[1:], explained.labels[1:]
    replace(explained, explanations=only[0], labels=only[1]).save(tmp_path / "other" / "video_h264.npz")
    written = make_study(tmp_path, truth=None)
    assert written.clips == 1
    assert "the model says 'running', but per-window was explained" in written.notes[0]
    with pytest.raises(InputError, match=r"no result can be used.* larger than --embed"):
        make_study(tmp_path, out="large.html", truth=None, embed=0.0)
    (tmp_path / "good" / "clip0_h264.mp4").unlink()
    with pytest.raises(InputError, match=r"no result can be used.* were not found"):
        make_study(tmp_path, out="lost.html", truth=None)


def test_a_video_that_browsers_do_not_play_is_copied(tmp_path: Path) -> None:
    save_hot(tmp_path)  # h264 in rgb
    with pytest.raises(InputError, match="--proxy makes copies"):
        make_study(tmp_path, truth=None)
    assert make_study(tmp_path, truth=None, proxy=True).clips == 1


def test_methods_can_be_chosen(clips: Path) -> None:
    with pytest.raises(InputError, match="--method rise is not in all results; they have gradcam"):
        make_study(clips, out="none.html", methods=("rise",))
    with pytest.raises(InputError, match="only gradcam in all results"):
        make_study(clips, out="none.html", methods=("gradcam",))
    assert not (clips / "none.html").exists()


def test_what_is_refused(clips: Path, written: WrittenStudy, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        make_study(clips)
    with pytest.raises(InputError, match=r"must end in \.html"):
        make_study(clips, out="study.pdf")
    with pytest.raises(InputError, match="no result to show"):
        make_study(tmp_path, truth=None)
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(MediaError):
        make_study(tmp_path, truth=None)


def test_a_key_that_is_none_is_refused(written: WrittenStudy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_key(tmp_path / "none.key.json")
    changed = json.loads(written.key.read_text("utf-8"))
    changed["items"][0]["clip"] = 99
    (tmp_path / "bad.key.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match="damaged"):
        read_key(tmp_path / "bad.key.json")


def test_a_study_of_one_part(clips: Path) -> None:
    written = make_study(clips, out="pairs.html", lengths=Lengths(pairs=LENGTHS.pairs, singles=0))
    data = data_of(written.path)
    assert {data["items"][code // 2]["kind"] for code in data["forms"][0]} == {"pair", "instruction"}
