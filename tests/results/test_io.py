"""Save, load and show explanations. Everything comes back bit by bit, and other files raise errors."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.loading import load_video
from tests.helpers.nets import BrightnessNet, random_clip
from tests.results.test_explanation import assert_same
from tests.results.test_hostile import with_meta
from tests.results.test_video import CROPPED, PTS, video
from vidcam.cam.explain import explain
from vidcam.errors import MediaError, OutputError
from vidcam.results import io as module
from vidcam.results.explanation import Artifact, Explanation
from vidcam.results.io import load, save
from vidcam.results.verdict import Verdict, VideoVerdict

METHODS = ("gradcam", "gradcam++", "gradcam++signed", "guided-gradcam")


@pytest.fixture(scope="module")
def made() -> Explanation:
    clip = random_clip(2, 3, 8, 32, 32).abs()
    return explain(BrightnessNet(), clip, layer="relu", methods=METHODS, target=0, contrast=1)


def test_clips_survive_bit_by_bit(made: Explanation, tmp_path: Path) -> None:
    whole = replace(made, artifact=Artifact(((0, 1, 2), (1, 1, 1)), 30.5, 2.0), notes=("the layer was chosen", "ü"))
    whole.save(tmp_path / "a.npz")
    read = load(tmp_path / "a.npz")
    assert isinstance(read, Explanation)
    assert_same(read, whole)
    assert (read.artifact, read.notes, list(read.guided)) == (whole.artifact, whole.notes, ["guided-gradcam"])
    np.testing.assert_array_equal(read.guided["guided-gradcam"], whole.guided["guided-gradcam"], strict=True)
    np.testing.assert_array_equal(read.heat("gradcam++"), whole.heat("gradcam++"), strict=True)


@pytest.mark.parametrize("kind", ["clips", "video"])
def test_existing_files_need_overwrite(made: Explanation, tmp_path: Path, kind: str) -> None:
    result, path = (made if kind == "clips" else video()), tmp_path / "a.npz"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"a\.npz' exists already"):
        result.save(path)
    with pytest.raises(OutputError, match=r"no' does not exist"):
        save(result, tmp_path / "no" / "a.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]
    assert path.read_text() == "mine"
    result.save(path, overwrite=True)
    assert len(load_video(path).timeline if kind == "video" else load_clips(path)) > 0


def load_clips(path: Path) -> Explanation:
    read = load(path)
    assert isinstance(read, Explanation)
    return read


def test_notebook_picture(made: Explanation) -> None:
    with Image.open(io.BytesIO(made._repr_png_() or b"")) as picture:
        assert picture.width == 1200
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50
    flat = replace(
        made,
        volumes={"gradcam": made.volumes["gradcam"][:, 0]},
        input_size=(32, 32),
        alpha={},
        clamped={},
        guided={},
    )
    assert flat._repr_png_() is not None
    assert replace(flat, volumes={})._repr_png_() is None


@pytest.mark.parametrize("targets", [1, 3])
def test_videos_survive_bit_by_bit(tmp_path: Path, targets: int) -> None:
    made = video(targets=targets, geometry=CROPPED).rescaled("window", PTS)
    made.save(tmp_path / "a.npz")
    read = load_video(tmp_path / "a.npz")
    assert read.scale == "window"
    assert (read.source, read.model, read.geometry, read.labels) == (made.source, made.model, CROPPED, made.labels)
    assert read.bounds == made.bounds
    for name in ("starts", "ends", "frame_seconds"):
        np.testing.assert_array_equal(getattr(read.timeline, name), getattr(made.timeline, name), strict=True)
    for ours, theirs in zip(read.explanations, made.explanations, strict=True):
        assert_same(ours, theirs)
    for target in range(targets):
        theirs_heat = made.heat("gradcam++", PTS[:9], target=target)
        np.testing.assert_array_equal(read.heat("gradcam++", PTS[:9], target=target), theirs_heat)


def test_verdicts_survive_and_a_file_without_them_is_not_checked(tmp_path: Path) -> None:
    verdict = Verdict("doubtful", "keeps 40 % at half area", 0.5, {"kept": 0.4, "mirror": None})
    whole = VideoVerdict("Motion counts.", {"frozen": 0.3})
    made = replace(video(targets=2), verdicts=({"gradcam": verdict}, {}), video_verdict=whole)
    made.save(tmp_path / "a.npz")
    read = load_video(tmp_path / "a.npz")
    assert (read.verdicts, read.video_verdict) == (made.verdicts, whole)
    assert read.verdict("gradcam") == verdict
    assert read.verdict("gradcam", target=1).word == read.verdict("gradcam++").word == "not checked"

    def without_verdicts(meta: dict[str, Any]) -> None:
        del meta["video"]["verdicts"], meta["video"]["video_verdict"]

    (tmp_path / "old.npz").write_bytes(with_meta(without_verdicts))
    old = load_video(tmp_path / "old.npz")
    assert old.verdict("gradcam").word == "not checked"
    assert old.video_verdict is None


def test_double_precision_and_nan_audits_survive(tmp_path: Path) -> None:
    first = video().explanations[0]
    blank = dataclasses.replace(first.alpha["gradcam++"], agreement=np.full(11, np.nan))
    volumes = {name: volume.astype(np.float64) / 3 for name, volume in first.volumes.items()}
    precise = dataclasses.replace(first, volumes=volumes, alpha={"gradcam++": blank})
    dataclasses.replace(video(), explanations=(precise,)).save(tmp_path / "a.npz")
    assert_same(load_video(tmp_path / "a.npz").explanations[0], precise)


def test_the_same_video_is_the_same_file(tmp_path: Path) -> None:
    video(targets=2).save(tmp_path / "a.npz")
    video(targets=2).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_file_is_plain_arrays_and_json(tmp_path: Path) -> None:
    video(targets=2).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fibU" for name in arrays.files)
        meta = json.loads(str(arrays["meta"]))
    assert meta["schema"] == 1
    assert [entry["has_contrast"] for entry in meta["explanations"]] == [False, True]
    assert [entry["alpha_exact"] for entry in meta["explanations"]] == [True, None]
    assert "1/logits" not in arrays.files  # all targets share their windows' logits


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none\.npz does not exist; expected an \.npz"):
        load(tmp_path / "none.npz")
    with pytest.raises(MediaError, match="is not a saved explanation"):
        load(tmp_path)


def test_artifact_notes_and_guided_maps_of_a_video_survive(tmp_path: Path) -> None:
    made = video(targets=2)
    explanations = tuple(
        replace(
            explanation,
            artifact=Artifact(((0, 1, 2), (1, 1, 1)), 30.5, 2.0),
            notes=(f"note {number}", "ü"),
            guided={
                "guided-gradcam": np.random.default_rng(number)
                .random((11, 3, *explanation.input_size))
                .astype(np.float32)
            },
            clamped={"gradcam++signed": np.linspace(0, 1, 11)},
            activation="sigmoid",
        )
        for number, explanation in enumerate(made.explanations)
    )
    replace(made, explanations=explanations).save(tmp_path / "a.npz")
    for ours, theirs in zip(load_video(tmp_path / "a.npz").explanations, explanations, strict=True):
        assert_same(ours, theirs)
        assert (ours.artifact, ours.notes, ours.activation) == (theirs.artifact, theirs.notes, "sigmoid")
        for group in ("guided", "clamped"):
            ((name, array),) = getattr(theirs, group).items()
            np.testing.assert_array_equal(getattr(ours, group)[name], array, strict=True)


def test_logits_that_differ_between_targets_survive(tmp_path: Path) -> None:
    made = video(targets=2)
    other = replace(made.explanations[1], logits=made.explanations[1].logits + 1)
    replace(made, explanations=(made.explanations[0], other)).save(tmp_path / "a.npz")
    assert_same(load_video(tmp_path / "a.npz").explanations[1], other)


def test_large_arrays_are_memory_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAPPED_BYTES", 1 << 12)
    made = video()
    volumes = {"gradcam": np.random.default_rng(0).random((11, 8, 28, 28)).astype(np.float32)}
    large = replace(made.explanations[0], volumes=volumes)
    replace(made, explanations=(large,), bounds={"gradcam": (0.0, 1.0)}).save(tmp_path / "a.npz")
    read = load_video(tmp_path / "a.npz")
    array = read.explanations[0].volumes["gradcam"]
    np.testing.assert_array_equal(array, volumes["gradcam"], strict=True)
    with np.load(tmp_path / "a.npz") as plain:  # NumPy can read it too
        np.testing.assert_array_equal(plain["0/volumes/gradcam"], volumes["gradcam"], strict=True)
    assert array.flags.aligned
    assert not array.flags.writeable
    (tmp_path / "a.npz").unlink()  # the mapped content stays while it is referenced
    if read.forget:
        read.forget()
        np.testing.assert_array_equal(array, volumes["gradcam"], strict=True)


def test_a_damaged_mapped_array_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAPPED_BYTES", 1)
    video().save(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.find(video().explanations[0].volumes["gradcam"].tobytes())
    content[place + 100] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.npz is not a saved explanation \(Bad CRC"):
        load(tmp_path / "a.npz")


@pytest.mark.skipif(sys.platform != "linux", reason="counts the pages of a process")
def test_saving_and_loading_need_little_memory(tmp_path: Path) -> None:
    """64 MB of mapped maps: saving and loading each need less than a tenth of it."""

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    count = 1300
    block = np.memmap(tmp_path / "maps", np.float32, "w+", shape=(count, 16, 28, 28))
    made = video(count, seconds=PTS[:2])
    large = replace(made.explanations[0], volumes={"gradcam": block})
    whole = replace(made, explanations=(large,), bounds={"gradcam": (0.0, 1.0)})
    peaks, before = [0.0], resident()
    forget = block._mmap.madvise  # type: ignore[attr-defined]

    def watched() -> None:
        peaks.append(resident() - before)
        forget(4)

    replace(whole, forget=watched).save(tmp_path / "a.npz")
    read = load_video(tmp_path / "a.npz")
    peaks.append(resident() - before)
    assert read.explanations[0].volumes["gradcam"].shape == block.shape
    assert max(peaks) < 20
