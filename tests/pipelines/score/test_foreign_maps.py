"""Maps of other tools in `score`: the same map has the same scores, whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.cam.explain import explain
from vidcam.errors import InputError, MediaError, OutputError
from vidcam.pipelines.score.clips import Entry, read_clips
from vidcam.pipelines.score.foreign_maps import ForeignMaps, foreign_maps
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.samples import Sample, load_sample

OPTIONS = ScoreOptions(methods="gradcam", measures="drop,relative,retention,insertion-deletion")
SIZE = (4, 16, 16)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), 6)


@pytest.fixture(scope="module")
def maps(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vidcam's own maps, as another tool would save them: (1, 1, t, h, w), one .npy or .npz for each clip."""
    folder, model = tmp_path_factory.mktemp("maps") / "other-tool", hidden_model()
    folder.mkdir()
    for entry in read_clips(manifest, out=folder).entries:
        sample = load_sample(entry, model.spec)
        assert isinstance(sample, Sample)
        volume = explain(model.module, sample.tensor[None], methods="gradcam", layer="relu").volumes["gradcam"]
        stem = entry.index if entry.name in ("video0.mkv", "video1.mkv") else Path(entry.name).stem
        if entry.index % 2:
            np.save(folder / f"{stem}.npy", volume[None].astype(np.float64))
        else:
            np.savez_compressed(folder / f"{stem}.npz", saliency=volume)
    return folder


def test_the_same_maps_have_the_same_scores(manifest: Path, maps: Path, tmp_path: Path) -> None:
    result = score_set(manifest, tmp_path / "out", replace(OPTIONS, maps=maps), model=hidden_model())
    table = result.table
    assert table.methods[:2] == ("gradcam", "other-tool")
    assert table.n == 6
    for column in ("drop", "area", "retention_0.25", "retention_0.75", "insertion", "frame_deletion"):
        np.testing.assert_allclose(table.values("other-tool", column), table.values("gradcam", column), rtol=1e-6)
    pair = next(pair for pair in result.summary.pairs if {pair.a, pair.b} == {"gradcam", "other-tool"})
    assert pair.ties == 100
    assert pair.post_softmax is None
    assert "other-tool" in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_a_map_of_captum(manifest: Path, tmp_path: Path) -> None:
    captum = pytest.importorskip("captum.attr")
    folder, model = tmp_path / "captum", hidden_model()
    folder.mkdir()
    grad_cam = captum.LayerGradCam(model.module, model.module.get_submodule("relu"))
    for entry in read_clips(manifest, out=folder).entries:
        sample = load_sample(entry, model.spec)
        assert isinstance(sample, Sample)
        clip = sample.tensor[None].requires_grad_()
        target = int(model.module(clip).argmax())
        np.save(folder / f"{entry.index}.npy", grad_cam.attribute(clip, target).detach().numpy())
    table = score_set(manifest, tmp_path / "out", replace(OPTIONS, maps=(folder,)), model=model).table
    np.testing.assert_allclose(table.values("captum", "drop"), table.values("gradcam", "drop"), atol=1e-5)


def test_a_run_resumes_only_with_the_same_maps(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for index in range(6):
        np.save(folder / f"{index}.npy", np.ones((1, 2, 2)))
    options = replace(OPTIONS, maps=[str(folder)])
    score_set(manifest, tmp_path / "out", options, model=hidden_model())
    assert score_set(manifest, tmp_path / "out", options, model=hidden_model()).forwards == (0, 0)
    np.save(folder / "3.npy", np.zeros((1, 2, 2)))
    with pytest.raises(OutputError, match=r"maps was flat .*, is flat"):
        score_set(manifest, tmp_path / "out", options, model=hidden_model())


def test_a_damaged_map_fails_its_clip_alone(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tool"
    folder.mkdir()
    for index in range(6):
        np.save(folder / f"{index}.npy", np.full((1, 2, 2), np.nan if index == 4 else 1.0))
    summary = score_set(manifest, tmp_path / "out", replace(OPTIONS, maps=folder), model=hidden_model()).summary
    assert (summary.n, summary.failed) == (5, 1)
    assert "tool/4.npy has NaN" in summary.failures[0].reason


def saved(value: Any) -> Callable[[Path], object]:
    return lambda path: np.save(path, value)


def two_arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.ones(1), b=np.ones(1))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (saved(np.ones((2, 2))), r"shape \(2, 2\); it must be a grid of at most \(4, 16, 16\)"),
        (saved(np.ones((5, 2, 2))), r"shape \(5, 2, 2\)"),
        (saved(np.ones((2, 1, 2, 2))), r"shape \(2, 1, 2, 2\)"),
        (saved(np.ones((0, 2, 2))), r"shape \(0, 2, 2\)"),
        (saved(np.full((1, 2, 2), 1e300)), "too large values"),
        (saved(np.array(["a"])), "an array of numbers"),
        (saved(np.ones((1, 2, 2), complex)), "an array of numbers"),
        (lambda path: np.save(path, np.array([None]), allow_pickle=True), "cannot be read"),
        (lambda path: path.write_bytes(b"text"), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (two_arrays, "it has 2 arrays"),
    ],
)
def test_files_that_hold_no_map(write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write(path)
    with pytest.raises(MediaError, match=message):
        ForeignMaps("tool", (path,)).read(0, SIZE)


def test_negative_values_count_as_zero(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[[-3, 2]]], np.int16))
    assert ForeignMaps("tool", (tmp_path / "a.npy",)).read(0, SIZE).tolist() == [[[0.0, 2.0]]]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    entries = [Entry(0, "x/a.mp4", "x/a.mp4"), Entry(1, "b.gif", "b.gif"), Entry(2, "b.gif", "b.gif")]
    folder = tmp_path / "tool"
    (folder / "x").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no map of 3 of 3 clips \(x/a.mp4, b.gif, b.gif\); name it a.npy"):
        foreign_maps([folder], entries)
    for name in ("x/a.npy", "b.npy", "1.npy"):
        np.save(folder / name, np.ones((1, 1, 1)))
    with pytest.raises(InputError, match=r"no map of 1 of 3 clips \(b.gif\); name it 2.npy"):
        foreign_maps([folder], entries)
    np.save(folder / "2.npy", np.ones((1, 1, 1)))
    (maps,) = foreign_maps([folder], entries)
    assert [path.relative_to(folder).as_posix() for path in maps.files] == ["x/a.npy", "1.npy", "2.npy"]
    with pytest.raises(InputError, match="is not a folder"):
        foreign_maps([folder / "1.npy"], entries)
    with pytest.raises(InputError, match="'tool' is taken"):
        foreign_maps([folder, tmp_path / "." / "tool"], entries)
    (tmp_path / "centre").mkdir()
    with pytest.raises(InputError, match="'centre' is taken"):
        foreign_maps([tmp_path / "centre"], entries)


@pytest.mark.parametrize(
    ("clips", "files"), [(("1.mp4", "2.mp4", "3.mp4"), ("1.npy", "2.npy")), (("x/a.mp4", "y/a.mp4"), ("a.npy",))]
)
def test_one_file_is_not_the_map_of_two_clips(clips: tuple[str, ...], files: tuple[str, ...], tmp_path: Path) -> None:
    for name in files:
        np.save(tmp_path / name, np.ones((1, 1, 1)))
    with pytest.raises(InputError, match=f"{files[-1]} would be the map of .*{clips[-1]}"):
        foreign_maps([tmp_path], [Entry(index, name, name) for index, name in enumerate(clips)])
