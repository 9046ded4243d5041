"""The axes of a clip in the order in which a network takes them: 'NCTHW', 'NTCHW', 'N(TC)HW'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar

from vidcam.errors import ShapeError

Tensor = TypeVar("Tensor")
"""A `torch.Tensor`, which the description of a model must not import."""

CANONICAL = "NCTHWL"
"""The order of the axes in which maps are made: clips, channels, frames, rows, columns; L of a signal."""

COLOURS = 3
"""Channels of a frame, where frames and channels share an axis."""

_SHARED = ("NT", "TC", "CT")


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of a clip.

    Attributes:
        text: a letter for each axis: N clips, C channels, T frames, H rows, W columns, or L samples of a signal.
            Brackets hold two letters that share an axis, the second the faster one: row n·T + t of '(NT)CHW' is
            frame t of clip n. A clip without C has one channel.
        frames: T of '(NT)CHW', which no clip shows; None: not known yet.

    Raises:
        ShapeError: the text names no such axes.
    """

    text: str
    frames: int | None = None

    def __post_init__(self) -> None:
        letters, shared = self.letters, re.findall(r"\((.*?)\)", self.text)
        is_text = re.fullmatch(r"(?:[NCTHWL]|\([NTC]{2}\))+", self.text) is not None
        is_known = is_text and set(shared) <= {*_SHARED} and "N" in letters and len({*letters}) == len(letters)
        if not is_known or not {*letters} & {*"THWL"} or ("L" in letters and {*letters} & {*"THW"}):
            raise ShapeError(f"axes is {self.text!r}; name N, C, T, H and W in their order, such as 'NTCHW'")

    @property
    def letters(self) -> str:
        """The letters without brackets."""
        return self.text.replace("(", "").replace(")", "")

    @property
    def order(self) -> str:
        """The letters in canonical order."""
        return "".join(letter for letter in CANONICAL if letter in self.letters)

    @property
    def shared(self) -> str:
        """The letters that share an axis, or ''."""
        found = re.search(r"\((.*?)\)", self.text)
        return found[1] if found else ""

    @property
    def is_canonical(self) -> bool:
        """Whether clips are as maps need them."""
        return self.text == self.order and "C" in self.text

    @property
    def count(self) -> int:
        """How many axes a clip has."""
        return len(re.findall(r"\(..\)|.", self.text))

    @property
    def without_time(self) -> Axes:
        """The same clip taken as images, where frames share an axis with clips or channels."""
        return Axes(self.text.replace(f"({self.shared})", self.shared.replace("T", ""))) if self.shared else self

    def known_with(self, frames: int) -> Axes:
        """The axes, with T where no clip shows it."""
        return replace(self, frames=frames) if self.shared == "NT" else self

    def view(self, clip: Tensor) -> Tensor:
        """View a clip as (N, C, T, H, W), without T, H or W where it has none.

        Raises:
            ShapeError: the clip has other axes.
        """
        given: Any = clip
        if given.ndim != self.count:
            raise ShapeError(f"clip is {tuple(given.shape)}, but axes {self.text!r} are {self.count}")
        if self.is_canonical:
            return clip
        apart = given.reshape(self._sizes(given.shape)) if self.shared else given
        view = apart.permute([self.letters.index(letter) for letter in self.order])
        result: Tensor = view if "C" in self.letters else view.unsqueeze(1)
        return result

    def restore(self, view: Tensor) -> Tensor:
        """Bring (N, C, T, H, W) to these axes; undoes `view`."""
        if self.is_canonical:
            return view
        given: Any = view
        inner = given if "C" in self.letters else given.squeeze(1)
        apart = inner.permute([self.order.index(letter) for letter in self.letters])
        sizes = dict(zip(self.letters, apart.shape, strict=True))
        shape = [prod(sizes[letter] for letter in group.strip("()")) for group in self._groups]
        result: Tensor = apart.reshape(shape) if self.shared else apart
        return result

    def unfolded(self, features: Tensor) -> Tensor:
        """Give a layer's output a time axis, where it has none because frames share an axis: (N, D, t, h, w).

        Frames that are rows of the batch become time. Of frames that are channels one map serves all: t = 1.
        """
        given: Any = features
        if not self.shared or given.ndim != self.count:
            return features
        if self.shared == "NT" and (not self.frames or given.shape[0] % self.frames):
            return features
        apart = given.unflatten(0, (-1, self.frames)) if self.shared == "NT" else given.unsqueeze(1)
        result: Tensor = apart.transpose(1, 2)
        return result

    @property
    def _groups(self) -> list[str]:
        return re.findall(r"\(..\)|.", self.text)

    def _sizes(self, shape: Sequence[int]) -> list[int]:
        """The size of each letter's axis, in the order of `letters`, of a clip of this shape."""
        sizes: list[int] = []
        for group, size in zip(self._groups, shape, strict=True):
            fast = (self.frames or 1) if "N" in group else COLOURS
            if len(group) > 1 and size % fast:
                what = "frames" if "N" in group else "channels"
                raise ShapeError(f"clip is {tuple(shape)}; axes {self.text!r} need a multiple of {fast} {what}")
            sizes += [size] if len(group) == 1 else [fast, size // fast] if group == "(CT)" else [size // fast, fast]
        return sizes
