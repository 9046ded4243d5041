"""One result, said three times: in the film, in the file of its maps and in the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.helpers.films import load_film
from tests.helpers.nets import TINY_SPEC, brightness_model, pooled_model
from tests.helpers.odd import images
from tests.pipelines.conftest import FilmMaker
from tests.pipelines.test_forward import LoudCorner
from vidcam.errors import MediaError
from vidcam.models.model import Model
from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.renderer import render_film
from vidcam.results.video import Film
from vidcam.system.json_files import read_json


def test_the_sink_and_the_sentences_are_the_same_everywhere(film: FilmMaker, tmp_path: Path) -> None:
    model = Model(replace(TINY_SPEC, classes=2, layer="relu"), LoudCorner(), ("a", "b"), "random (seed 0)")
    options = ExplainOptions(methods=("gradcam", "gradcam++"), targets=("a", "b"), outputs=("data",))
    result = explain_video(film(), tmp_path / "out", model=model, options=options)
    written, saved = read_json(result.paths[-1], Document), load_film(tmp_path / "out" / "film.npz")
    assert written == result.document
    assert written.sink is not None
    assert written.sink.cells == ((0, 0, 7),)
    for explanation in (*result.film.explanations, *saved.explanations):
        assert explanation.sink == written.sink
    audit = list(written.audit)
    assert result.audit == video_audit(result.film) == video_audit(saved) == audit
    assert audit[0].startswith("The weights are random")
    assert audit[1].startswith("Sink: the maximum of gradcam ")


def equal(first: object, second: object) -> bool:
    """Whether two values hold the same, arrays to the last bit."""
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
def test_what_is_returned_is_what_is_saved(kind: str, film: FilmMaker, tmp_path: Path) -> None:
    path, source = film(), None
    if kind == "link":
        (tmp_path / "link.mp4").symlink_to(path)
        path = tmp_path / "link.mp4"
    if kind == "address":
        source = "memory://clips/film.mp4"
        with fsspec.open(source, "wb") as file:
            file.write(path.read_bytes())
    options = ExplainOptions(targets=("two", "3"), foil="one", outputs=("data",), start_seconds=0.5)
    with path.open("rb") as file:
        named = {"images": images(tmp_path / "shots", count=30), "address": source, "open file": file}.get(kind, path)
        assert named is not None
        result = explain_video(named, tmp_path / "out", model=pooled_model(), options=options)
    saved = load_film(result.paths[0])
    assert [
        field.name for field in fields(Film) if not equal(getattr(result.film, field.name), getattr(saved, field.name))
    ] == []
    assert saved.origin is not None
    assert saved.origin.is_local == (kind in {"file", "link", "images"})


@pytest.mark.parametrize("is_loaded", [False, True])
def test_it_can_be_saved_elsewhere_and_drawn_from_there(is_loaded: bool, film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=("gradcam",), outputs=("data",))
    result = explain_video(film(), tmp_path / "out", model=brightness_model(), options=options)
    elsewhere = tmp_path / "else" / "where"
    elsewhere.mkdir(parents=True)
    shown = load_film(result.paths[0]) if is_loaded else result.film
    shown.save(elsewhere / "again.npz")
    render_film(elsewhere / "again.npz", elsewhere / "p.png")
    assert load_film(elsewhere / "again.npz").origin == result.film.origin


def test_both_may_be_moved_together(film: FilmMaker, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    source = film().rename(tmp_path / "one" / "film.mp4")
    options = ExplainOptions(methods=("gradcam",), outputs=("data",))
    explain_video(source, tmp_path / "one" / "out", model=brightness_model(), options=options)
    (tmp_path / "one").rename(tmp_path / "two")
    render_film(tmp_path / "two" / "out" / "film.npz", tmp_path / "p.png")
    assert (tmp_path / "p.png").is_file()


def test_what_came_from_an_address_is_drawn_from_its_source(film: FilmMaker, tmp_path: Path) -> None:
    path, address = film("copy"), "memory://clips/film.mp4"
    with fsspec.open(address, "wb") as file:
        file.write(path.read_bytes())
    options = ExplainOptions(methods=("gradcam",), outputs=("data",))
    result = explain_video(address, tmp_path / "out", model=brightness_model(), options=options)
    with pytest.raises(MediaError, match=r"no longer at 'memory://clips/film\.mp4'.*--source"):
        render_film(result.paths[0], tmp_path / "p.png")
    render_film(result.paths[0], tmp_path / "p.png", options=RenderOptions(source=address))
