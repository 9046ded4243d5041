from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers.c3d_files import (
    CLASSES,
    SPEC,
    keras2_names,
    keras_kernels,
    mmaction2_state,
    plain_state,
    small,
    write_keras,
)
from tests.helpers.clips import model_input
from tests.helpers.odd import greys, h264
from vidcam.cli.app import main
from vidcam.errors import OutputError, WeightsError
from vidcam.models.entry import ModelEntry
from vidcam.models.families import c3d_weights
from vidcam.models.labels import numbered_labels
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.preprocess import fill_for
from vidcam.spec import MeanCube
from vidcam.system.fingerprint import sha256

SOURCE = (180, 240)


@pytest.fixture(scope="module")
def cube() -> NDArray[np.float32]:
    return np.random.default_rng(5).uniform(60, 140, (3, 16, 128, 171)).astype(np.float32)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    torch.save(plain_state(small(seed=1)), tmp_path / "plain.pt")
    return tmp_path / "plain.pt"


@pytest.fixture
def mmaction2(tmp_path: Path) -> Path:
    torch.save({"state_dict": mmaction2_state(small(seed=1))}, tmp_path / "mm.pth")
    return tmp_path / "mm.pth"


def load(path: Path, mean_cube: Path | None = None) -> Model:
    return c3d_weights.from_file(SPEC, small(seed=2), path, mean_cube)


