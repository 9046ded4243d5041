"""Leave a model exactly as it was, even after Ctrl-C at any moment: training flags, hooks, random state, thread modes.

Before each change, the step that reverts it is added to an `Undo`. A step may run twice, so an interrupt in the middle
of one does no harm.

    with Undo() as undo, undo:
        preserve_model(model, undo)

The `Undo` is entered twice because Python may raise KeyboardInterrupt as it calls `__exit__`, before its first
statement. The second `__exit__` then runs the remaining steps.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vidcam.cam.checkpoints import run_without_checkpoints
from vidcam.cam.evaluation import enter_evaluation, leave_evaluation, release
from vidcam.devices import restore_random_state

MAX_TRIES = 3
"""A step that fails this often was not just interrupted: it is skipped."""

_COMPILED = "OptimizedModule"

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]
PreHook = Callable[[nn.Module, tuple[Any, ...]], Any]


class Undo:
    """Steps that revert changes, the last change first."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def add(self, step: Callable[[], object]) -> None:
        """Add a step before the change that it reverts. It may run twice, or without the change."""
        self._steps.append(step)

    def add_hook(self, module: nn.Module, hook: Hook) -> None:
        """Register a forward hook that sees this thread's calls alone."""
        self._insert(module._forward_hooks, _ThreadHook(hook))  # noqa: SLF001

    def add_pre_hook(self, module: nn.Module, hook: PreHook) -> None:
        """Register a forward pre-hook that sees this thread's calls alone."""
        self._insert(module._forward_pre_hooks, _ThreadHook(hook))  # noqa: SLF001

    def _insert(self, hooks: dict[int, Any], own: _ThreadHook) -> None:
        """Insert a hook without torch's handle: its numbers, from 0 up, may be given out twice by two threads."""
        self.add(lambda: hooks.pop(-id(own), None))
        hooks[-id(own)] = own

    def run(self) -> None:
        """Run the steps. An interrupted step runs again; the interrupt is raised after the last step."""
        raised: BaseException | None = None
        tries = 0
        while self._steps:
            try:
                self._steps[-1]()
            except BaseException as exc:
                raised, tries = exc, tries + 1
                if tries < MAX_TRIES:
                    continue
            self._steps.pop()
            tries = 0
        if raised is not None:
            raise raised

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _raised: object, traceback: TracebackType | None) -> None:
        _close_suspended_contexts(traceback)
        self.run()


class FunctionMode(TorchFunctionMode):
    """A mode that restores torch's stack of modes as it was, even if an interrupt has left other modes on it."""

    def __enter__(self) -> Self:
        self._modes_before = _function_modes()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        _set_function_modes(self._modes_before)
        self._modes_before = []  # a graph may hold this mode; it must not hold the other modes and their tensors


class NoAutocast:
    """Turn autocast off on a device type. After an interrupt `preserve_model` restores the setting."""

    def __init__(self, device_type: str) -> None:
        self._device_type = device_type
        self._was_enabled = torch.is_autocast_enabled(device_type)

    def __enter__(self) -> None:
        torch.set_autocast_enabled(self._device_type, False)  # noqa: FBT003

    def __exit__(self, *_: object) -> None:
        torch.set_autocast_enabled(self._device_type, self._was_enabled)


def preserve_model(model: nn.Module, undo: Undo) -> None:
    """Switch a model to evaluation mode and gradients off in this thread; `undo` reverts both.

    Every module is switched: batch normalisation would mix the clips of a batch and change its running statistics, and
    dropout would make the map random. The autocast cache is off: it would keep weights cast without a graph and break
    the caller's training. Compiled parts run uncompiled, because compiled code ignores hooks that are added later.
    Checkpointed parts run once.

    Args:
        model: without wrappers; see `unwrapped`.
        undo: receives the steps that restore training flags, random state, grad and inference mode, autocast, the stack
            of torch's function modes and the compiler's stance.
    """
    _add_thread_state(model, undo)
    user, modules = object(), list(model.modules())
    undo.add(partial(leave_evaluation, modules, user))
    if any(is_compiled(module) for module in modules):
        run_uncompiled(undo)
    run_without_checkpoints(undo)
    torch.set_autocast_cache_enabled(False)
    enter_evaluation(modules, user)
    if torch.is_inference_mode_enabled():
        modes: list[Any] = []
        undo.add(partial(_exit_modes, modes))
        modes.append(torch._C._InferenceMode(False))  # noqa: FBT003, SLF001 – torch.inference_mode cannot exit twice
        modes[0].__enter__()  # does nothing in this torch: the constructor has entered the mode
    torch.set_grad_enabled(False)


