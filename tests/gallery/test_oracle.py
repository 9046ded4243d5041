"""The derivation and the probe of the gallery, on networks whose maps and places are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.gallery.family import run
from tests.gallery.oracle import added, class_activation_maps, reacting_cells
from tests.helpers.nets import BrightnessNet, random_clip, seeded


def test_maps_of_known_numbers() -> None:
    net, clip = BrightnessNet(), random_clip(1, 3, 8, 16, 24).abs()
    brightness = nn.functional.avg_pool3d(clip.mean(dim=1), (4, 8, 8)).double()
    maps = class_activation_maps(net, ["relu"], lambda output: output, lambda network: network(clip)[:, 0].sum())
    torch.testing.assert_close(maps["gradcam"], brightness)
    torch.testing.assert_close(maps["hirescam"], brightness)
    alpha = 1 / (2 + brightness.sum())  # g = 1 everywhere
    torch.testing.assert_close(maps["gradcam++"], alpha * brightness.numel() * brightness)


def test_added_maps_keep_their_sums() -> None:
    coarse = torch.tensor([[[[6.0]], [[2.0]]]])  # (1, 2, 1, 1)
    fine = torch.tensor([[[[1.0]], [[0.0]], [[0.0]], [[3.0]]]])
    by_hand = torch.tensor([6.0, 5.0, 3.0, 2.0]) / 2  # a quarter of the way between two moments at a time
    torch.testing.assert_close(added([coarse.double(), fine.double()]).flatten(), (by_hand + fine.flatten()).double())
    torch.testing.assert_close(added([0 * fine.double(), coarse.double()]).sum(), torch.tensor(8.0).double())


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

    assert reacting_cells(net, run, clip, "NCTHW", layer="tokens", layout=right, cells=[cell]) == [cell]
    place = 4 * (2 * cell[1] + cell[2]) + cell[0]  # in the order h w t
    misread = (place // 6, place // 2 % 3, place % 2)
    assert reacting_cells(net, run, clip, "NCTHW", layer="tokens", layout=wrong, cells=[cell]) == [misread]
