"""`explain_video` as its users meet it: files, document and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.films import load_film
from tests.helpers.nets import brightness_model, pooled_model
from tests.helpers.videos import click_seconds
from tests.pipelines.conftest import FilmMaker
from tests.pipelines.explain.conftest import EVERYTHING, PAIR, read_document
from vidcam.errors import InputError, MediaError, NameNotFoundError, OutputError
from vidcam.pipelines.explain.explainer import Explainer, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions
from vidcam.system.json_files import as_plain
from vidcam.video.reader import open_video


def test_all_outputs_and_their_names(film: FilmMaker, tmp_path: Path) -> None:
    result = explain_video(film(sound=True), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(path.name for path in result.paths)
    assert names == [
        "film.json",
        "film.npz",
        "film.png",
        "film_bright-thing_gradcam++.mp4",
        "film_bright-thing_gradcam++_map.mp4",
        "film_bright-thing_gradcam.mp4",
        "film_bright-thing_gradcam_map.mp4",
    ]
    with Image.open(tmp_path / "out" / "film.png") as sheet:
        assert sheet.width == 1800
    for path in result.paths:
        if path.suffix == ".mp4":
            with open_video(path) as video, open_video(tmp_path / "film.mp4") as source:
                assert video.info.size == source.info.size
                np.testing.assert_allclose(video.info.pts_seconds, source.info.pts_seconds, atol=1e-6)
                assert video.info.duration_seconds == pytest.approx(source.info.duration_seconds, abs=1e-3)
            assert click_seconds(path) == pytest.approx(1.0, abs=0.03)


def test_the_default_methods_are_those_of_the_head(film: FilmMaker, tmp_path: Path) -> None:
    result = explain_video(film(), tmp_path / "pooled", model=pooled_model())
    assert list(as_plain(result.document)["targets"][0]["methods"]) == ["neutral-gradcam", "gradcam++"]
    assert next((tmp_path / "pooled").glob("film_*_neutral-gradcam.mp4")).exists()
    result = explain_video(film(), tmp_path / "sums", model=brightness_model())
    assert list(as_plain(result.document)["targets"][0]["methods"]) == ["gradcam", "gradcam++"]


def test_the_document(film: FilmMaker, tmp_path: Path) -> None:
    model = pooled_model()
    result = explain_video(film(), tmp_path / "out", model=model, options=EVERYTHING)
    document = read_document(tmp_path / "out" / "film.json")
    assert document == as_plain(result.document)
    assert (tmp_path / "out" / document["source"]["path"]).resolve() == (tmp_path / "film.mp4").resolve()
    assert document["schema"] == 1
    assert document["model"] == {"name": "pooled", "layer": "block2", "weights": "random (seed 0)"}
    assert document["audit"][1].startswith("The weights are random")
    assert len(document["top5"]) == 4
    assert document["top5"][0]["probability"] == document["targets"][0]["probability"]
    assert sum(entry["probability"] for entry in document["top5"]) == pytest.approx(1)
    assert document["windows"][0]["start_seconds"] == 0.0
    assert document["windows"][-1]["end_seconds"] == pytest.approx(3.0)
    method = document["targets"][0]["methods"]["gradcam++"]
    assert method["alpha"]["positive"]["max"] <= 0.5
    assert method["alpha_exact"] is True
    assert document["targets"][0]["methods"]["gradcam"]["alpha"] is None
    assert document["fill"] == "black"


def test_the_same_input_gives_the_same_bytes(film: FilmMaker, tmp_path: Path) -> None:
    source = film(sound=True)
    for name in ("a", "b"):
        explain_video(source, tmp_path / name, model=pooled_model(), options=EVERYTHING)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b"))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_several_targets_and_a_foil(film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(targets=("two", "3"), foil="one", outputs=OUTPUTS, methods=("gradcam",))
    result = explain_video(film(), tmp_path / "out", model=pooled_model(), options=options)
    entries = as_plain(result.document)["targets"]
    assert [(entry["label"], entry["index"], entry["foil"]) for entry in entries] == [
        ("two", 1, "one"),
        ("four", 3, "one"),
    ]
    assert {"film_two_gradcam.mp4", "film_four_gradcam.mp4"} < {path.name for path in result.paths}
    assert load_film(tmp_path / "out" / "film.npz").labels == ("two", "four")


def test_odd_sizes_are_padded(film: FilmMaker, tmp_path: Path) -> None:
    explain_video(film(height=95, width=127), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    with open_video(tmp_path / "out" / "film_bright-thing_gradcam.mp4") as video:
        assert video.info.size == (96, 128)


def test_a_class_without_evidence_is_empty_and_says_so(film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=PAIR, targets=("dark/thing",), outputs=OUTPUTS)
    result = explain_video(film(), tmp_path / "out", model=brightness_model(), options=options)
    assert as_plain(result.document)["targets"][0]["methods"]["gradcam"]["empty"] is True
    assert any("Nothing speaks for 'dark/thing'" in sentence for sentence in result.audit)


@pytest.mark.parametrize("fill", ["black", "mean", "blur", "frame-mean"])
def test_every_fill(fill: Any, film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(fill=fill, outputs=("map",), methods=("gradcam",))
    result = explain_video(film(count=30), tmp_path / "out", model=brightness_model(), options=options)
    assert as_plain(result.document)["fill"] == fill


def test_the_map_video_hides_what_lies_outside_the_view(film: FilmMaker, tmp_path: Path) -> None:
    source = film(count=40)
    explain_video(
        source, tmp_path / "out", model=brightness_model(), options=ExplainOptions(methods=PAIR, outputs=("map",))
    )
    with open_video(tmp_path / "out" / "film_bright-thing_gradcam_map.mp4") as video:
        frames = [frame for _, frame in video.frames()]
    assert max(int(frame[:, :20].max()) for frame in frames) < 8
    assert min(int(frame.max()) for frame in frames) > 150


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"outputs": ("overlays",)}, InputError, "outputs are overlays, expected some of overlay, map, sheet, data"),
        ({"outputs": ()}, InputError, "outputs are none"),
        ({"fill": "white"}, InputError, "fill is 'white', expected one of black, mean, blur, frame-mean"),
        ({"batch_size": 0}, InputError, "batch_size is 0, expected at least 1"),
        ({"overlap": 1.0}, InputError, r"overlap is 1.0, expected 0 <= overlap < 1"),
        ({"clip_start_seconds": 3.0}, InputError, r"the clip starts at 3 s, expected a start from 0 to below 3.000 s"),
        ({"targets": ("bright",)}, NameNotFoundError, "label 'bright' not found; the nearest are 'Bright thing'"),
        ({"targets": (2,)}, InputError, "class index 2 is out of range"),
        ({"foil": "nothing"}, NameNotFoundError, "label 'nothing' not found"),
        ({"foil": "bright thing", "targets": (0,)}, InputError, "the foil 'Bright thing' is a target too"),
        ({"layer": "conv"}, NameNotFoundError, "layer 'conv' not found"),
        ({"methods": ("score",)}, NameNotFoundError, "method 'score' not found"),
    ],
)
def test_bad_options(
    options: dict[str, Any], error: type[Exception], message: str, film: FilmMaker, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        explain_video(film(), tmp_path / "out", model=brightness_model(), options=ExplainOptions(**options))
    assert not (tmp_path / "out").exists()


def test_a_missing_film(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"nowhere.mp4"):
        explain_video(tmp_path / "nowhere.mp4", tmp_path / "out", model=brightness_model())
    assert not (tmp_path / "out").exists()


def test_out_under_a_file(film: FilmMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"out cannot be written \(Not a directory\), expected a folder"):
        explain_video(film(), tmp_path / "file" / "out", model=brightness_model())


def test_an_explainer_serves_many_films(film: FilmMaker, tmp_path: Path) -> None:
    seen: list[str] = []
    explainer = Explainer(
        pooled_model(),
        ExplainOptions(methods=PAIR, outputs=("data",)),
        progress=lambda stage, done, total: seen.append(f"{stage} {done}/{total}"),
    )
    for name in ("one", "two"):
        result = explainer.explain(film(name), tmp_path / "out")
        assert set(result.stage_seconds) >= {"probe", "decode for the model", "model and maps", "faithfulness", "scale"}
        assert len(repr(result)) < 600  # the document is not printed with it
    assert seen.count("explaining windows 9/9") == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"targets": ("per-window",), "foil": 1}, r"a foil was given with the target 'per-window', which is another"),
        ({"clip_start_seconds": 1.0, "end_seconds": 2.0}, r"a clip was asked for and a part of the film too, expected"),
        ({"start_seconds": 7.0}, r"the part from 7 to 3 s was asked for, expected a start before the end"),
    ],
)
def test_parts_and_targets_that_cannot_be(
    options: dict[str, Any], sentence: str, film: FilmMaker, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        explain_video(film(), tmp_path / "out", model=pooled_model(), options=ExplainOptions(**options))
    assert not (tmp_path / "out").exists()
