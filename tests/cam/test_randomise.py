from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import pytest
import torch
from torch import nn

from tests.helpers.nets import HiddenHead, PooledHead, seeded
from tests.helpers.passes import undone
from vidcam.cam.randomise import randomise, weighted_layers


def randomised(model: nn.Module, layers: Sequence[str], *, seed: int) -> AbstractContextManager[None]:
    return undone(lambda undo: randomise(model, layers, undo, seed=seed))


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model: nn.Module, before: dict[str, torch.Tensor]) -> list[str]:
    return [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]


def test_layers_with_weights_in_order() -> None:
    assert weighted_layers(seeded(HiddenHead)) == ("conv", "hidden", "out")
    assert weighted_layers(seeded(PooledHead)) == ("block1.0", "block2.1", "fc")


def test_only_the_named_layers_change_until_undo() -> None:
    model = seeded(HiddenHead)
    before = state(model)
    with randomised(model, ("hidden",), seed=0):
        assert changed(model, before) == ["hidden.weight", "hidden.bias"]
    assert changed(model, before) == []


def test_new_weights_have_the_mean_and_deviation_of_the_old() -> None:
    model = seeded(HiddenHead)
    before = state(model)
    with randomised(model, ("hidden",), seed=0):
        new, old = model.get_parameter("hidden.weight").detach(), before["hidden.weight"]
        assert float(new.mean()) == pytest.approx(float(old.mean()), abs=4 * float(old.std()) / old.numel() ** 0.5)
        assert float(new.std()) == pytest.approx(float(old.std()), rel=0.15)


def test_weights_do_not_depend_on_the_other_layers() -> None:
    model = seeded(HiddenHead)
    drawn = []
    for layers, seed in ((("out",), 0), (("out", "conv"), 0), (("out",), 1)):
        with randomised(model, layers, seed=seed):
            drawn.append(state(model)["out.weight"])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_shared_weights_are_restored() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    before = state(model)
    with randomised(model, ("0", "1"), seed=0):
        pass
    assert changed(model, before) == []


def test_weights_are_restored_after_an_exception() -> None:
    model = seeded(HiddenHead)
    before = state(model)

    def fail() -> None:
        with randomised(model, ("conv", "out"), seed=0):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert changed(model, before) == []


def test_a_single_number_does_not_change() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    before = state(model)
    with randomised(model, ("0",), seed=0):
        assert changed(model, before) == []