_uncompiled: set[object] = set()
_former_stances: list[Any] = []
_lock = threading.RLock()


def run_uncompiled(undo: Undo) -> None:
    """Run compiled parts as plain Python until `undo`, of the last thread that needs it: the stance is global."""
    from torch._dynamo import eval_frame

    user = object()
    undo.add(partial(_leave_uncompiled, user, eval_frame))
    try:
        _lock.acquire()
        if not _uncompiled:
            _former_stances[:] = [eval_frame._stance]  # noqa: SLF001 – torch has no public way
        _uncompiled.add(user)
        torch.compiler.set_stance("force_eager")
    finally:
        release(_lock)


def _leave_uncompiled(user: object, eval_frame: Any) -> None:
    """Put the stance back if no other thread needs it. It may run twice."""
    try:
        _lock.acquire()
        if _uncompiled == {user}:
            eval_frame._set_stance(_former_stances[0])  # noqa: SLF001
        _uncompiled.discard(user)
    finally:
        release(_lock)


def _add_thread_state(model: nn.Module, undo: Undo) -> None:
    undo.add(partial(torch.set_grad_enabled, torch.is_grad_enabled()))
    undo.add(partial(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled()))
    for device_type in sorted({"cpu", *(parameter.device.type for parameter in model.parameters())}):
        if torch.amp.is_autocast_available(device_type):
            enabled = torch.is_autocast_enabled(device_type)
            undo.add(partial(torch.set_autocast_enabled, device_type, enabled))
    undo.add(partial(_set_function_modes, _function_modes()))
    for device in {torch.device("cpu"), *(parameter.device for parameter in model.parameters())}:
        undo.add(restore_random_state(device))


def _function_modes() -> list[Any]:
    depth = torch._C._len_torch_function_stack()  # noqa: SLF001 – torch has no public way
    return [torch._C._get_function_stack_at(index) for index in range(depth)]  # noqa: SLF001


def _set_function_modes(modes: Sequence[Any]) -> None:
    while torch._C._len_torch_function_stack():  # noqa: SLF001
        torch._C._pop_torch_function_stack()  # noqa: SLF001
    for mode in modes:
        torch._C._push_on_torch_function_stack(mode)  # noqa: SLF001


def _close_suspended_contexts(traceback: TracebackType | None) -> None:
    """Close generators of `contextlib.contextmanager`, for example torch's own, that an interrupt has left suspended.

    Otherwise they would finish at garbage collection and change restored state again.
    """
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename == contextlib.__file__:
            generator = getattr(frame.f_locals.get("self"), "gen", None)
            if isinstance(generator, Generator):
                generator.close()
        traceback = traceback.tb_next


def _exit_modes(modes: Sequence[Any]) -> None:
    for mode in modes:
        mode.__exit__(None, None, None)


class _ThreadHook:
    """A hook that is silent in calls of other threads: they may explain the same model. In copies it does nothing."""

    def __init__(self, hook: Callable[..., Any] | None) -> None:
        self._hook, self._thread = hook, threading.get_ident()

    def __call__(self, *arguments: Any) -> Any:
        if self._hook is None or threading.get_ident() != self._thread:
            return None
        return self._hook(*arguments)

    def __reduce__(self) -> tuple[type[_ThreadHook], tuple[object]]:
        return _ThreadHook, (None,)  # `copy` and `pickle`, in another thread perhaps, while a model is explained


def is_compiled(module: nn.Module) -> bool:
    """Whether a module is compiled, by names only, because importing the compiler takes seconds."""
    return type(module).__name__ == _COMPILED or getattr(module, "_compiled_call_impl", None) is not None
