"""What a start computes is kept, and computed again as soon as anything on which it depends has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.weights.cache import cache_folder
from vidcam.pipelines import memory as module
from vidcam.pipelines.explain.request import ExplainOptions, resolve
from vidcam.pipelines.memory import Remembered, StartMemory

ANSWER = Remembered({"text": "yes", "number": 0.1}, {"a": torch.tensor([[1.5, -0.0]], dtype=torch.bfloat16)})


def tiny() -> Model:
    return load_model("tiny_r3d", device="cpu")


def files() -> list[Path]:
    return sorted((cache_folder() / "start").glob("*"))


class Counted:
    """Counts how often the answer is computed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Remembered:
        self.times += 1
        return ANSWER


def test_an_answer_is_computed_once() -> None:
    compute = Counted()
    for _ in range(2):
        answer = StartMemory("key").recall(["what", "layer"], compute)
        assert answer.document == ANSWER.document
        assert torch.equal(answer.tensors["a"].view(torch.int16), ANSWER.tensors["a"].view(torch.int16))
    assert compute.times == 1
    StartMemory("key").recall(["what", "other layer"], compute)
    StartMemory("other key").recall(["what", "layer"], compute)
    assert compute.times == 3
    assert len(files()) == 3


def test_nothing_is_kept_without_a_key() -> None:
    compute = Counted()
    for _ in range(2):
        StartMemory().recall(["what"], compute)
    assert (compute.times, files()) == (2, [])


@pytest.mark.parametrize("place", [0.2, 0.5, 0.999])
def test_a_damaged_file_is_computed_again(place: float) -> None:
    compute = Counted()
    StartMemory("key").recall(["what"], compute)
    (file,) = files()
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    answer = StartMemory("key").recall(["what"], compute)
    assert (answer.document, compute.times) == (ANSWER.document, 2)
    assert StartMemory("key").recall(["what"], compute).document == ANSWER.document
    assert compute.times == 2  # the file is whole again


def test_a_cut_or_empty_file_is_computed_again() -> None:
    compute = Counted()
    StartMemory("key").recall(["what"], compute)
    (file,) = files()
    for content in (b"", file.read_bytes()[:-1], b"text"):
        file.write_bytes(content)
        assert StartMemory("key").recall(["what"], compute).document == ANSWER.document
    assert compute.times == 4


def test_a_cache_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDCAM_CACHE", str(tmp_path / "file"))
    compute = Counted()
    for _ in range(2):
        assert StartMemory("key").recall(["what"], compute).document == ANSWER.document
    assert compute.times == 2


def test_old_and_large_answers_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 3)
    for number in range(5):
        StartMemory("key").recall([str(number)], Counted())
    assert len(files()) == 3
    monkeypatch.setattr(module, "MOST_BYTES", 3)
    StartMemory("key").recall(["large"], Counted())
    assert len(files()) == 3


def change_weight(model: Model) -> Model:
    with torch.no_grad():
        next(model.module.parameters()).view(-1)[0] += 1e-3
    return model


def change_buffer(model: Model) -> Model:
    next(buffer for buffer in model.module.buffers() if buffer.is_floating_point()).view(-1)[0] += 1e-3
    return model


def change_structure(model: Model) -> Model:
    model.module.add_module("more", nn.Identity())
    return model


CHANGES: dict[str, Callable[[Model], Model]] = {
    "weight": change_weight,
    "buffer": change_buffer,
    "structure": change_structure,
    "size": lambda model: replace(model, spec=replace(model.spec, crop_size=(56, 64))),
    "scaling": lambda model: replace(
        model, spec=replace(model.spec, scaling=replace(model.spec.scaling, std=(1, 1, 1)))
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_key_changes_with_the_network(name: str) -> None:
    before = StartMemory.of(tiny(), "float32").key
    assert before == StartMemory.of(tiny(), "float32").key
    assert StartMemory.of(CHANGES[name](tiny()), "float32").key not in (None, before)


def test_the_key_changes_with_precision_code_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {StartMemory.of(tiny(), precision).key for precision in ("float32", "bf16")}
    monkeypatch.setattr(module, "version", lambda _package: "9.9")
    keys.add(StartMemory.of(tiny(), "float32").key)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    keys.add(StartMemory.of(tiny(), "float32").key)
    assert len(keys) == 4


def encoder(activation: Any) -> Model:
    """A network whose activation its text does not show."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation=activation)
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    return replace(tiny(), module=layer.eval())


def test_the_key_changes_with_what_the_text_of_a_module_hides() -> None:
    keys = [StartMemory.of(encoder(name), "float32").key for name in ("relu", "gelu", nn.functional.gelu)]
    assert None not in keys
    assert keys[0] != keys[1] == keys[2]
    assert StartMemory.of(encoder(lambda x: x), "float32").key is None


def test_the_key_changes_with_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    before = StartMemory.of(tiny(), "float32").key
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32)
    assert StartMemory.of(tiny(), "float32").key != before


def test_a_traced_network_is_not_remembered() -> None:
    model = replace(tiny(), module=torch.fx.symbolic_trace(Own()))
    assert StartMemory.of(model, "float32").key is None


def test_the_key_reads_the_code_behind_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()

    def read(path: Path) -> bytes:
        names.add(f"{path.parent.name}/{path.name}")
        return b""

    monkeypatch.setattr(Path, "read_bytes", read)
    StartMemory.of(tiny(), "float32")
    for part in ("vidcam/devices.py", "cam/baseline.py", "results/explanation.py", "families/i3d.py"):
        assert part in names
    assert {"pipelines/forward.py", "pipelines/memory.py"} < names


class Own(nn.Module):
    def forward(self, clip: Any) -> Any:
        return clip


def replace_forward(model: Model) -> None:
    model.module.forward = model.module.forward


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.module.add_module("own", Own()),
        lambda model: model.module.register_forward_hook(lambda *_: None),
        replace_forward,
    ],
)
def test_code_that_no_version_names_is_not_remembered(change: Callable[[Model], object]) -> None:
    model = tiny()
    change(model)
    assert StartMemory.of(model, "float32").key is None


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_second_start_gives_the_same(precision: Any) -> None:
    options = ExplainOptions(precision=precision)
    first, ready = resolve(tiny(), options)
    model = tiny()
    second, again = resolve(model, options)
    for name, tensor in first.baseline_activations.items():
        assert torch.equal(second.baseline_activations[name], tensor)
    assert again.baseline.artifact == ready.baseline.artifact
    assert (again.forward, second.methods, second.layers) == (ready.forward, first.methods, first.layers)
    clip = torch.rand(2, 3, *model.spec.input_size)
    with torch.no_grad():
        assert torch.equal(again.model.module(clip), ready.model.module(clip))


def test_the_second_start_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = resolve(tiny(), ExplainOptions())

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("a clip was run")

    monkeypatch.setattr("vidcam.pipelines.forward.open_attribution", fail)
    monkeypatch.setattr("vidcam.pipelines.forward.chosen_layers", fail)
    found, _ = resolve(tiny(), ExplainOptions())
    assert found.methods == expected.methods
