"""All that explaining must leave alone, taken before and compared afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class State:
    """Flags, hooks, tensors, `.grad`, modes and random state of a model and the clips that it is shown."""

    def __init__(self, net: nn.Module, *clips: Tensor) -> None:
        self.net, self.clips = net, clips
        self.tensors = [tensor.clone() for tensor in self._tensors()]
        self.random = torch.get_rng_state()
        self.before = self._now()

    def check_unchanged(self) -> None:
        """Fail where anything differs."""
        assert self._now() == self.before
        assert all(torch.equal(old, new) for old, new in zip(self.tensors, self._tensors(), strict=True))
        assert torch.equal(self.random, torch.get_rng_state())

    def _tensors(self) -> tuple[Tensor, ...]:
        return (*self.net.parameters(), *self.net.buffers(), *self.clips)

    def _now(self) -> list[Any]:
        modules, parameters = list(self.net.modules()), list(self.net.parameters())
        return [
            [module.training for module in modules],
            [parameter.requires_grad for parameter in parameters],
            [None if parameter.grad is None else parameter.grad.sum() for parameter in parameters],
            [(*m._forward_hooks, *m._forward_pre_hooks, *m._backward_hooks, *m._backward_pre_hooks) for m in modules],
            (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
            (torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()),
            [(clip.requires_grad, clip.grad) for clip in self.clips],
            torch._C._len_torch_function_stack(),
            torch.compiler.is_compiling(),
        ]
