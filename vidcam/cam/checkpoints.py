"""Run checkpointed parts of a network directly.

`torch.utils.checkpoint` saves memory in training: it drops the activations of a part and runs the part again in the
backward pass. For a map that is wrong. A layer inside would run twice, and the reentrant kind cuts the graph. While a
network is explained, `checkpoint` calls its function and nothing else. Other threads are not affected.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch.utils.checkpoint

from vidcam.cam.evaluation import release

if TYPE_CHECKING:
    from vidcam.cam.preserve import Undo

_Place = tuple[type | ModuleType, str]

_threads: dict[object, int] = {}
"""One key for each explanation that goes on → its thread."""

_formers: dict[_Place, Any] = {}
"""What torch had at each place before; the class has inherited its `apply`, hence None there."""

_lock = threading.RLock()


def run_without_checkpoints(undo: Undo) -> None:
    """Let `torch.utils.checkpoint` only call its function, in this thread, until `undo`."""
    user = object()
    undo.add(partial(_leave, user))
    try:
        _lock.acquire()
        if not _threads:
            _formers.update((place, vars(place[0]).get(place[1])) for place, _ in _replacements())
        _threads[user] = threading.get_ident()
        for (owner, name), replacement in _replacements():
            setattr(owner, name, replacement)
    finally:
        release(_lock)


def _leave(user: object) -> None:
    """Put torch's own functions back after the last explanation. It may run twice."""
    try:
        _lock.acquire()
        if set(_threads) == {user}:
            for (owner, name), former in _formers.items():
                if former is not None:
                    setattr(owner, name, former)
                elif name in vars(owner):
                    delattr(owner, name)
        _threads.pop(user, None)
    finally:
        release(_lock)


def _replacements() -> Iterator[tuple[_Place, Callable[..., Any]]]:
    """Yield the functions of torch that `checkpoint` calls, and what replaces them."""
    yield (torch.utils.checkpoint.CheckpointFunction, "apply"), staticmethod(_apply)
    for name in ("_checkpoint_without_reentrant_generator", "_checkpoint_without_reentrant_generator_impl"):
        if hasattr(torch.utils.checkpoint, name):  # the second is called since torch 2.14
            yield (torch.utils.checkpoint, name), partial(_generate, name)


def _is_direct() -> bool:
    return threading.get_ident() in _threads.values()


def _apply(function: Callable[..., Any], preserve_random_state: object, *args: Any) -> Any:
    """`CheckpointFunction.apply`, of the reentrant kind."""
    if _is_direct():
        return function(*args)
    kind = torch.utils.checkpoint.CheckpointFunction
    former = _formers[kind, "apply"]
    former = super(kind, kind).apply if former is None else former.__get__(None, kind)
    return former(function, preserve_random_state, *args)


def _generate(name: str, *args: Any, **named: Any) -> Iterator[None]:
    """The generator that `checkpoint` runs around the function, of the other kind."""
    return _nothing() if _is_direct() else _formers[torch.utils.checkpoint, name](*args, **named)


def _nothing() -> Iterator[None]:
    """Do nothing before the function and nothing after it."""
    yield
