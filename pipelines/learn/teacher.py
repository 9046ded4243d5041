"""A teacher whose maps and logits are computed once for each clip."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.cam.differentiable import differentiable_maps
from vidcam.cam.reshape import Reshape
from vidcam.devices import device_of
from vidcam.errors import InputError
from vidcam.pipelines.learn.distances import attention
from vidcam.spec import SpecifiedModel

ATTENTION = "attention"
"""Method of attention transfer: no gradient, the mean of A² over channels."""


@dataclass(frozen=True, slots=True)
class MapChoice:
    """Which map of a network is taken.

    Attributes:
        method: one of `differentiable_maps`, or `attention`; None for no map.
        layer: dotted name or module; None: the default.
        reshape: layer output → (N, D, t, h, w).
    """

    method: str | None
    layer: str | nn.Module | None = None
    reshape: Reshape | None = None

    def run(
        self, model: nn.Module | SpecifiedModel, clips: Tensor, targets: Tensor | None, *, create_graph: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Run a network; returns maps (N, t, h, w), None without a method, and logits (N, K)."""
        name = self.method
        found = differentiable_maps(
            model,
            clips,
            targets,
            methods=() if name is None or name == ATTENTION else name,
            layer=self.layer,
            reshape=self.reshape,
            create_graph=create_graph,
        )
        return attention(found.activations) if name == ATTENTION else found.maps.get(name or ""), found.logits


@dataclass(frozen=True, slots=True, eq=False)
class TeacherAnswer:
    """The map of a teacher, (N, t, h, w) or None, and its logits (N, K), without a graph."""

    maps: Tensor | None
    logits: Tensor

    def of(self, index: int) -> TeacherAnswer:
        """The answer for one clip, on the CPU, in memory of its own."""
        maps = None if self.maps is None else self.maps[index].cpu().clone()
        return TeacherAnswer(maps, self.logits[index].cpu().clone())


class Teacher:
    """A network that is only looked at. It is never trained and never changed.

    Args:
        model: the network, or a `Model`.
        choice: its map.
    """

    def __init__(self, model: nn.Module | SpecifiedModel, choice: MapChoice) -> None:
        self._model, self._choice = model, choice
        self._kept: dict[Hashable, TeacherAnswer] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def answer(
        self, clips: Tensor, targets: Tensor | None, keys: Sequence[Hashable] | Tensor | None, device: torch.device
    ) -> TeacherAnswer:
        """Return the answers for clips, computed or kept.

        Args:
            clips: (N, C, T, H, W), as the teacher takes them.
            targets: (N,) classes or (N, K) weights of classes; None for the predicted class.
            keys: N names of the clips; answers with the same key and target are kept. None: nothing is kept.
            device: where the answers are needed.

        Raises:
            InputError: another number of keys.
        """
        if keys is None:
            return _moved(self._computed(clips, targets), device)
        if len(keys) != len(clips):
            raise InputError(f"keys are {len(keys)}, the clips are {len(clips)}; pass one key for each clip")
        names = _names(keys, targets)
        missing = [index for index, name in enumerate(names) if name not in self._kept]
        if missing:
            computed = self._computed(clips[missing], None if targets is None else targets[missing])
            self._kept.update((names[index], computed.of(row)) for row, index in enumerate(missing))
        rows = [self._kept[name] for name in names]
        maps = [row.maps for row in rows if row.maps is not None]
        stacked = TeacherAnswer(torch.stack(maps) if maps else None, torch.stack([row.logits for row in rows]))
        return _moved(stacked, device)

    def keep(
        self, keys: Sequence[Hashable] | Tensor, targets: Tensor | None, maps: Tensor | None, logits: Tensor
    ) -> None:
        """Keep answers that were computed before, in another process perhaps; arguments as in `answer`."""
        answers = TeacherAnswer(maps, logits)
        self._kept.update((name, answers.of(row)) for row, name in enumerate(_names(keys, targets)))

    def _computed(self, clips: Tensor, targets: Tensor | None) -> TeacherAnswer:
        network: Any = self._model if isinstance(self._model, nn.Module) else self._model.module
        place = device_of(network)
        there = None if targets is None else targets.to(place)
        return TeacherAnswer(*self._choice.run(self._model, clips.to(place), there, create_graph=False))


def _moved(answer: TeacherAnswer, device: torch.device) -> TeacherAnswer:
    return TeacherAnswer(None if answer.maps is None else answer.maps.to(device), answer.logits.to(device))


def _names(keys: Sequence[Hashable] | Tensor, targets: Tensor | None) -> list[Hashable]:
    """Names of kept answers: the keys, with the target if there is one."""
    if targets is None:
        return [_hashable(key) for key in keys]
    return [(_hashable(key), _hashable(target)) for key, target in zip(keys, targets, strict=True)]


def _hashable(value: object) -> Hashable:
    """A number for a tensor of one number, a tuple for a row, anything else as it is."""
    numbers: Any = value.tolist() if isinstance(value, Tensor) else value
    return tuple(numbers) if isinstance(numbers, list) else numbers
