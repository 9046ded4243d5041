from __future__ import annotations

import numpy as np
import pytest
import torch

from vidcam.cam.audit import audit_alpha, correlation, find_sink, sink_share
from vidcam.cam.methods import METHODS
from vidcam.cam.volume import combine


def test_alpha_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]]).view(1, 2, 1, 1, 3)  # ΣA = 3, 4
    g = torch.tensor([[1.0, -1.0, 0.0], [0.5, 2.0, 0.0]]).view(1, 2, 1, 1, 3)
    volumes = [combine(METHODS[name](a, g), a) for name in ("gradcam+", "gradcam++")]
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
