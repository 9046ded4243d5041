"""The shipped models load without a network connection and classify unseen clips correctly."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch

from tests.helpers.motion import clips_and_labels, tiny_input
from vidcam.errors import ShapeError, WeightsError
from vidcam.models.families.tiny import TINY_SPECS, build, load
from vidcam.models.model import Model
from vidcam.models.registry import load_model

NAMES = tuple(spec.name for spec in TINY_SPECS)


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A shipped model, loaded while sockets are blocked."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket, "socket", refuse)
    return load_model(str(request.param), device="cpu")


def test_spec(model: Model) -> None:
    shapes: list[torch.Size] = []
    assert model.spec.layer is not None
    layer = model.module.get_submodule(model.spec.layer)
    handle = layer.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    with torch.inference_mode():
        logits = model.module(torch.zeros(2, 3, *model.spec.input_size))
    handle.remove()
    assert shapes == [(2, 48, 8, 8, 8)]
    assert logits.shape == (2, 8)


def test_accuracy_on_unseen_clips(model: Model) -> None:
    frames, labels = clips_and_labels(40)
    with torch.inference_mode():
        predictions = model.module(tiny_input(frames)).argmax(dim=1)
    assert (predictions == labels).double().mean() >= 0.95


def test_only_the_order_of_the_frames_separates_a_pair_of_classes(model: Model) -> None:
    frames, labels = clips_and_labels(16)
    still = frames[:, 7:8].expand_as(frames)
    with torch.inference_mode():
        forwards, backwards = model.module(tiny_input(frames)), model.module(tiny_input(frames.flip(1)))
        still_logits = [model.module(tiny_input(clip)) for clip in (still, still.flip(1))]
    pairs = labels // 2
    assert (forwards.argmax(dim=1) == labels).double().mean() > 0.9
    assert (backwards.argmax(dim=1) == (labels ^ 1)).double().mean() > 0.9
    torch.testing.assert_close(*still_logits, rtol=1e-4, atol=1e-4)
    assert set(pairs.tolist()) == set(range(4))


def test_tiny_c3d_takes_one_size() -> None:
    with pytest.raises(ShapeError, match=r"tiny_c3d takes clips \(N, 3, 16, 64, 64\), got \(1, 3, 16, 32, 64\)"):
        build("tiny_c3d")(torch.zeros(1, 3, 16, 32, 64))


def test_missing_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.models.families.tiny.WEIGHTS_FOLDER", tmp_path)
    with pytest.raises(WeightsError, match=r"tiny_r3d\.safetensors' cannot be read \(No such file or directory\)"):
        load(build("tiny_r3d"), "tiny_r3d")
