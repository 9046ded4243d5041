"""After an exception at any step the model is as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from tests.helpers.conduct import State
from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from tests.helpers.networks import EVERY
from vidcam.cam.explain import explain


def _fail(*_: object, **__: object) -> Any:
    raise RuntimeError("planted")


STEPS: dict[str, Callable[[pytest.MonkeyPatch, nn.Module], None]] = {
    "the trunk": lambda patch, net: patch.setattr(net.get_submodule("block1"), "forward", _fail),
    "the head": lambda patch, net: patch.setattr(net.get_submodule("fc"), "forward", _fail),
    **{
        name: lambda patch, _, name=name: patch.setattr(name, _fail)  # type: ignore[misc]
        for name in (
            "torch.autograd.grad",
            "vidcam.cam.preserve._ThreadHook",
            "vidcam.cam.context.read_scores",
            "vidcam.cam.attribution.class_target",
            "vidcam.cam.attribution.require_finite",
            "vidcam.cam.methods.combine",
            "vidcam.cam.methods.hirescam",
            "vidcam.cam.attribution.softmax_form",
            "vidcam.cam.attribution.classifier_weights",
            "vidcam.cam.attribution.fuse",
            "vidcam.cam.methods.audit_alpha",
            "vidcam.cam.record.is_graph_piecewise_linear",
            "vidcam.cam.attribution.upsample_volume",
            "vidcam.cam.guided.guided_gradients",
            "vidcam.cam.guided._operations",
            "vidcam.cam.guided.require_finite",
            "vidcam.cam.rectify._gate",
        )
    },
}


@pytest.mark.parametrize("where", STEPS)
def test_model_is_restored_after_an_exception_at_any_step(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, clip = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    net.get_submodule("block1").eval()
    is_fused = where.endswith("fuse")
    layers, methods = (["block1", "block2"], ["gradcam"]) if is_fused else (["block2"], list(EVERY))
    state = State(net, clip)
    with monkeypatch.context() as patch:
        STEPS[where](patch, net)
        with pytest.raises(Exception, match="planted"):
            explain(net, clip, layer=layers, methods=methods)
    state.check_unchanged()


def test_model_is_restored_after_an_exception_in_the_guided_pass() -> None:
    net, clip, runs = seeded(HiddenHead).train(), random_clip(1, 3, 3, 4, 4), []

    def hook(*_: object) -> None:
        runs.append(1)
        if len(runs) == 2:
            raise RuntimeError("planted")

    net.get_submodule("out").register_forward_hook(hook)
    state = State(net, clip)
    with pytest.raises(RuntimeError, match="planted"):
        explain(net, clip, layer="relu", methods=["guided-gradcam"])
    state.check_unchanged()
