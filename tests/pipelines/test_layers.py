"""The list of layers: names, grid, stride and the default."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import Tensor, nn

from tests.helpers.branches import FrameLoop
from tests.helpers.nets import pooled_model
from vidcam.errors import LayerError
from vidcam.models.model import Model
from vidcam.pipelines.layers import layer_rows

HERE = "tests.pipelines.test_layers"


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv3d(3, 3, 1), nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        out: Tensor = self.relu(self.conv(clip))
        return out


class NestedNet(nn.Module):
    """A stem, and a sequence with a list of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 3, 1, stride=(2, 4, 4))
        self.blocks = nn.ModuleList([nn.Sequential(_Block()), _Block()])
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(3, 4)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.stem(clip)
        for block in self.blocks:
            features = block(features)
        scores: Tensor = self.head(self.pool(features).flatten(1))
        return scores


def nested() -> Model:
    return Model(replace(pooled_model().spec, name="nested"), NestedNet(), ("a", "b", "c", "d"), "random")


def inner_default() -> Model:
    model = nested()
    return replace(model, spec=replace(model.spec, layer="blocks.0.0.conv"))


def test_children_and_items_of_containers_are_listed() -> None:
    names = [row["layer"] for row in layer_rows(f"{HERE}:nested")]
    assert names == ["stem", "blocks.0.0", "blocks.0", "blocks.1"]


def test_every_layer_that_can_carry_a_map() -> None:
    names = [row["layer"] for row in layer_rows(f"{HERE}:nested", every=True)]
    inner = [f"blocks.{block}.{part}" for block in ("0.0", "1") for part in ("conv", "relu")]
    assert names == ["stem", *inner[:2], "blocks.0.0", "blocks.0", *inner[2:], "blocks.1"]


def frame_loop() -> Model:
    return Model(replace(pooled_model().spec, layer=None), FrameLoop(), ("a", "b", "c", "d"), "random")


def test_a_network_that_runs_frame_by_frame_names_its_default() -> None:
    with pytest.raises(LayerError, match="the default is cnn: its runs are stacked as time"):
        layer_rows(f"{HERE}:frame_loop")


def test_a_row_by_hand() -> None:
    """8 × 32 × 32 with a stride of 2 × 4 × 4."""
    assert layer_rows(f"{HERE}:nested")[0] == {
        "layer": "stem",
        "kind": "Conv3d",
        "channels": 3,
        "grid": [4, 8, 8],
        "stride_frames": 2.0,
        "stride_pixels": [4.0, 4.0],
        "default": False,
    }


@pytest.mark.parametrize(("factory", "default"), [("nested", "blocks.1"), ("inner_default", "blocks.0.0.conv")])
def test_one_default_which_is_listed_even_inside_a_block(factory: str, default: str) -> None:
    rows = layer_rows(f"{HERE}:{factory}")
    assert [row["layer"] for row in rows if row["default"]] == [default]


@pytest.mark.parametrize(("name", "weights"), [("i3d", "random"), (f"{HERE}:nested", "pretrained")])
def test_a_known_model_is_built_without_fetching_its_weights(
    name: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def load_model(name: str, **options: str) -> Model:
        asked.append((name, options))
        return nested()

    monkeypatch.setattr("vidcam.pipelines.layers.load_model", load_model)
    assert len(layer_rows(name)) == 4
    assert asked == [(name, {"device": "cpu", "weights": weights})]
