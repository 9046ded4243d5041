"""Put back what a forward pass changes in a network: the buffers of a streaming network, and what its modules keep.

Each run then starts from the same state, and the model is left as it was. A run works on copies of the tensors that it
could change in place. Afterwards the original objects are put back. Autograd may still need the copies.

Modules of torch itself change nothing in evaluation mode. For all others these are put back: buffers, and attributes
that are tensors or numbers, or lists, dictionaries and queues that hold tensors.

    with same_state(network, undo):
        output = network(clip)
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from vidcam.cam.evaluation import release
from vidcam.cam.preserve import Undo

_INTERNAL = frozenset(vars(nn.Module()))
_NUMBERS = (int, float, complex, type(None))
_SIMPLE = (*_NUMBERS, Tensor)
_CHANGEABLE = (list, dict, deque)
_LISTS = (*_CHANGEABLE, tuple)

_MOST_ITEMS, _MOST_DEPTH = 1024, 3
"""A longer or deeper list is data of the program, not of a stream; it is not searched for tensors."""

_WAIT_SECONDS = 0.1
"""A lock that is waited for without a limit cannot be interrupted on every system."""


class same_state:  # noqa: N801 – named as torch names its contexts
    """Run a network inside this context from its present state, and put the state back.

    A network that changes in a run is run by one thread at a time. All others run together.

    Args:
        network: the network.
        undo: puts the state back too, in case an interrupt skips the end of the context.
    """

    def __init__(self, network: nn.Module, undo: Undo) -> None:
        self._network, self._undo = network, undo
        self._turns = _turns.setdefault(network, _Turns())
        self._user = object()
        self._before: list[_State] = []
        self._copies: dict[Any, Any] = {}

    def __enter__(self) -> None:
        self._undo.add(self._leave)
        self._turns.take(self._user)
        self._before = [_State(module) for module in self._network.modules() if _is_own(module)]
        if self._turns.is_stateless and not any(state.holds_tensors() for state in self._before):
            self._turns.give_up(self._user)
            return
        for state in self._before:
            state.use_copies(self._copies)

    def __exit__(self, _kind: object, raised: object, _traceback: object) -> None:
        has_copies = bool(self._copies)
        is_changed = self._leave()
        if raised is None and (is_changed or self._turns.is_stateless is None):
            self._turns.is_stateless = not (is_changed or has_copies)

    def _leave(self) -> bool:
        """Put the state back; returns whether it had changed. It may run twice."""
        is_changed = False
        for state in self._before:
            is_changed |= state.put_back()
        self._before, self._copies = [], {}
        self._turns.give_up(self._user)
        return is_changed


class _Turns:
    """Whose turn it is to run a network.

    Attributes:
        is_stateless: whether a run changes nothing, so that threads need not wait; None: not known yet.
    """

    def __init__(self) -> None:
        self.is_stateless: bool | None = None
        self._lock = threading.RLock()  # a network may explain itself
        self._users: list[object] = []

    def take(self, user: object) -> None:
        """Wait until no other thread runs the network."""
        while not self._lock.acquire(timeout=_WAIT_SECONDS):
            pass
        self._users.append(user)

    def give_up(self, user: object) -> None:
        """End a turn, also one that an interrupt has ended before it began. It may run twice."""
        with suppress(ValueError):
            self._users.remove(user)
        if not self._users:
            release(self._lock)


_turns: WeakKeyDictionary[nn.Module, _Turns] = WeakKeyDictionary()


class _State:
    """What one module keeps."""

    def __init__(self, module: nn.Module) -> None:
        self._module, self._names = module, frozenset(vars(module))
        self._layout = _layout(module)
        self._buffers = dict(module._buffers)  # noqa: SLF001 – torch has no other way to replace a buffer
        self._attributes = {name: value for name, value in list(vars(module).items()) if _is_state(name, value)}
        lists = ((name, value) for name, value in self._attributes.items() if isinstance(value, _CHANGEABLE))
        self._contents = {name: copy.copy(value) for name, value in lists}

    def holds_tensors(self) -> bool:
        """Whether a run could change a tensor of the module in place."""
        return any(map(_is_copied, (*self._buffers.values(), *self._attributes.values())))

    def use_copies(self, copies: dict[Any, Any]) -> None:
        """Give the module copies of its tensors; `copies` maps the identity of a tensor or list to its copy."""
        for names, before in ((self._module._buffers, self._buffers), (vars(self._module), self._attributes)):  # noqa: SLF001
            for name, value in before.items():
                names[name] = _copied(value, copies)

    def put_back(self) -> bool:
        """Put the original objects back; returns whether one of them was another or had other contents."""
        if _layout(self._module) != self._layout:  # the run has built layers; flags that say so must stay
            return False
        names, buffers = vars(self._module), self._module._buffers  # noqa: SLF001
        added = [name for name in list(names) if name not in self._names and _is_state(name, names[name])]
        for name in added:
            del names[name]
        for name in set(buffers) - set(self._buffers):
            del buffers[name]
        is_changed = _put_back(buffers, self._buffers) | _put_back(names, self._attributes)
        for name, contents in self._contents.items():
            is_changed |= _put_back_contents(self._attributes[name], contents)
        return is_changed or bool(added)


def _put_back(names: dict[str, Any], before: Mapping[str, Any]) -> bool:
    changed = {name: value for name, value in before.items() if not _is_same(names.get(name), value)}
    names.update(changed)
    return bool(changed)


def _put_back_contents(value: Any, contents: Any) -> bool:
    """Put back what a list, a dictionary or a queue held."""
    is_note = not contents and not _holds_tensor(value)  # the program's own, such as shapes
    if is_note or (len(value) == len(contents) and all(map(is_, _items(value), _items(contents)))):
        return False
    value.clear()
    value.update(contents) if isinstance(value, dict) else value.extend(contents)
    return True


def _is_same(now: object, before: object) -> bool:
    return now is before or (isinstance(before, _NUMBERS) and type(now) is type(before) and now == before)


def _is_own(module: nn.Module) -> bool:
    """Whether the class is not torch's, whose layers keep their state; a traced graph may be of any network."""
    package = type(module).__module__
    return not package.startswith("torch.") or package.startswith(("torch.fx.", "torch.export."))


