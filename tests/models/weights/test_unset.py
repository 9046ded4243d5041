"""Building a network without initial values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vidcam.models.builtin import BUILT_IN
from vidcam.models.registry import load_model
from vidcam.models.weights.unset import UnsetParameters


class Counted(nn.Module):
    """Writes into its weight and its buffer as networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("steps", torch.zeros(3))
        nn.init.normal_(self.weight)
        nn.init.trunc_normal_(self.weight)
        nn.init.constant_(self.weight, 5.0)
        assert isinstance(self.steps, Tensor)
        self.steps.fill_(7.0)


def test_parameters_are_not_written_and_buffers_are() -> None:
    with UnsetParameters():
        net = Counted()
    assert net.weight.tolist() == [0.0, 0.0, 0.0]
    assert net.get_buffer("steps").tolist() == [7.0, 7.0, 7.0]
    assert Counted().weight.tolist() == [5.0, 5.0, 5.0]


def test_no_random_number_is_drawn() -> None:
    state = torch.get_rng_state()
    with UnsetParameters():
        nn.Sequential(nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.Linear(4, 2))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "name", ["tiny_r3d", "tiny_c3d", "tiny_vit", "tiny_vit_cls", "tiny_gap", "tiny_vgg", "tiny_captioner"]
)
def test_a_loaded_model_has_no_unset_value(name: str) -> None:
    loaded, built = load_model(name).module.state_dict(), BUILT_IN[name].build().state_dict()
    assert list(loaded) == list(built)
    again = load_model(name).module.state_dict()
    for key, tensor in loaded.items():
        assert torch.equal(tensor, again[key])
        assert torch.isfinite(tensor).all()
