"""`explain_video` as its users meet it: files, document, numbers, refusals, and what is left behind."""

from __future__ import annotations

import json
import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.helpers.clips import frames_of, model_input
from tests.helpers.films import load_film
from tests.helpers.nets import brightness_model, pooled_model
from tests.helpers.odd import ODD, anamorphic, damaged, images
from tests.helpers.videos import click_seconds, write_video
from tests.pipelines.conftest import FilmMaker
from vidcam.cam.explain import explain
from vidcam.errors import InputError, MediaError, NameNotFoundError, OutputError
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import Explainer, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions
from vidcam.sampling import plan_windows
from vidcam.system.json_files import as_plain
from vidcam.video.reader import open_video, probe

PAIR = ("gradcam", "gradcam++")
EVERYTHING = ExplainOptions(methods=PAIR, outputs=OUTPUTS)


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


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
    document = _read(tmp_path / "out" / "film.json")
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


def test_probabilities_are_those_of_the_windows(film: FilmMaker, tmp_path: Path) -> None:
    """top5, windows, volumes and faithfulness, each computed once more by hand from the clips."""
    model, source = pooled_model(), film()
    options = ExplainOptions(methods=PAIR, outputs=("data",), batch_size=3)
    result = explain_video(source, tmp_path / "out", model=model, options=options)
    with open_video(source) as reader:
        windows = plan_windows(reader.info, frames=8, fps=model.spec.fps)
        inputs = [model_input(frames_of(reader, window.times)[0], model.spec) for window in windows]
    with torch.no_grad():
        probabilities = torch.cat([model.module(clip).double().softmax(dim=1) for clip in inputs])
    target = int(probabilities.mean(dim=0).argmax())
    entry = as_plain(result.document)["targets"][0]
    assert entry["index"] == target
    assert entry["probability"] == pytest.approx(float(probabilities[:, target].mean()), rel=1e-5)
    black = -torch.tensor([110.0, 100.0, 90.0]) / torch.tensor([60.0, 55.0, 50.0])
    masked = []
    for n, clip in enumerate(inputs):
        alone = explain(model.module, clip, layer="dropout", methods=["gradcam++"], target=target)
        volume = result.film.explanations[0].volumes["gradcam++"][n]
        np.testing.assert_allclose(alone.volumes["gradcam++"][0], volume, atol=1e-5 * volume.max())
        heat = torch.from_numpy(alone.heat("gradcam++"))
        hidden = heat * clip[0] + (1 - heat) * black.view(3, 1, 1, 1)
        with torch.no_grad():
            masked.append(float(model.module(hidden[None]).double().softmax(dim=1)[0, target]))
    original = probabilities[:, target].numpy()
    figures = entry["methods"]["gradcam++"]["faithfulness"]
    assert figures["masked_probability"] == pytest.approx(np.mean(masked), rel=1e-4)
    assert figures["drop"] == pytest.approx(100 * np.mean(np.maximum(0, original - masked) / original), abs=1e-3)
    assert figures["increase"] == pytest.approx(100 * np.mean(original < masked))