def _layout(module: nn.Module) -> tuple[int, int]:
    return len(module._modules), len(module._parameters)  # noqa: SLF001


def _is_state(name: str, value: Any) -> bool:
    """Whether an attribute is a tensor, a number, or a list that is empty or holds tensors."""
    if name in _INTERNAL:
        return False
    return isinstance(value, _SIMPLE) or (_is_list(value) and (not value or _holds_tensor(value)))


def _is_list(value: object) -> bool:
    return isinstance(value, _LISTS) and len(value) <= _MOST_ITEMS


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _holds_tensor(value: Any, depth: int = 0) -> bool:
    for item in _items(value):  # a loop: this is done for every list of every run
        if isinstance(item, Tensor) or (depth < _MOST_DEPTH and _is_list(item) and _holds_tensor(item, depth + 1)):
            return True
    return False


def _is_copied(value: Any) -> bool:
    """Whether it is a tensor or holds one; parameters stay as they are."""
    has_tensor = isinstance(value, Tensor) or (_is_list(value) and _holds_tensor(value))
    return has_tensor and not isinstance(value, nn.Parameter)


def _copied(value: Any, copies: dict[Any, Any]) -> Any:
    """A tensor, or a list with its tensors, as a copy that shares memory with other copies as the originals do."""
    if not _is_copied(value):
        return value
    if id(value) not in copies:
        copies[id(value)] = _copied_tensor(value, copies) if isinstance(value, Tensor) else _copied_list(value, copies)
    return copies[id(value)]


def _copied_tensor(tensor: Tensor, copies: dict[Any, Any]) -> Tensor:
    try:
        copied: Tensor = copy.deepcopy(tensor.detach(), copies)
    except (RuntimeError, NotImplementedError, TypeError):  # a kind of tensor that cannot be copied
        return tensor
    return copied


def _copied_list(value: Any, copies: dict[Any, Any]) -> Any:
    if isinstance(value, tuple):
        parts = [_copied(item, copies) for item in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    copied = copy.copy(value)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        copied[key] = _copied(item, copies)
    return copied
