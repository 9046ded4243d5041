"""The layout of a spec is checked when a model is prepared, once for all videos and starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import Tensor, nn

from tests.helpers.nets import BRIGHTNESS_SPEC, ArrangedNet
from vidcam.cam import context
from vidcam.errors import LayerError
from vidcam.models.model import Model
from vidcam.pipelines.explain.request import ExplainOptions, resolve
from vidcam.pipelines.forward import prepare
from vidcam.pipelines.memory import StartMemory
from vidcam.spec import TokenGrid


def model_of(network: nn.Module, order: str) -> Model:
    spec = replace(BRIGHTNESS_SPEC, layer="arrange", layout=TokenGrid((4, 7, 7), order=order))
    return Model(spec, network, ("bright", "dark"), "by hand")


class Mixed(ArrangedNet):
    """Every cell sees the whole clip."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip.mean(dim=(2, 3, 4), keepdim=True).expand_as(clip))


def test_a_wrong_layout_is_refused_before_the_first_video() -> None:
    network = ArrangedNet("tokens", (4, 8, 8))
    assert prepare(model_of(network, "thw"), ["arrange"]).baseline.notes == ()
    with pytest.raises(LayerError, match="look ordered 'thw', not 'hwt'"):
        prepare(model_of(network, "hwt"), ["arrange"])


def test_a_note_is_kept_for_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    model, memory = model_of(Mixed("tokens", (4, 8, 8)), "thw"), StartMemory("key")
    first = prepare(model, ["arrange"], memory=memory)
    monkeypatch.setattr(context, "layout_note", lambda *_, **__: pytest.fail("checked again"))
    second = prepare(model, ["arrange"], memory=memory)
    assert first.baseline.notes == second.baseline.notes
    assert [note[:35] for note in second.baseline.notes] == ["Layout not verified: at layer 'arra"]


def test_the_note_reaches_the_request() -> None:
    request, _ = resolve(model_of(Mixed("tokens", (4, 8, 8)), "thw"), ExplainOptions())
    assert any(note.startswith("Layout not verified") for note in request.notes)
    assert not request.check_layout