def frames(*size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(6).integers(0, 256, (16, *size, 3), dtype=np.uint8)


def resize_bilinear(pictures: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    """Resize (T, H, W, 3) to (T, height, width, 3), bilinear between pixel centres with clamped edges."""
    result = pictures.astype(np.float64)
    for axis, size in ((1, height), (2, width)):
        length = result.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        below = np.minimum(np.floor(at).astype(int), length - 1)
        above = np.minimum(below + 1, length - 1)
        share = (at - below).reshape([-1 if a == axis else 1 for a in range(4)])
        result = np.take(result, below, axis) * (1 - share) + np.take(result, above, axis) * share
    return result


def expect_rounded(clip: NDArray[np.float32], pixels: NDArray[np.float64], mean: NDArray[Any] | list[float]) -> None:
    """Check a clip against the rounded centre crop of (T, H, W, 3) minus the mean. A half may round either way."""
    left = {171: 30, 170: 29}[pixels.shape[2]]
    crop = np.s_[:, 8:120, left : left + 112]
    values = clip.transpose(1, 2, 3, 0) + np.broadcast_to(mean, pixels.shape)[crop]
    np.testing.assert_allclose(values, values.round(), atol=1e-4)
    np.testing.assert_allclose(values, pixels[crop], atol=0.5 + 5e-3)


def test_preprocessing_with_the_mean_colour(plain: Path) -> None:
    pictures = frames(*SOURCE)
    bgr = resize_bilinear(pictures, 128, 171)[..., ::-1]
    expect_rounded(model_input(pictures, load(plain).spec)[0].numpy(), bgr, [90.25, 97.66, 101.41])


def test_preprocessing_with_the_mean_cube(plain: Path, cube: NDArray[np.float32], tmp_path: Path) -> None:
    """The cube is subtracted before the crop, as the authors do."""
    np.save(tmp_path / "mean.npy", cube)
    model = load(plain, tmp_path / "mean.npy")
    pictures = frames(*SOURCE)
    bgr = resize_bilinear(pictures, 128, 171)[..., ::-1]
    expect_rounded(model_input(pictures, model.spec)[0].numpy(), bgr, cube.transpose(1, 2, 3, 0))
    black = fill_for(torch.zeros(1, 3, 16, 112, 112), "black", model.spec.scaling)[0].numpy()
    np.testing.assert_array_equal(black, -cube[:, :, 8:120, 30:142])
    assert "stretched to 171 × 128, BGR minus a mean cube" in model.weights


def test_preprocessing_of_mmaction2(mmaction2: Path) -> None:
    model = load(mmaction2)
    pictures = frames(*SOURCE)
    expect_rounded(model_input(pictures, model.spec)[0].numpy(), resize_bilinear(pictures, 128, 170), [104, 117, 128])
    assert "(mmaction2 layout; shorter side 128, RGB minus 104, 117, 128)" in model.weights


def test_provenance_and_labels(plain: Path) -> None:
    model = load(plain)
    assert model.weights == (
        "plain.pt (plain layout; stretched to 171 × 128, BGR minus 90.25, 97.66, 101.41), sha256 " + sha256(plain)
    )
    assert model.labels == tuple(f"class {index}" for index in range(CLASSES))
    assert model.spec == SPEC


@pytest.mark.parametrize("kind", ["plain", "cube", "mmaction2"])
def test_save_and_load(kind: str, plain: Path, mmaction2: Path, cube: NDArray[np.float32]) -> None:
    folder = plain.parent
    np.save(folder / "mean.npy", cube)
    model = load(mmaction2 if kind == "mmaction2" else plain, folder / "mean.npy" if kind == "cube" else None)
    model = replace(model, labels=("a", "b", "ç", "d", "e"))
    c3d_weights.save(model, folder / "ours.safetensors")
    loaded = load(folder / "ours.safetensors")
    assert (loaded.spec, loaded.labels) == (model.spec, model.labels)
    assert loaded.weights.startswith("ours.safetensors (vidcam layout; ")
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[name], tensor)
    with pytest.raises(OutputError, match=r"ours\.safetensors' exists already"):
        c3d_weights.save(model, folder / "ours.safetensors")


def test_a_cropped_mean_cube(plain: Path, cube: NDArray[np.float32], tmp_path: Path) -> None:
    cropped = cube[:, :, 8:120, 30:142]
    np.save(tmp_path / "crop.npy", cropped)
    assert load(plain, tmp_path / "crop.npy").spec.scaling.mean == MeanCube(cropped)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((16, 128, 171, 3), "f4"), r"must be \(3, 16, 128, 171\) .* got \(16, 128, 171, 3\) of float32"),
        (np.full((3, 16, 112, 112), -1, "f4"), r"of floats in \[0, 255\]"),
        (np.full((3, 16, 112, 112), np.nan, "f4"), r"of floats in \[0, 255\]"),
        (np.zeros((3, 16, 112, 112), "i4"), r"of floats in \[0, 255\], got .* of int32"),
        (np.array([{}], dtype=object), r"mean cube mean\.npy cannot be read \(.*\)"),
    ],
)
def test_an_invalid_mean_cube(values: NDArray[Any], message: str, plain: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", values)
    with pytest.raises(WeightsError, match=message):
        load(plain, tmp_path / "mean.npy")


def test_an_unreadable_mean_cube(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "mean.binaryproto").write_bytes(b"\x08\x01\x10\x03")
    for name in ("mean.binaryproto", "none.npy"):
        with pytest.raises(WeightsError, match=rf"mean cube {name} cannot be read .*convert Caffe's \.binaryproto"):
            load(plain, tmp_path / name)


def test_a_mean_cube_for_mmaction2_weights(mmaction2: Path, cube: NDArray[np.float32], tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", cube)
    with pytest.raises(WeightsError, match=r"MMAction2 weights take no mean cube.* remove --mean-cube"):
        load(mmaction2, tmp_path / "mean.npy")


def test_a_wrong_number_of_classes(tmp_path: Path) -> None:
    torch.save(plain_state(small(classes=101)), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="the weights have 101 classes, model 'c3d_small' has 5; pass --model c3d_u"):
        load(tmp_path / "w.pt")
    torch.save(plain_state(small(classes=7)), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"have 7 classes, .*; build one with vidcam\.models\.families\.c3d\.C3D"):
        load(tmp_path / "w.pt")


def test_nothing_is_loaded_from_a_wrong_file(tmp_path: Path) -> None:
    state = plain_state(small(seed=1)) | {"fc7.weight": torch.zeros(3, 3)}
    torch.save(state, tmp_path / "w.pt")
    net = small(seed=2)
    with pytest.raises(
        WeightsError,
        match=r"do not fit model 'c3d_small' \(22 tensors\): 1 with a wrong shape \(fc7\.weight \(3, 3\)",
    ):
        c3d_weights.from_file(SPEC, net, tmp_path / "w.pt")
    for name, tensor in small(seed=2).state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor)


def test_an_unknown_preprocessing(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(dict(small().state_dict()), tmp_path / "w.safetensors", {"preprocessing": "newer"})
    with pytest.raises(WeightsError, match="need the preprocessing 'newer', expected 'caffe' or 'mmaction2'"):
        load(tmp_path / "w.safetensors")


def test_without_a_file() -> None:
    with pytest.raises(WeightsError) as caught:
        load_model("c3d_sports1m", device="cpu")
    assert str(caught.value) == (
        "model 'c3d_sports1m' has no pretrained weights; pass a file with --weights FILE or weights=FILE "
        "(docs/models.md says where to get one)"
    )


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a small C3D, `c3d_small`."""
    entry = ModelEntry(
        SPEC,
        small,
        None,
        partial(numbered_labels, SPEC.classes),
        from_file=partial(c3d_weights.from_file, SPEC),
    )
    monkeypatch.setattr("vidcam.models.registry.BUILT_IN", {"c3d_small": entry})


def run(*arguments: object) -> int:
    return main(["explain", *map(str, arguments), "--model", "c3d_small", "--outputs", "data", "--json"])


@pytest.mark.usefixtures("registered")
def test_from_the_command_line(tmp_path: Path, cube: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    video = h264(tmp_path / "video.mp4", greys(16))
    write_keras(tmp_path / "w.h5", keras_kernels(small(seed=1)), keras2_names)
    np.save(tmp_path / "mean.npy", cube)
    (tmp_path / "labels.txt").write_text("1 Run\n2 Jump\n3 Fall\n4 Sit\n5 Lie\n")
    files = ["--weights", tmp_path / "w.h5", "--labels", tmp_path / "labels.txt", "--mean-cube", tmp_path / "mean.npy"]
    assert run(video, "-o", tmp_path / "out", *files) == 0
    output = capsys.readouterr().out
    assert '"weights": "w.h5 (keras layout; stretched to 171 × 128, BGR minus a mean cube), sha256 ' in output
    assert any(f'"label": "{name}"' in output for name in ("Run", "Jump", "Fall", "Sit", "Lie"))


@pytest.mark.usefixtures("registered")
def test_random_weights_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = h264(tmp_path / "video.mp4", greys(16))
    assert run(video, "-o", tmp_path / "out", "--weights", "random") == 0
    output = capsys.readouterr().out
    assert '"weights": "random (seed 0)"' in output
    assert '"label": "class ' in output


@pytest.mark.usefixtures("registered")
def test_errors_on_the_command_line(tmp_path: Path, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = h264(tmp_path / "video.mp4", greys(16))
    truncated = tmp_path / "truncated.pt"
    truncated.write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    for arguments in (
        [],
        ["--weights", truncated],
        ["--weights", plain, "--labels", truncated],
        ["--weights", plain, "--mean-cube", truncated],
    ):
        assert run(video, "-o", tmp_path / "out", *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("vidcam: error: ")
        assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("registered")
def test_from_python(plain: Path) -> None:
    model = load_model("c3d_small", device="cpu", weights=str(plain))
    assert model.weights.startswith("plain.pt (plain layout")
    assert not model.module.training
