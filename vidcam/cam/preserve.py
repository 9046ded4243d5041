"""Leave a model exactly as it was, whenever a Ctrl-C comes: training flags, hooks, random state, modes of the thread.

What puts a change back is written down in an `Undo` before the change is made. Each step may be run again, so that an
interrupt in the middle of one does no harm.

    with Undo() as undo, undo:
        preserve_model(model, undo)

The `Undo` is entered twice because Python may raise KeyboardInterrupt as it calls `__exit__`, before the first
statement in it. The second `__exit__` runs the steps that the first one could not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vidcam.errors import InputError

MOST_TRIES = 3
"""A step that fails so often was not interrupted: it is left out."""

_COMPILED = "OptimizedModule"
_WRAPPED_IN = {_COMPILED: "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}

Opened = TypeVar("Opened")

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]
PreHook = Callable[[nn.Module, tuple[Any, ...]], Any]


class Undo:
    """Steps that put back what was changed, the last change first."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def add(self, step: Callable[[], object]) -> None:
        """Add a step, before the change that it puts back; it may be run although the change was not made, or twice."""
        self._steps.append(step)

    def add_hook(self, module: nn.Module, hook: Hook) -> None:
        """Register a forward hook that sees this thread's calls alone."""
        own = _in_this_thread(hook)
        self.add(partial(_remove, module._forward_hooks, own))  # noqa: SLF001 – an interrupt may keep the handle back
        module.register_forward_hook(own)

    def add_pre_hook(self, module: nn.Module, hook: PreHook) -> None:
        """Register a forward pre-hook that sees this thread's calls alone."""
        own = _in_this_thread(hook)
        self.add(partial(_remove, module._forward_pre_hooks, own))  # noqa: SLF001
        module.register_forward_pre_hook(own)

    def run(self) -> None:
        """Run the steps. One that is interrupted is run again, and the interrupt is raised when all are done."""
        raised: BaseException | None = None
        tries = 0
        while self._steps:
            try:
                self._steps[-1]()
            except BaseException as exc:
                raised, tries = exc, tries + 1
                if tries < MOST_TRIES:
                    continue
            self._steps.pop()
            tries = 0
        if raised is not None:
            raise raised

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _raised: object, traceback: TracebackType | None) -> None:
        _close_left_open(traceback)
        self.run()


class PreservedContext(Generic[Opened]):
    """A context that opens something which changes a model, and puts everything back at its end.

    In place of `contextlib.contextmanager`: an interrupt there can leave a generator suspended, and its `finally` would
    run when it is collected, which may be in the middle of something else. An interrupt in the moment in which Python
    calls `__exit__` is still missed; where that counts, pass an `Undo` that is entered twice.
    """

    def __init__(self, enter: Callable[[Undo], Opened]) -> None:
        self._enter, self._undo = enter, Undo()

    def __enter__(self) -> Opened:
        try:
            return self._enter(self._undo)
        except BaseException:
            with self._undo, self._undo:
                raise

    def __exit__(self, kind: object, raised: object, traceback: TracebackType | None) -> None:
        try:
            self._undo.__exit__(kind, raised, traceback)
        finally:
            self._undo.run()  # where the line above was interrupted


class FunctionMode(TorchFunctionMode):
    """A mode that leaves torch's stack of modes as it found it, also where an interrupt has left it otherwise."""

    def __enter__(self) -> Self:
        self._former = _function_modes()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        _set_function_modes(self._former)
        self._former = []  # else a mode that a graph holds would hold the others, and with a tracer's tensors the graph


