"""The derivation and the probe of the gallery, on networks whose maps and places are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.gallery.oracle import class_activation_maps, reacting_cell
from tests.helpers.nets import BrightnessNet, random_clip, seeded


def test_maps_of_known_numbers() -> None:
    net, clip = BrightnessNet(), random_clip(1, 3, 8, 16, 24).abs()
    brightness = nn.functional.avg_pool3d(clip.mean(dim=1), (4, 8, 8)).double()
    maps = class_activation_maps(net, "relu", lambda output: output, lambda network: network(clip)[:, 0].sum())
    torch.testing.assert_close(maps["gradcam"], brightness)
    torch.testing.assert_close(maps["hirescam"], brightness)
    alpha = 1 / (2 + brightness.sum())  # g = 1 everywhere
    torch.testing.assert_close(maps["gradcam++"], alpha * brightness.numel() * brightness)


class TimeLast(nn.Module):
    """Patches as tokens (N, h·w·t, D), time fastest, on a grid of (t, h, w) = (4, 3, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 6, (2, 4, 4), stride=(2, 4, 4))
        self.tokens = nn.Identity()

    def forward(self, clip: Tensor) -> Tensor:
        tokens: Tensor = self.tokens(self.patch(clip).permute(0, 3, 4, 2, 1).flatten(1, 3))
        return tokens.mean(dim=1)


@pytest.mark.parametrize("cell", [(0, 0, 0), (1, 2, 0), (3, 0, 1), (2, 1, 1)])
def test_probe_finds_the_cell_and_shows_a_wrong_order(cell: tuple[int, int, int]) -> None:
    net, clip = seeded(TimeLast), random_clip(1, 3, 8, 12, 8)

    def right(tokens: Tensor) -> Tensor:
        return tokens.reshape(1, 3, 2, 4, -1).permute(0, 4, 3, 1, 2)

    def wrong(tokens: Tensor) -> Tensor:
        return tokens.reshape(1, 4, 3, 2, -1).permute(0, 4, 1, 2, 3)

    assert reacting_cell(net, clip, "tokens", right, cell) == cell
    place = 4 * (2 * cell[1] + cell[2]) + cell[0]  # in the order h w t
    misread = (place // 6, place // 2 % 3, place % 2)
    assert reacting_cell(net, clip, "tokens", wrong, cell) == misread
