"""Evaluation mode for several explanations at once, in several threads perhaps, of models that may share modules."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import nn

from vidcam.devices import is_on_cudnn


class Lock(Protocol):
    """A lock of `threading`."""

    def release(self) -> None:
        """Release it once; a RuntimeError if this thread does not hold it."""


@dataclass(slots=True)
class _Former:
    """What a module was before the first explanation that uses it.

    Attributes:
        module: the module, alive as long as it is used.
        is_training: its training flag.
        dropout: dropout of a recurrent layer; None for other modules.
        users: one object for each explanation that goes on.
    """

    module: nn.Module
    is_training: bool
    dropout: float | None
    users: set[object] = field(default_factory=set)


_formers: dict[int, _Former] = {}
_lock = threading.RLock()


def enter_evaluation(modules: Sequence[nn.Module], user: object) -> None:
    """Set the evaluation mode. If an interrupt keeps the lock from being released, `leave_evaluation` releases it."""
    try:
        _lock.acquire()
        for module in modules:
            if id(module) not in _formers:
                dropout = module.dropout if isinstance(module, nn.RNNBase) else None
                _formers[id(module)] = _Former(module, module.training, dropout, {user})
            _formers[id(module)].users.add(user)
            module.training = False
            if isinstance(module, nn.RNNBase) and is_on_cudnn(module):  # its backward exists in training only;
                module.dropout, module.training = 0.0, True  # without dropout the output is the same
    finally:
        release(_lock)


def leave_evaluation(modules: Sequence[nn.Module], user: object) -> None:
    """Put back the flags of modules that no other explanation uses. It may run twice."""
    try:
        _lock.acquire()
        for module in modules:
            former = _formers.get(id(module))
            if former is None:
                continue
            former.users.discard(user)
            if former.users:
                continue
            module.training = former.is_training
            if isinstance(module, nn.RNNBase) and former.dropout is not None:
                module.dropout = former.dropout
            del _formers[id(module)]
    finally:
        release(_lock)


def release(lock: Lock) -> None:
    """Release a lock as often as this thread holds it."""
    with contextlib.suppress(RuntimeError):  # it does not hold it any more
        while True:
            lock.release()
