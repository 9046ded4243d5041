"""One result, said three times: in the film, in the file of its maps and in the JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.helpers.films import load_film
from tests.helpers.nets import TINY_SPEC
from tests.pipelines.conftest import FilmMaker
from tests.pipelines.test_forward import LoudCorner
from vidcam.models.model import Model
from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.request import ExplainOptions
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
