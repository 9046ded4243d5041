"""The result of `explain` is the same in Python, in the .npz and in the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.helpers.loading import load_video
from tests.helpers.nets import TINY_SPEC, brightness_model, pooled_model
from tests.helpers.odd import images
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.test_forward import LoudCorner
from vidcam.errors import MediaError
from vidcam.models.model import Model
from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.render.renderer import render_video
from vidcam.results.video import VideoExplanation
from vidcam.system.json_files import read_json


def test_artifact_and_audit_are_equal_in_result_npz_and_json(make_video: VideoMaker, tmp_path: Path) -> None:
    model = Model(replace(TINY_SPEC, classes=2, layer="relu"), LoudCorner().eval(), ("a", "b"), "random (seed 0)")
    options = ExplainOptions(methods=("gradcam", "gradcam++"), targets=("a", "b"), outputs=("data",))
    result = Explainer(model, options).explain(make_video(), tmp_path / "out")
    written, saved = read_json(result.paths[-1], Document), load_video(tmp_path / "out" / "video.npz")
    assert written == result.document
    assert written.artifact is not None
    assert written.artifact.cells == ((0, 0, 7),)
    for explanation in (*result.explanation.explanations, *saved.explanations):
        assert explanation.artifact == written.artifact
    audit = list(written.audit)
    assert result.audit == video_audit(result.explanation) == video_audit(saved) == audit
    assert audit[0].startswith("The weights are random")
    assert audit[1].startswith("gradcam and gradcam++ peak where the network responds to a blank clip")


def equal(first: object, second: object) -> bool:
    """Check that two values are equal, arrays bit by bit."""
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, Mapping):
        return (
            isinstance(second, Mapping)
            and list(first) == list(second)
            and all(equal(first[key], second[key]) for key in first)
        )
    if isinstance(first, tuple):
        return isinstance(second, tuple) and len(first) == len(second) and all(map(equal, first, second))
    if is_dataclass(first):
        return type(first) is type(second) and all(
            equal(getattr(first, field.name), getattr(second, field.name)) for field in fields(first)
        )
    return first == second


@pytest.mark.parametrize("kind", ["file", "link", "images", "address", "open file"])
def test_the_returned_explanation_equals_the_saved_one(kind: str, make_video: VideoMaker, tmp_path: Path) -> None:
    path, source = make_video(), None
    if kind == "link":
        (tmp_path / "link.mp4").symlink_to(path)
        path = tmp_path / "link.mp4"
    if kind == "address":
        source = "memory://clips/video.mp4"
        with fsspec.open(source, "wb") as file:
            file.write(path.read_bytes())
    options = ExplainOptions(targets=("two", "3"), contrast="one", outputs=("data",), start=0.5)
    with path.open("rb") as file:
        named = {"images": images(tmp_path / "shots", count=30), "address": source, "open file": file}.get(kind, path)
        assert named is not None
        result = Explainer(pooled_model(), options).explain(named, tmp_path / "out")
    saved = load_video(result.paths[0])
    assert [
        field.name
        for field in fields(VideoExplanation)
        if not equal(getattr(result.explanation, field.name), getattr(saved, field.name))
    ] == []
    assert saved.origin is not None
    assert saved.origin.is_local == (kind in {"file", "link", "images"})


@pytest.mark.parametrize("is_loaded", [False, True])
def test_an_explanation_can_be_saved_and_rendered_elsewhere(
    is_loaded: bool, make_video: VideoMaker, tmp_path: Path
) -> None:
    options = ExplainOptions(methods=("gradcam",), outputs=("data",))
    result = Explainer(brightness_model(), options).explain(make_video(), tmp_path / "out")
    elsewhere = tmp_path / "else" / "where"
    elsewhere.mkdir(parents=True)
    shown = load_video(result.paths[0]) if is_loaded else result.explanation
    shown.save(elsewhere / "again.npz")
    render_video(elsewhere / "again.npz", elsewhere / "p.png")
    assert load_video(elsewhere / "again.npz").origin == result.explanation.origin


def test_maps_and_video_can_be_moved_together(make_video: VideoMaker, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    source = make_video().rename(tmp_path / "one" / "video.mp4")
    options = ExplainOptions(methods=("gradcam",), outputs=("data",))
    Explainer(brightness_model(), options).explain(source, tmp_path / "one" / "out")
    (tmp_path / "one").rename(tmp_path / "two")
    render_video(tmp_path / "two" / "out" / "video.npz", tmp_path / "p.png")
    assert (tmp_path / "p.png").is_file()


def test_a_video_from_an_address_is_rendered_from_that_address(make_video: VideoMaker, tmp_path: Path) -> None:
    path, address = make_video("copy"), "memory://clips/video.mp4"
    with fsspec.open(address, "wb") as file:
        file.write(path.read_bytes())
    options = ExplainOptions(methods=("gradcam",), outputs=("data",))
    result = Explainer(brightness_model(), options).explain(address, tmp_path / "out")
    with pytest.raises(MediaError, match=r"no longer at 'memory://clips/video\.mp4'.*--source"):
        render_video(result.paths[0], tmp_path / "p.png")
    render_video(result.paths[0], tmp_path / "p.png", source=address)
