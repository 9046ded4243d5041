from __future__ import annotations

import numpy as np
import pytest
import torch

from vidcam.cam.audit import MOST_POSITIONS, audit_alpha, correlation, find_sink
from vidcam.cam.volume import combine
from vidcam.cam.weights import gradcam_plus_weights, gradcam_pp_weights
from vidcam.results.explanation import Sink, sink_share


def test_alpha_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]]).view(1, 2, 1, 1, 3)  # ΣA = 3, 4
    g = torch.tensor([[1.0, -1.0, 0.0], [0.5, 2.0, 0.0]]).view(1, 2, 1, 1, 3)
    volumes = [combine(weights(a, g), a) for weights in (gradcam_plus_weights, gradcam_pp_weights)]
    audit = audit_alpha(a, g, *volumes)
    assert audit.positive[0, [0, 2, 4]].tolist() == pytest.approx([1 / 10, 1 / 5, 1 / 4])
    assert audit.nonzero[0, [0, 1, 3, 4]].tolist() == pytest.approx([-1, 1 / 10, 1 / 5, 1 / 4])
    assert audit.product[0, [0, 1, 3, 4]].tolist() == pytest.approx([-3, 2, 3, 8])
    assert audit.guarded.tolist() == [0.0]
    assert audit.uniform.tolist() == [False]
    expected = np.corrcoef(volumes[0].flatten().numpy(), volumes[1].flatten().numpy())[0, 1]
    np.testing.assert_allclose(audit.agreement, [expected])


def test_the_guard_is_counted_among_positive_gradients() -> None:
    a = torch.tensor([-2.0, 0.0, 0.0]).view(1, 1, 3)  # ΣA = -2
    g = torch.tensor([1.0, 0.5, -1.0]).view(1, 1, 3)  # ΣA·g = -2, -1, 2
    volume = torch.zeros(1, 3)
    audit = audit_alpha(a, g, volume, volume)
    assert audit.guarded.tolist() == [0.5]
    assert audit.positive[0].tolist() == [1.0, 1.0, 1.0, np.inf, np.inf]  # unguarded: the pole itself


def test_a_clip_without_gradient_has_no_numbers() -> None:
    zero = torch.zeros(1, 2, 1, 2, 2)
    audit = audit_alpha(zero, zero, zero[:, 0], zero[:, 0])
    assert np.isnan(audit.positive).all()
    assert np.isnan(audit.agreement).all()
    assert audit.guarded.tolist() == [0.0]


