"""Contexts of an open pass through a network, which is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

from vidcam.cam.attribution import Attribution, open_attribution
from vidcam.cam.network import Input
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.record import ActivationRecorder, record_layers
from vidcam.cam.request import MapRequest
from vidcam.cam.state import same_state

Opened = TypeVar("Opened")


@contextmanager
def undone(enter: Callable[[Undo], Opened]) -> Iterator[Opened]:
    with Undo() as undo, undo:
        yield enter(undo)


@contextmanager
def record(network: nn.Module, layers: Sequence[str]) -> Iterator[ActivationRecorder]:
    with Undo() as undo, undo:
        preserve_model(network, undo)
        recorder = record_layers(network, layers, undo)
        with same_state(network, undo):
            yield recorder


@contextmanager
def attribution(network: nn.Module, clip: Input, request: MapRequest) -> Iterator[Attribution]:
    with Undo() as undo, undo:
        yield open_attribution(network, clip, request, undo)