class _Fickle(nn.Module):
    """Class 0 for bright clips, class 1 for dark ones: the film's class differs from that of its first windows."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d((4, 8, 8))
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        brightness = self.relu(self.pool(clip.mean(dim=1, keepdim=True))).mean(dim=(1, 2, 3, 4))
        return torch.stack([40 * brightness - 2, 2 - 40 * brightness + 10 * brightness**2], dim=1)


def test_windows_explained_for_another_class_are_run_again(tmp_path: Path) -> None:
    frames = np.zeros((150, 64, 64, 3), dtype=np.uint8)
    frames[:40, 16:48, 16:48] = 200
    source = write_video(tmp_path / "fickle.mp4", frames)
    model = Model(brightness_model().spec, _Fickle(), ("bright", "dark"), "by hand")
    options = ExplainOptions(methods=PAIR, outputs=("data",), batch_size=1)
    undecided = explain_video(source, tmp_path / "a", model=model, options=options)
    assert as_plain(undecided.document)["targets"][0]["label"] == "dark"
    assert as_plain(undecided.document)["windows"][0]["label"] == "bright"
    named = explain_video(
        source,
        tmp_path / "b",
        model=model,
        options=ExplainOptions(methods=PAIR, outputs=("data",), batch_size=1, targets=("dark",)),
    )
    for method in ("gradcam", "gradcam++"):
        np.testing.assert_array_equal(
            undecided.film.explanations[0].volumes[method], named.film.explanations[0].volumes[method]
        )
    assert as_plain(undecided.document)["targets"] == as_plain(named.document)["targets"]


def test_batch_size_does_not_matter(film: FilmMaker, tmp_path: Path) -> None:
    source = film()
    results = [
        explain_video(
            source,
            tmp_path / f"{size}",
            model=pooled_model(),
            options=ExplainOptions(methods=PAIR, outputs=("data",), batch_size=size, targets=("two",)),
        )
        for size in (1, 4)
    ]
    one, four = (result.film.explanations[0].volumes["gradcam++"] for result in results)
    np.testing.assert_allclose(one, four, atol=1e-5 * one.max())


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


def test_one_clip_spans_that_clip_alone(film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=PAIR, clip_start_seconds=0.8, outputs=OUTPUTS)
    result = explain_video(film(sound=True), tmp_path / "out", model=brightness_model(), options=options)
    (window,) = as_plain(result.document)["windows"]
    assert (window["start_seconds"], window["end_seconds"]) == (0.8, pytest.approx(2.08))
    with open_video(tmp_path / "out" / "film_bright-thing_gradcam.mp4") as video:
        assert video.info.frame_count == 32
        assert video.info.duration_seconds == pytest.approx(1.28, abs=1e-3)
    assert click_seconds(tmp_path / "out" / "film_bright-thing_gradcam.mp4") == pytest.approx(0.2, abs=0.03)


def test_a_clip_may_start_while_a_frame_is_on_display(film: FilmMaker, tmp_path: Path) -> None:
    """The first frame drawn is the one on display at the start, with the map of that moment and not a blank one."""
    options = ExplainOptions(clip_start_seconds=0.815, outputs=("map",), methods=("gradcam",))
    result = explain_video(film(), tmp_path / "out", model=brightness_model(), options=options)
    assert as_plain(result.document)["windows"][0]["start_seconds"] == 0.815
    with open_video(result.paths[0]) as video:
        peaks = [int(frame.max()) for _, frame in video.frames()]
    assert len(peaks) == 33  # stamps 0.80 to 2.08
    assert min(peaks) > 150


@pytest.mark.parametrize("count", [1, 2, 9])
def test_films_shorter_than_a_window(count: int, film: FilmMaker, tmp_path: Path) -> None:
    result = explain_video(film(count=count), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    assert len(as_plain(result.document)["windows"]) == 1
    with open_video(tmp_path / "out" / "film_bright-thing_gradcam++.mp4") as video:
        assert video.info.frame_count == count


@pytest.mark.parametrize("count", [1, 12])
def test_frames_closer_than_rounding_are_all_drawn(count: int, tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "fast.mkv", np.zeros((count, 32, 32, 3), np.uint8), fps=Fraction(1000), time_base=Fraction(1, 1000)
    )
    content = path.read_bytes()  # made ten times as fast: the unit of time is a tenth of a millisecond
    place = content.index(bytes.fromhex("2ad7b1"))
    assert content[place + 3 : place + 7] == bytes.fromhex("830f4240")
    path.write_bytes(content[: place + 4] + (10**5).to_bytes(3, "big") + content[place + 7 :])
    options = ExplainOptions(methods=("gradcam++",), outputs=("overlay",))
    result = explain_video(path, tmp_path / "out", model=pooled_model(), options=options)
    assert probe(path).frame_count == count
    assert probe(path).pts_seconds[-1] == pytest.approx((count - 1) * 1e-4)
    assert probe(result.paths[0]).frame_count == count


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


# ---- nothing is lost, nothing is left


def test_results_are_not_overwritten_by_accident(film: FilmMaker, tmp_path: Path) -> None:
    source, out = film(), tmp_path / "out"
    options = ExplainOptions(methods=PAIR, outputs=("data",))
    explain_video(source, out, model=brightness_model(), options=options)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputError, match=r"film.json holds results of film.mp4 already; pass --overwrite"):
        explain_video(source, out, model=brightness_model(), options=options)
    assert before == {path: path.read_bytes() for path in out.iterdir()}


def test_overwriting_takes_away_what_is_no_longer_true(film: FilmMaker, tmp_path: Path) -> None:
    source, out = film(), tmp_path / "out"
    explain_video(source, out, model=brightness_model(), options=EVERYTHING)
    (out / "mine.txt").write_text("kept")
    options = ExplainOptions(methods=PAIR, outputs=("data",), targets=("dark/thing",), overwrite=True)
    explain_video(source, out, model=brightness_model(), options=options)
    assert sorted(path.name for path in out.iterdir()) == ["film.json", "film.npz", "mine.txt"]


@pytest.mark.parametrize("name", ["film.png", "film.npz", "film_bright-thing_gradcam.mp4"])
def test_files_of_the_users_are_never_replaced(name: str, film: FilmMaker, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    for overwrite in (False, True):
        options = ExplainOptions(methods=PAIR, overwrite=overwrite)
        with pytest.raises(OutputError, match=rf"{re.escape(name)} is in the way and no result of vidcam's"):
            explain_video(film(), out, model=brightness_model(), options=options)
        assert [(path.name, path.read_text()) for path in out.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("fails_at", [1, 4, 8])
def test_all_files_are_exchanged_or_none(
    existing: bool, fails_at: int, film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = film(), tmp_path / "out"
    if existing:
        explain_video(source, out, model=brightness_model(), options=EVERYTHING)
    before = {path.name: path.read_bytes() for path in out.iterdir()} if existing else {}
    real, count = Path.rename, iter(range(1, 1000))

    def rename(self: Path, target: Path) -> Path:
        if next(count) == fails_at + 7 * existing:  # seven former files are put aside first
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        options = ExplainOptions(methods=PAIR, outputs=OUTPUTS, overlap=0.0, overwrite=True)
        if fails_at < 8:
            with pytest.raises(KeyboardInterrupt):
                explain_video(source, out, model=brightness_model(), options=options)
            after = {path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else {}
            assert after == before
        else:
            explain_video(source, out, model=brightness_model(), options=options)


def test_the_json_is_moved_last(film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    explain_video(film(), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    assert moved[-1] == "film.json"
    assert moved.count("film.json") == 1


def test_two_sources_of_one_stem_are_kept_apart(film: FilmMaker, tmp_path: Path) -> None:
    first, out = film(), tmp_path / "out"
    (tmp_path / "other").mkdir()
    second = Path(shutil.copy(first, tmp_path / "other" / "film.mp4"))
    options = ExplainOptions(methods=PAIR, outputs=("data",))
    for source in (first, second):
        explain_video(source, out, model=brightness_model(), options=options)
    assert _read(out / "film.json")["source"]["path"] == "../film.mp4"
    assert _read(out / "film-2.json")["source"]["path"] == "../other/film.mp4"
    with pytest.raises(OutputError, match=r"film-2\.json holds results"):
        explain_video(second, out, model=brightness_model(), options=options)


@pytest.mark.parametrize(
    "step", ["explainer.analyse", "result.film_bounds", "result.draw_videos", "result.contact_sheet"]
)
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_after_a_failure(
    step: str, existing: bool, film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "out"
    if existing:
        out.mkdir(parents=True)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"vidcam.pipelines.explain.{step}", fail)
    with pytest.raises(KeyboardInterrupt):
        explain_video(film(), out, model=brightness_model(), options=EVERYTHING)
    assert out.exists() == existing
    assert not existing or not list(out.iterdir())


def test_a_failure_while_encoding_leaves_nothing(
    film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcam.video.writer import VideoWriter

    real, count = VideoWriter.write, iter(range(1000))

    def write(self: VideoWriter, *arguments: Any) -> None:
        if next(count) == 20:
            raise OSError("planted")
        real(self, *arguments)

    monkeypatch.setattr(VideoWriter, "write", write)
    with pytest.raises(OSError, match="planted"):
        explain_video(film(), tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    assert not (tmp_path / "out").exists()


# ---- refusals


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


# ---- what a video may be given as, and what is said about it


def test_a_folder_of_images(tmp_path: Path) -> None:
    folder = images(tmp_path / "shots", count=30)
    result = explain_video(
        folder, tmp_path / "out", model=brightness_model(), options=ExplainOptions(methods=PAIR, fps=12.5)
    )
    source = as_plain(result.document)["source"]
    assert (source["path"], source["fps"], source["codec"], source["warnings"]) == ("../shots", 12.5, "png", [])
    assert as_plain(result.document)["runtime"]["decoder"] == "images"
    with open_video(tmp_path / "out" / "shots_bright-thing_gradcam.mp4") as video:
        np.testing.assert_allclose(video.info.pts_seconds, np.arange(30) / 12.5, atol=1e-3)


def test_an_open_file_and_an_address(film: FilmMaker, tmp_path: Path) -> None:
    path, options = film(sound=True), ExplainOptions(outputs=("data", "overlay"), methods=("gradcam",))
    plain = explain_video(path, tmp_path / "plain", model=brightness_model(), options=options)
    with fsspec.open("memory://clips/film.mp4", "wb") as file:
        file.write(path.read_bytes())
    address = "memory://clips/film.mp4"
    for name in ("film.mp4", address):
        with path.open("rb") as file:
            source = address if name == address else file
            result = explain_video(source, tmp_path / "out", model=brightness_model(), options=options)
        assert as_plain(result.document)["source"] == as_plain(plain.document)["source"] | {"path": name}
        assert click_seconds(result.paths[0]) == pytest.approx(1.0, abs=0.03)
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"film.json", "film-2.json"}
    with pytest.raises(OutputError, match=r"holds results of film\.mp4 already"):
        explain_video("memory://clips/film.mp4", tmp_path / "out", model=brightness_model(), options=options)


def test_a_damaged_film_is_explained_and_the_rest_is_said(tmp_path: Path) -> None:
    path = damaged(tmp_path / "film.mp4")
    result = explain_video(path, tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    source = as_plain(result.document)["source"]
    assert source["readable_seconds"] == [[0.0, 0.56], [1.04, 2.0]]
    assert result.warnings == ["0.560–1.040 s cannot be decoded; the last readable picture is shown instead"]
    with open_video(tmp_path / "out" / "film_bright-thing_gradcam.mp4") as video:
        assert video.info.frame_count == 50


def test_the_overlay_has_square_pixels(tmp_path: Path) -> None:
    result = explain_video(
        anamorphic(tmp_path / "film.mp4"), tmp_path / "out", model=brightness_model(), options=EVERYTHING
    )
    assert as_plain(result.document)["source"]["size"] == [48, 80]
    assert as_plain(result.document)["source"]["pixel_aspect"] == pytest.approx(64 / 51)
    with open_video(tmp_path / "out" / "film_bright-thing_gradcam.mp4") as video:
        assert (video.info.size, video.info.pixel_aspect) == ((48, 80), Fraction(1))


@pytest.mark.parametrize("name", ["tiny.mp4", "one-frame.mp4", "alpha.mov", "animation.gif", "no-first-key.ts"])
def test_odd_files_from_end_to_end(tmp_path: Path, name: str) -> None:
    path = ODD[name](tmp_path / name)
    result = explain_video(path, tmp_path / "out", model=brightness_model(), options=EVERYTHING)
    with open_video(path) as source, open_video(result.paths[0]) as video:
        assert video.info.frame_count == source.info.frame_count
        np.testing.assert_allclose(video.info.pts_seconds, source.info.pts_seconds, atol=1e-3)


# ---- a part of a film, and each window's own top class


def test_a_part_of_a_film(film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(start_seconds=0.5, end_seconds=2.5, methods=("gradcam",), outputs=("overlay", "data"))
    result = explain_video(film(), tmp_path / "out", model=brightness_model(), options=options)
    assert as_plain(result.document)["windows"][0]["start_seconds"] == pytest.approx(0.5)
    assert as_plain(result.document)["windows"][-1]["end_seconds"] == pytest.approx(2.5)
    with open_video(result.paths[0]) as video:
        assert video.info.frame_count == 51  # from the frame on display at 0.5 s, which began at 0.48 s
        assert video.info.duration_seconds == pytest.approx(2.02)
    origin = load_film(tmp_path / "out" / "film.npz").origin
    assert origin is not None
    assert (origin.path, origin.span_seconds) == (str(tmp_path / "film.mp4"), (0.5, 2.5))


def test_each_window_for_its_own_top_class(film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(targets=("per-window", "1"), outputs=("overlay", "data"), methods=("gradcam",))
    result = explain_video(film(), tmp_path / "out", model=pooled_model(), options=options)
    explanation = result.film.explanations[0]
    np.testing.assert_array_equal(explanation.target, explanation.logits.argmax(axis=1))
    first, second = as_plain(result.document)["targets"]
    assert (first["label"], first["index"], second["index"]) == ("per-window", None, 1)
    assert first["probability"] == pytest.approx(explanation.probability.mean())
    assert result.paths[0].name == "film_per-window_gradcam.mp4"
    saved = load_film(tmp_path / "out" / "film.npz")
    assert saved.labels[0] == "per-window"
    assert {int(index) for index in explanation.target} | {1} <= set(saved.class_labels)


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