def test_correlation() -> None:
    first = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    second = np.array([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
    np.testing.assert_allclose(correlation(first, second), [1.0, -1.0, np.nan], atol=1e-12)


def _grid(**loud: float) -> torch.Tensor:
    a = torch.full((1, 2, 2, 7, 7), 5.0)
    for place, value in loud.items():
        t, h, w = (int(digit) for digit in place[1:])
        a[0, 0, t, h, w] = value
    return a


def test_a_sink_is_the_loudest_cells_of_the_grey_clip() -> None:
    sink = find_sink(_grid(_116=3700.0, _106=3200.0, _166=100.0))
    assert sink is not None
    assert sink.cells == ((1, 1, 6), (1, 0, 6))
    assert (sink.value, sink.median) == (3705.0, 10.0)


def test_a_sink_that_is_the_same_at_all_times() -> None:
    sink = find_sink(_grid(_006=3700.0, _106=3700.0))
    assert sink is not None
    assert sink.cells == ((0, 0, 6), (1, 0, 6))


def test_a_tiny_sink_is_a_sink() -> None:
    sink = find_sink(_grid(_116=3700.0) * 1e-12)
    assert sink is not None
    assert sink.cells == ((1, 1, 6),)


@pytest.mark.parametrize(
    "activations",
    [
        _grid(),
        _grid(_000=6.0),  # 11 against 10: the maximum, but it does not stand out
        -_grid(_000=9.0),
        torch.ones(1, 3, 1, 1, 1),
        torch.eye(5).view(1, 1, 1, 5, 5) + 0.01,  # a fifth of the grid
    ],
)
def test_no_sink_where_nothing_stands_out(activations: torch.Tensor) -> None:
    assert find_sink(activations) is None


def test_share_of_the_maps_that_peak_in_the_sink() -> None:
    sink = find_sink(_grid(_116=3700.0, _106=3200.0))
    assert sink is not None
    volumes = np.zeros((4, 2, 7, 7), dtype=np.float32)
    volumes[0, 1, 1, 6] = volumes[1, 1, 0, 6] = volumes[2, 0, 1, 6] = 1.0  # two in it, one beside it, one empty
    assert sink_share(volumes, sink) == 0.5


def test_quartiles_come_from_the_whole_clip_and_not_from_its_beginning() -> None:
    """g rises from the first position to the last: the first eighth alone would have other quartiles."""
    count = 8 * MOST_POSITIONS
    g = torch.linspace(0.001, 8, count, dtype=torch.float64).view(1, 1, 8, 256, -1)
    a = torch.zeros_like(g)
    a[0, 0, 0, 0, 0] = 1.0
    audit = audit_alpha(a, g, g[:, 0], g[:, 0])
    assert audit.product[0].tolist() == pytest.approx([0.001, 2, 4, 6, 8], rel=1e-3)
    assert audit.positive[0].tolist() == pytest.approx([1 / 10, 1 / 8, 1 / 6, 1 / 4, 1 / 2.001], rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 99, 1000])
def test_quartiles_are_those_that_numpy_calls_nearest(count: int) -> None:
    g = torch.randn(1, 1, count, 1, 1, generator=torch.Generator().manual_seed(count))
    product = audit_alpha(torch.ones_like(g) / count, g, g[:, 0], g[:, 0]).product[0]
    sums = g.numpy() * float((torch.ones_like(g) / count).sum())
    expected = np.quantile(sums, (0, 0.25, 0.5, 0.75, 1), method="nearest")
    assert product.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_the_extremes_are_those_of_all_positions() -> None:
    g = torch.full((1, 1, 2, 512, 512), 1.0)
    a = torch.zeros_like(g)
    a[0, 0, 0, 0, 0] = 1.0
    g[0, 0, 0, 0, 1], g[0, 0, 1, 7, 3] = 0.25, 6.0  # neither on the subsample's grid
    assert g.numel() >= 2 * MOST_POSITIONS
    assert audit_alpha(a, g, g[:, 0], g[:, 0]).product[0].tolist() == [0.25, 1.0, 1.0, 1.0, 6.0]


def test_the_guard_acts_at_one_in_ten_thousand() -> None:
    """Floor 1e-4 · (2 + |ΣA·g|), which is 4e-4 near the pole."""
    a = torch.tensor([-1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 5)
    g = torch.tensor([2 + 3e-4, 2 - 3e-4, 2 + 5e-4, 2 - 5e-4, 1.0], dtype=torch.float64).view(1, 1, 5)
    assert audit_alpha(a, g, g[:, 0], g[:, 0]).guarded.tolist() == pytest.approx([2 / 5])


def test_agreement_is_of_the_two_methods_given() -> None:
    zero = torch.zeros(3, 1, 1, 2, 2)
    plus = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 3).view(3, 1, 2, 2)
    plus_plus = torch.tensor([[4.0, 3.0, 2.0, 1.0], [2.0, 4.0, 6.0, 8.0], [1.0, 0.0, 0.0, 1.0]]).view(3, 1, 2, 2)
    np.testing.assert_allclose(audit_alpha(zero, zero, plus, plus_plus).agreement, [-1.0, 1.0, 0.0], atol=1e-12)


def test_uniform_is_told_clip_by_clip() -> None:
    g = torch.ones(2, 2, 1, 2, 2)
    g[:, 1] = 3.0
    g[1, 1, 0, 1, 1] = 3.5
    assert audit_alpha(g, g, g[:, 0], g[:, 0]).uniform.tolist() == [True, False]


def _line(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, 1, -1)


@pytest.mark.parametrize(("top", "stands_out"), [(5.9, False), (6.0, False), (6.1, True), (-2.0, False)])
def test_a_sink_stands_three_times_above_the_median(top: float, stands_out: bool) -> None:
    assert (find_sink(_line(top, *[2.0] * 20)) is not None) == stands_out


@pytest.mark.parametrize(("top", "stands_out"), [(0.9, False), (1.0, False), (1.1, True)])
def test_below_zero_too_the_sink_rises_by_twice_the_medians_size(top: float, stands_out: bool) -> None:
    assert (find_sink(_line(top, *[-1.0] * 20)) is not None) == stands_out


def test_loud_is_what_rises_half_as_far_as_the_loudest() -> None:
    """Median 0, top 8: 4 is the half, and in; 3.9 is out."""
    sink = find_sink(_line(4.0, 3.9, 8.0, 2.0, *[0.0] * 40))
    assert sink is not None
    assert sink.cells == ((0, 0, 2), (0, 0, 0))


@pytest.mark.parametrize(("loud", "is_sink"), [(1, True), (2, True), (3, False), (4, False), (9, False)])
def test_at_most_a_tenth_of_the_grid_is_a_sink(loud: int, is_sink: bool) -> None:
    assert (find_sink(_line(*[9.0] * loud, *[1.0] * (20 - loud))) is not None) == is_sink


def test_one_cell_of_a_small_grid_may_be_a_sink() -> None:
    sink = find_sink(_line(1.0, 9.0, 1.0))
    assert sink == Sink(((0, 0, 1),), 9.0, 1.0)


def test_empty_maps_peak_nowhere_even_where_the_sink_is_the_first_cell() -> None:
    sink = Sink(((0, 0, 0),), 9.0, 1.0)
    volumes = np.zeros((4, 1, 2, 2), dtype=np.float32)
    volumes[0, 0, 0, 0] = volumes[1, 0, 1, 1] = 1.0
    assert sink_share(volumes, sink) == 0.25
    assert sink_share(volumes[2:], sink) == 0.0
