"""The layout of a reshaped layer: right orders pass, wrong ones are refused by name, and the answer is kept."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import count_forwards, random_clip, seeded
from vidcam.cam import probe
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.reshape import Reshape, channels_last, frames, in_turn, tokens
from vidcam.errors import LayerError

GRID = (4, 5, 6)


class TokenNet(nn.Module):
    """Two residual blocks over tokens in any order, from patches of 2 × 4 × 4, and a pooled head.

    `leak` adds the mean of all tokens to each, so that no cell stands out.
    """

    def __init__(self, *, order: str = "thw", class_tokens: int = 1, axes: str = "NLD", leak: float = 0.0) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv3d(3, 16, (2, 4, 4), (2, 4, 4)), nn.Parameter(torch.randn(class_tokens, 1, 16))
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(16, 2, 32, 0.0) for _ in range(2)])
        self.last, self.fc = nn.Identity(), nn.Linear(16, 4)
        self.order, self.axes, self.leak = order, axes, leak

    def forward(self, clip: Tensor) -> Tensor:
        cells = self.embed(clip).permute(*(2 + "thw".index(letter) for letter in self.order), 0, 1).flatten(0, 2)
        rows = torch.cat([self.token.expand(-1, len(clip), -1), cells])
        for block in self.blocks:
            rows = block(rows)
        rows = rows * (1 - self.leak) + self.leak * rows.mean(dim=0)
        rows = self.last(rows if self.axes == "LND" else rows.transpose(0, 1))
        scores: Tensor = self.fc(rows.mean(dim=self.axes.index("L")))
        return scores


def clip_of(batch: int = 1) -> Tensor:
    return random_clip(batch, 3, 8, 20, 24)


ORDERS = ["".join(letters) for letters in permutations("thw")]


@pytest.mark.parametrize("stated", ORDERS[1:])
def test_a_small_square_grid_hides_no_order(stated: str) -> None:
    """On 4 × 4 × 4 some orders put a cell next to its place."""
    net, clip = seeded(TokenNet), random_clip(1, 3, 8, 16, 16)
    with pytest.raises(LayerError, match="look ordered 'thw'"):
        explain(net, clip, layer="last", reshape=tokens((4, 4, 4), order=stated))
    assert not any("verified" in note for note in explain(net, clip, layer="last", reshape=tokens((4, 4, 4))).notes)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("stated", ORDERS)
def test_only_the_order_of_the_tokens_passes(order: str, stated: str) -> None:
    net, reshape = seeded(TokenNet, order=order), tokens(GRID, order=stated)
    if order == stated:
        assert not any("verified" in note for note in explain(net, clip_of(), layer="last", reshape=reshape).notes)
    else:
        with pytest.raises(
            LayerError, match=rf"ordered '{order}', not '{stated}'; use tokens\(\.\.\., order='{order}'"
        ):
            explain(net, clip_of(), layer="last", reshape=reshape)


def test_an_axis_of_one_cell_hides_no_order() -> None:
    """Of (1, 5, 6) 'twh', 'wth' and 'wht' are one order."""
    with pytest.raises(LayerError, match="look ordered 'thw', not 'twh'"):
        explain(seeded(TokenNet), random_clip(1, 3, 2, 20, 24), layer="last", reshape=tokens((1, 5, 6), order="wht"))


@pytest.mark.parametrize("value", [0.0, 114.0, -3.0])
def test_a_flat_clip_is_enough(value: float) -> None:
    clip = torch.full_like(clip_of(), value)
    net = seeded(TokenNet, order="hwt")
    explain(net, clip, layer="last", reshape=tokens(GRID, order="hwt"))
    with pytest.raises(LayerError, match="ordered 'hwt'"):
        explain(net, clip, layer="last", reshape=tokens(GRID))


@pytest.mark.parametrize("class_tokens", [0, 1, 3])
@pytest.mark.parametrize("axes", ["NLD", "LND"])
def test_class_tokens_and_sequence_first(class_tokens: int, axes: str) -> None:
    net = seeded(TokenNet, class_tokens=class_tokens, axes=axes, order="hwt")
    reshape = tokens(GRID, class_tokens=class_tokens, axes=axes, order="hwt")  # type: ignore[arg-type]
    assert explain(net, clip_of(2), layer="last", reshape=reshape).notes == ()
    wrong = tokens(GRID, class_tokens=class_tokens, axes=axes)  # type: ignore[arg-type]
    with pytest.raises(LayerError, match="ordered"):
        explain(net, clip_of(2), layer="last", reshape=wrong)


def test_a_users_own_reshape_is_checked_too() -> None:
    net = seeded(TokenNet, order="hwt", class_tokens=0)

    def right(output: Tensor) -> Tensor:
        return output.transpose(1, 2).reshape(-1, 16, 5, 6, 4).permute(0, 1, 4, 2, 3)

    def turned(output: Tensor) -> Tensor:
        return right(output).flip(2)

    assert explain(net, clip_of(), layer="last", reshape=right).notes == ()
    with pytest.raises(LayerError, match=r"the layout is wrong; its cells look ordered 'hwt'; use"):
        explain(net, clip_of(), layer="last", reshape=turned)


def test_a_note_where_no_cell_stands_out() -> None:
    result = explain(seeded(TokenNet, leak=1.0), clip_of(), layer="last", reshape=tokens(GRID))
    assert [note for note in result.notes if note.startswith("Layout not verified: at layer 'last'")] != []


def test_the_check_costs_one_forward_once() -> None:
    net, clip = seeded(TokenNet), clip_of()
    forwards = count_forwards(net)
    for expected in (2, 3, 4):  # the first is checked
        explain_each(net, clip, [0, 1], layer="last", reshape=tokens(GRID))
        assert forwards.total() == expected
    explain(net, random_clip(3, 3, 8, 20, 24), layer="last", reshape=tokens(GRID))  # another batch size
    assert forwards.total() == 5
    explain(net, clip, layer="blocks.1", reshape=tokens(GRID, axes="LND"))  # another layer
    assert forwards.total() == 7


def test_a_refusal_costs_two_forwards_once() -> None:
    net, clip = seeded(TokenNet, order="hwt"), clip_of()
    forwards = count_forwards(net)
    for expected in (3, 4):
        with pytest.raises(LayerError, match="ordered 'hwt'"):
            explain(net, clip, layer="last", reshape=tokens(GRID))
        assert forwards.total() == expected


def test_the_answer_dies_with_the_network() -> None:
    net = seeded(TokenNet)
    explain(net, clip_of(), layer="last", reshape=tokens(GRID))
    assert net in probe._verdicts
    count = len(probe._verdicts)
    del net
    gc.collect()
    assert len(probe._verdicts) < count


def test_threads_share_the_answer() -> None:
    nets, clip = [seeded(TokenNet) for _ in range(4)], clip_of()
    for net in nets:
        explain(net, clip, layer="last", reshape=tokens(GRID))

    def maps(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return explain(nets[index % 4], clip, layer="last", reshape=tokens(GRID)).volumes["gradcam"]

    expected = maps(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(maps, range(4)))


class ChannelsLast(nn.Module):
    """A convolution with overlapping kernels, its output (N, t, h, w, D), or folded (N·T, D, h, w)."""

    def __init__(self, *, folded: bool = False) -> None:
        super().__init__()
        kernel, stride = ((1, 5, 5), (1, 4, 4)) if folded else ((3, 7, 7), (2, 4, 4))
        padding = (0, 2, 2) if folded else (1, 3, 3)
        self.conv, self.last, self.fc = nn.Conv3d(3, 8, kernel, stride, padding), nn.Identity(), nn.Linear(8, 3)
        self.folded = folded

    def forward(self, clip: Tensor) -> Tensor:
        features = self.conv(clip).relu()
        if self.folded:
            rows = self.last(features.transpose(1, 2).flatten(0, 1)).flatten(2).mean(2).unflatten(0, (len(clip), -1))
            scores: Tensor = self.fc(rows.mean(dim=1))
        else:
            scores = self.fc(self.last(features.movedim(1, -1)).flatten(1, 3).mean(dim=1))
        return scores


@pytest.mark.parametrize(
    ("folded", "reshape", "is_right"),
    [
        (False, channels_last, True),
        (False, lambda output: output.movedim(-1, 1).transpose(-1, -2), False),
        (True, frames(8), True),
        (True, lambda output: output.unflatten(0, (8, -1)).permute(1, 2, 0, 3, 4).flip(2), False),
    ],
)
def test_overlapping_kernels_and_frames(folded: bool, reshape: Reshape, is_right: bool) -> None:
    net, clip = seeded(ChannelsLast, folded=folded), random_clip(1, 3, 8, 24, 24)
    if is_right:
        assert explain(net, clip, layer="last", reshape=reshape).notes == ()
    else:
        with pytest.raises(LayerError, match="the layout is wrong"):
            explain(net, clip, layer="last", reshape=reshape)


class PerFrame(nn.Module):
    """Tokens of single frames, (L, N·T, D) as in UniFormerV2."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.last, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Identity(), nn.Linear(8, 3)

    def forward(self, clip: Tensor) -> Tensor:
        images = self.embed(clip.transpose(1, 2).flatten(0, 1)).flatten(2).permute(2, 0, 1)
        rows = self.last(torch.cat([images[:1], images]))
        scores: Tensor = self.fc(rows.mean(0)).unflatten(0, (len(clip), -1)).mean(1)
        return scores


def test_tokens_of_single_frames_sequence_first() -> None:
    clip = random_clip(2, 3, 4, 20, 24)
    right = in_turn([tokens((5, 6), axes="LND"), frames(4)])
    assert explain(seeded(PerFrame), clip, layer="last", reshape=right).notes == ()
    swapped = in_turn([tokens((5, 6), axes="LND", order="wh"), frames(4)])
    with pytest.raises(LayerError, match="the layout is wrong"):
        explain(seeded(PerFrame), clip, layer="last", reshape=swapped)


@pytest.mark.parametrize("grid", [(4, 7, 7), (8, 14, 14), (2, 7, 7), (8, 8, 8), (1, 7, 7), GRID])
def test_the_chosen_cells_tell_all_orders_apart(grid: tuple[int, ...]) -> None:
    ranks = probe.ranks_of("thw", grid)
    rivals = probe.other_orders(ranks)
    for cell in probe.chosen_cells(ranks, rivals):
        for other in rivals.values():
            seen = np.unravel_index(int((ranks == other[cell]).argmax()), grid)
            assert max(abs(a - b) for a, b in zip(seen, cell, strict=True)) > 1
