"""`explain_video` from end to end: files, document and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.loading import load_video
from tests.helpers.nets import brightness_model, pooled_model
from tests.helpers.videos import click_seconds
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.explain.conftest import EVERYTHING, PAIR, read_document
from vidcam.errors import InputError, MediaError, NameNotFoundError, OutputError
from vidcam.pipelines.explain.explainer import Explainer, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions
from vidcam.system.json_files import as_plain
from vidcam.video.reader import open_video


@pytest.mark.usefixtures("drawn_sheets")
def test_all_outputs_and_their_names(make_video: VideoMaker, tmp_path: Path) -> None:
    result = Explainer(brightness_model(), EVERYTHING).explain(make_video(sound=True), tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(path.name for path in result.paths)
    assert names == [
        "video.html",
        "video.json",
        "video.npz",
        "video.png",
        "video_bright-thing_gradcam++.mp4",
        "video_bright-thing_gradcam++_map.mp4",
        "video_bright-thing_gradcam.mp4",
        "video_bright-thing_gradcam_map.mp4",
        "video_evidence.csv",
    ]
    with Image.open(tmp_path / "out" / "video.png") as sheet:
        assert sheet.width == 1800
    for path in result.paths:
        if path.suffix == ".mp4":
            with open_video(path) as video, open_video(tmp_path / "video.mp4") as source:
                assert video.info.size == source.info.size
                np.testing.assert_allclose(video.info.pts_seconds, source.info.pts_seconds, atol=1e-6)
                assert video.info.duration_seconds == pytest.approx(source.info.duration_seconds, abs=1e-3)
            assert click_seconds(path) == pytest.approx(1.0, abs=0.03)


def test_without_a_budget_nothing_is_measured(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=PAIR, verdict_forwards=0, overwrite=True)
    document = as_plain(Explainer(brightness_model(), options).explain(make_video(), tmp_path / "out").document)
    for entry in document["targets"][0]["methods"].values():
        assert entry["verdict"] == {
            "word": "not checked",
            "reason": "--verdict-forwards is 0",
            "score": None,
            "checks": {},
        }
    assert document["verdict"] is None
    with pytest.raises(InputError, match="--verdict-forwards is -1; it must be 0 or more"):
        ExplainOptions(verdict_forwards=-1)


def test_the_default_methods_depend_on_the_head(make_video: VideoMaker, tmp_path: Path) -> None:
    result = explain_video(make_video(), tmp_path / "pooled", model=pooled_model())
    assert list(as_plain(result.document)["targets"][0]["methods"]) == ["neutral-gradcam", "gradcam"]
    assert next((tmp_path / "pooled").glob("video_*_neutral-gradcam.mp4")).exists()
    result = explain_video(make_video(), tmp_path / "sums", model=brightness_model())
    assert list(as_plain(result.document)["targets"][0]["methods"]) == ["gradcam", "neutral-gradcam"]


def test_the_document(make_video: VideoMaker, tmp_path: Path) -> None:
    model = pooled_model()
    result = Explainer(model, EVERYTHING).explain(make_video(), tmp_path / "out")
    document = read_document(tmp_path / "out" / "video.json")
    assert document == as_plain(result.document)
    assert (tmp_path / "out" / document["source"]["path"]).resolve() == (tmp_path / "video.mp4").resolve()
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


def test_the_same_input_gives_the_same_bytes(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(sound=True)
    for name in ("a", "b"):
        Explainer(pooled_model(), EVERYTHING).explain(source, tmp_path / name)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b"))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_several_targets_and_a_contrast(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(targets=("two", "3"), contrast="one", outputs=OUTPUTS, methods=("gradcam",))
    result = Explainer(pooled_model(), options).explain(make_video(), tmp_path / "out")
    entries = as_plain(result.document)["targets"]
    assert [(entry["label"], entry["index"], entry["contrast"]) for entry in entries] == [
        ("two", 1, "one"),
        ("four", 3, "one"),
    ]
    assert {"video_two-vs-one_gradcam.mp4", "video_four-vs-one_gradcam.mp4"} < {path.name for path in result.paths}
    assert load_video(tmp_path / "out" / "video.npz").labels == ("two", "four")


def test_an_overlay_of_an_odd_size_is_one_larger(make_video: VideoMaker, tmp_path: Path) -> None:
    Explainer(brightness_model(), EVERYTHING).explain(make_video(height=95, width=127), tmp_path / "out")
    with open_video(tmp_path / "out" / "video_bright-thing_gradcam.mp4") as video:
        assert video.info.size == (96, 128)


def test_a_class_without_evidence_is_reported_as_empty(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=PAIR, targets=("dark/thing",), outputs=OUTPUTS)
    result = Explainer(brightness_model(), options).explain(make_video(), tmp_path / "out")
    assert as_plain(result.document)["targets"][0]["methods"]["gradcam"]["empty"] is True
    assert any("empty" in sentence and "'dark/thing'" in sentence for sentence in result.audit)


@pytest.mark.parametrize("fill", ["black", "mean", "blur", "frame-mean"])
def test_every_fill(fill: Any, make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(fill=fill, outputs=("map",), methods=("gradcam",))
    result = Explainer(brightness_model(), options).explain(make_video(count=30), tmp_path / "out")
    assert as_plain(result.document)["fill"] == fill


def test_the_map_video_hides_what_lies_outside_the_view(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(count=40)
    explain_video(source, tmp_path / "out", model=brightness_model(), methods=PAIR, outputs=("map",))
    with open_video(tmp_path / "out" / "video_bright-thing_gradcam_map.mp4") as video:
        frames = [frame for _, frame in video.frames()]
    assert max(int(frame[:, :20].max()) for frame in frames) < 8
    assert min(int(frame.max()) for frame in frames) > 150


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"outputs": ("overlays",)},
            InputError,
            "--outputs is overlays; use some of overlay, map, sheet",
        ),
        ({"outputs": ()}, InputError, "--outputs is empty"),
        ({"fill": "white"}, InputError, "fill is 'white'; it must be one of black, mean, blur, frame-mean"),
        ({"batch_size": 0}, InputError, "--batch-size is 0"),
        ({"overlap": 1.0}, InputError, r"overlap is 1.0, expected 0 <= overlap < 1"),
        ({"at": 3.0}, InputError, r"a window cannot start at 3 s: .* is 3\.000 s long"),
        ({"targets": ("bright",)}, NameNotFoundError, "label 'bright' not found; the nearest are 'Bright thing'"),
        ({"targets": (2,)}, InputError, "class index 2 is out of range"),
        ({"contrast": "nothing"}, NameNotFoundError, "label 'nothing' not found"),
        ({"contrast": "bright thing", "targets": (0,)}, InputError, "--contrast 'Bright thing' is a target too"),
        ({"layer": "conv"}, NameNotFoundError, "layer 'conv' not found"),
        ({"methods": ("score",)}, NameNotFoundError, "method 'score' not found"),
    ],
)
def test_invalid_options(
    options: dict[str, Any], error: type[Exception], message: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        explain_video(make_video(), tmp_path / "out", model=brightness_model(), **options)
    assert not (tmp_path / "out").exists()


def test_a_missing_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"nowhere.mp4"):
        explain_video(tmp_path / "nowhere.mp4", tmp_path / "out", model=brightness_model())
    assert not (tmp_path / "out").exists()


def test_an_output_folder_under_a_file_is_refused(make_video: VideoMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"out cannot be written \(Not a directory\)"):
        explain_video(make_video(), tmp_path / "file" / "out", model=brightness_model())


def test_an_explainer_serves_many_videos(make_video: VideoMaker, tmp_path: Path) -> None:
    seen: list[str] = []
    explainer = Explainer(
        pooled_model(),
        ExplainOptions(methods=PAIR, outputs=("data",)),
        progress=lambda stage, done, total: seen.append(f"{stage} {done}/{total}"),
    )
    for name in ("one", "two"):
        result = explainer.explain(make_video(name), tmp_path / "out")
        assert set(result.stage_seconds) >= {"probe", "decode for the model", "model and maps", "verdict", "scale"}
        assert len(repr(result)) < 600  # the document is not printed with it
    assert seen.count("explaining windows 9/9") == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"targets": ("per-window",), "contrast": 1},
            r"--contrast cannot be combined with --target per-window",
        ),
        (
            {"at": 1.0, "end": 2.0},
            r"--at cannot be combined with --start or --end",
        ),
        ({"start": 7.0}, r"--start \(7 s\) must be inside the video: .* is 3\.000 s long"),
    ],
)
def test_invalid_parts_and_targets_are_refused(
    options: dict[str, Any], sentence: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        explain_video(make_video(), tmp_path / "out", model=pooled_model(), **options)
    assert not (tmp_path / "out").exists()