class NoAutocast:
    """No autocast on a type of device; `preserve_model` puts the setting back where an interrupt keeps this from it."""

    def __init__(self, device_type: str) -> None:
        self._device_type = device_type
        self._former = torch.is_autocast_enabled(device_type)

    def __enter__(self) -> None:
        torch.set_autocast_enabled(self._device_type, False)  # noqa: FBT003

    def __exit__(self, *_: object) -> None:
        torch.set_autocast_enabled(self._device_type, self._former)


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, `DataParallel` or `DistributedDataParallel`, nested ones and subclasses too.

    Raises:
        InputError: a scripted or traced model, whose layers take no hooks.
    """
    inside = model
    while isinstance(within := getattr(inside, _wrapped_in(inside), None), nn.Module):
        inside = within
    if isinstance(inside, torch.jit.ScriptModule):
        raise InputError(
            f"the model is a {type(inside).__name__}, expected an nn.Module whose layers can be watched; "
            f"pass the network that it was made from"
        )
    return inside


def _wrapped_in(model: nn.Module) -> str:
    """The attribute that holds the wrapped network; '' of what is no wrapper. By name: the compiler stays unloaded."""
    return next((_WRAPPED_IN[kind.__name__] for kind in type(model).__mro__ if kind.__name__ in _WRAPPED_IN), "")


def preserve_model(model: nn.Module, undo: Undo) -> None:
    """Switch a model to evaluation mode and the thread to no gradients; `undo` puts both back.

    Module by module: batch normalisation would otherwise mix the clips of a batch and change its running statistics,
    and dropout would make the map random. Autocast caches nothing meanwhile: weights cast without a graph would serve
    the caller's training. Compiled parts run uncompiled, because compiled code does not see hooks that are added later.

    Args:
        model: without wrappers; see `unwrapped`.
        undo: takes the steps that restore training flags, random state, grad and inference mode, autocast, the stack of
            torch's function modes and the compiler's stance.
    """
    _add_thread_state(model, undo)
    user = object()
    undo.add(partial(_leave_evaluation, model, user))
    if any(_is_compiled(module) for module in model.modules()):
        run_uncompiled(undo)
    torch.set_autocast_cache_enabled(False)
    _enter_evaluation(model, user)
    if torch.is_inference_mode_enabled():
        modes: list[Any] = []
        undo.add(partial(_leave, modes))
        modes.append(torch._C._InferenceMode(False))  # noqa: FBT003, SLF001 – torch.inference_mode is not left twice
        modes[0].__enter__()  # a no-op in this torch: the constructor has entered
    torch.set_grad_enabled(False)


def run_uncompiled(undo: Undo) -> None:
    """Run compiled parts as the Python they were written in, until `undo`. The first time it imports the compiler."""
    from torch._dynamo import eval_frame

    undo.add(partial(eval_frame._set_stance, eval_frame._stance))  # noqa: SLF001 – set first, told afterwards otherwise
    torch.compiler.set_stance("force_eager")


def _add_thread_state(model: nn.Module, undo: Undo) -> None:
    undo.add(partial(torch.set_grad_enabled, torch.is_grad_enabled()))
    undo.add(partial(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled()))
    for device_type in sorted({"cpu", *(parameter.device.type for parameter in model.parameters())}):
        if torch.amp.is_autocast_available(device_type):
            enabled = torch.is_autocast_enabled(device_type)
            undo.add(partial(torch.set_autocast_enabled, device_type, enabled))
    undo.add(partial(_set_function_modes, _function_modes()))
    undo.add(partial(torch.set_rng_state, torch.get_rng_state()))
    for index in sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"}):
        undo.add(partial(torch.cuda.set_rng_state, torch.cuda.get_rng_state(index), index))


def _function_modes() -> list[Any]:
    depth = torch._C._len_torch_function_stack()  # noqa: SLF001 – torch has no other way
    return [torch._C._get_function_stack_at(index) for index in range(depth)]  # noqa: SLF001


def _set_function_modes(modes: Sequence[Any]) -> None:
    while torch._C._len_torch_function_stack():  # noqa: SLF001
        torch._C._pop_torch_function_stack()  # noqa: SLF001
    for mode in modes:
        torch._C._push_on_torch_function_stack(mode)  # noqa: SLF001


def _close_left_open(traceback: TracebackType | None) -> None:
    """End the generators of `contextlib.contextmanager`, torch's own for example, that an interrupt has left suspended.

    They would end when they are collected, and then change what has been put back here.
    """
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename == contextlib.__file__:
            generator = getattr(frame.f_locals.get("self"), "gen", None)
            if isinstance(generator, Generator):
                generator.close()
        traceback = traceback.tb_next


def _leave(modes: Sequence[Any]) -> None:
    for mode in modes:
        mode.__exit__(None, None, None)


@dataclass(slots=True)
class _Evaluation:
    """A model that is in evaluation mode for some explanations, in several threads perhaps.

    Attributes:
        flags: what the training flags were before the first of them.
        dropouts: what the dropout of recurrent layers was.
        users: one object for each explanation that goes on.
    """

    flags: list[tuple[nn.Module, bool]]
    dropouts: list[tuple[nn.RNNBase, float]]
    users: set[object] = field(default_factory=set)


_evaluations: WeakKeyDictionary[nn.Module, _Evaluation] = WeakKeyDictionary()
_evaluations_lock = threading.Lock()


def _enter_evaluation(model: nn.Module, user: object) -> None:
    with _evaluations_lock:
        if model not in _evaluations:
            modules = list(model.modules())
            recurrent = [module for module in modules if isinstance(module, nn.RNNBase)]
            _evaluations[model] = _Evaluation(
                [(module, module.training) for module in modules], [(module, module.dropout) for module in recurrent]
            )
        _evaluations[model].users.add(user)
        for module in model.modules():
            module.training = False
            if isinstance(module, nn.RNNBase) and _is_cudnn(module):
                module.dropout, module.training = 0.0, True


def _leave_evaluation(model: nn.Module, user: object) -> None:
    """Put the flags back if no other explanation of the model goes on."""
    with _evaluations_lock:
        evaluation = _evaluations.get(model)
        if evaluation is None:
            return
        evaluation.users.discard(user)
        if evaluation.users:
            return
        for module, flag in evaluation.flags:
            module.training = flag
        for layer, dropout in evaluation.dropouts:
            layer.dropout = dropout
        del _evaluations[model]


def _is_cudnn(layer: nn.RNNBase) -> bool:
    """Whether cuDNN runs the layer. Its backward exists in training only; without dropout the output is the same."""
    return any(parameter.is_cuda for parameter in layer.parameters())


def _in_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, silent in calls of other threads: they may explain the same model."""
    thread = threading.get_ident()

    def own(*arguments: Any) -> Any:
        return hook(*arguments) if threading.get_ident() == thread else None

    return own


def _remove(hooks: dict[int, Any], hook: Callable[..., Any]) -> None:
    for number, other in list(hooks.items()):  # a copy: another thread may explain the same model
        if other is hook:
            hooks.pop(number, None)


def _is_compiled(module: nn.Module) -> bool:
    """Asked before the compiler is touched, because importing it takes seconds."""
    return type(module).__name__ == _COMPILED or getattr(module, "_compiled_call_impl", None) is not None
