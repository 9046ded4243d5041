from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC
from tests.helpers.scoring import log_probability
from vidcam.errors import NonFiniteError
from vidcam.models.model import Model
from vidcam.pipelines.score.forwards import Key, MaskedForwards, is_out_of_memory


class Greedy(nn.Module):
    """Scores are sums over thirds of a clip; a batch of more than `most` clips is out of memory."""

    def __init__(self, most: int, message: str = "CUDA out of memory. Tried to allocate 2 GiB") -> None:
        super().__init__()
        self.most, self.message = most, message
        self.sizes: list[int] = []

    def forward(self, clip: Tensor) -> Tensor:
        self.sizes.append(len(clip))
        if len(clip) > self.most:
            raise RuntimeError(self.message)
        return clip.flatten(2).mean(dim=2)


def model(module: nn.Module) -> Model:
    return Model(TINY_SPEC, module, ("a", "b", "c"), "by hand")


def clip(number: int) -> Tensor:
    return torch.rand(3, 4, 16, 16, generator=torch.Generator().manual_seed(number))


def write(number: int, place: Tensor) -> None:
    place.copy_(clip(number))


def perturbations(count: int) -> Iterator[tuple[Key, Callable[[Tensor], None]]]:
    for number in range(count):
        yield (str(number),), partial(write, number)


def test_each_perturbation_gets_its_probability() -> None:
    module = Greedy(100)
    chosen = model(module)
    forwards = MaskedForwards(chosen, 4)
    found = forwards.run(perturbations(10), 1, "softmax")
    assert found == pytest.approx({(str(n),): log_probability(chosen, clip(n), 1) for n in range(10)})
    assert module.sizes[:3] == [4, 4, 2]
    assert (forwards.forwards, forwards.batch_size) == (10, 4)


def test_batches_are_made_one_at_a_time() -> None:
    made: list[int] = []

    def noted(number: int, place: Tensor) -> None:
        made.append(number)
        write(number, place)

    module = Greedy(100)
    module.register_forward_pre_hook(lambda *_: made.append(-1))
    MaskedForwards(model(module), 2).run(((("k", str(n)), partial(noted, n)) for n in range(4)), 0, "softmax")
    assert made == [0, 1, -1, 2, 3, -1]


def test_out_of_memory_halves_the_batch_size() -> None:
    module = Greedy(3)
    forwards = MaskedForwards(model(module), 8)
    found = forwards.run(perturbations(11), 0, "softmax")
    assert module.sizes == [8, 4, 2, 2, 2, 2, 2, 1]
    assert forwards.batch_size == 2
    assert forwards.forwards == 11
    assert found == MaskedForwards(model(Greedy(100)), 8).run(perturbations(11), 0, "softmax")


def test_a_single_clip_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        MaskedForwards(model(Greedy(0)), 8).run(perturbations(3), 0, "softmax")


def test_other_errors_pass_through() -> None:
    module = Greedy(3, "mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        MaskedForwards(model(module), 8).run(perturbations(5), 0, "softmax")
    assert module.sizes == [5]


def test_nonfinite_scores_are_an_error() -> None:
    broken: list[tuple[Key, Callable[[Tensor], object]]] = [(("a",), lambda place: place.fill_(float("nan")))]
    with pytest.raises(NonFiniteError, match="the logits of a masked clip contain NaN"):
        MaskedForwards(model(Greedy(9)), 1).run(broken, 0, "softmax")


class Corner(nn.Module):
    """Scores are a view of the clip itself."""

    def forward(self, clip: Tensor) -> Tensor:
        return clip[:, :, 0, 0, 0]


def test_scores_that_are_a_view_of_the_buffer_are_copied() -> None:
    chosen = model(Corner())
    found = MaskedForwards(chosen, 2).run(perturbations(5), 1, "softmax")
    assert found == pytest.approx({(str(n),): log_probability(chosen, clip(n), 1) for n in range(5)})


class Softmaxed(Greedy):
    """The same network with a final softmax."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip).softmax(dim=1)


def test_a_final_softmax_is_removed_in_every_batch() -> None:
    chosen = model(Greedy(100))
    found = MaskedForwards(model(Softmaxed(100)), 2).run(perturbations(7), 1, "softmax")
    assert found == pytest.approx({(str(n),): log_probability(chosen, clip(n), 1) for n in range(7)})


def test_all_messages_of_out_of_memory_are_recognised() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
