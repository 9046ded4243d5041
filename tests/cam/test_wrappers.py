"""Compiled, data-parallel and scripted networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import EVERY, assert_alike
from vidcam.cam.explain import explain
from vidcam.cam.layers import list_layers
from vidcam.errors import InputError


@pytest.fixture
def eager_compiler() -> Iterator[None]:
    """Allow `torch.compile` in one test and ignore its own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        torch.compiler.reset()


def _whole(net: nn.Module) -> Any:
    return torch.compile(net, backend="eager")


def _part(net: nn.Module) -> Any:
    net.block2 = torch.compile(net.get_submodule("block2"), backend="eager")  # type: ignore[assignment]
    return net


def _own(net: nn.Module) -> Any:
    net.compile(backend="eager")
    return net


def _own_part(net: nn.Module) -> Any:
    net.get_submodule("block2").compile(backend="eager")
    return net


@pytest.mark.parametrize("wrap", [_whole, _part, _own, _own_part])
def test_compiled_networks(wrap: Callable[[nn.Module], Any], eager_compiler: None) -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    expected = explain(seeded(PooledHead), clip, layer="block2.2", methods=EVERY)
    net = wrap(seeded(PooledHead).eval())
    with torch.no_grad():
        scores = net(clip)  # compile before explaining
    state = State(net, clip)
    assert_alike(explain(net, clip, layer="block2.2", methods=EVERY), expected)
    state.check_unchanged()
    with torch.no_grad():
        assert torch.equal(net(clip), scores)
    with torch.compiler.set_stance("fail_on_recompile"), torch.no_grad():
        net(clip)  # it is still compiled


def test_data_parallel_networks() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY)
    for layer in ("block2", "module.block2"):
        assert_alike(explain(nn.DataParallel(net), clip, layer=layer, methods=EVERY), expected, tolerance=0)


class FullyShardedDataParallel(nn.Module):
    """A wrapper with the names of torch's FSDP1."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self._fsdp_wrapped_module = inner

    def forward(self, x: Tensor) -> Any:
        return self._fsdp_wrapped_module(x)


def test_names_have_no_prefix_of_sharded_networks() -> None:
    clip, net = random_clip(2, 3, 4, 8, 8), seeded(PooledHead)
    expected = explain(net, clip, layer="block2", methods=EVERY)
    names = [layer.name for layer in list_layers(net, clip)]
    inner = net.get_submodule("block2")
    net.block2 = FullyShardedDataParallel(inner)
    sharded = FullyShardedDataParallel(net)
    assert [layer.name for layer in list_layers(sharded, clip)] == names
    block = "_fsdp_wrapped_module.block2"
    for layer in (
        "block2",
        "module.block2",
        block,
        f"{block}._fsdp_wrapped_module",
        inner,
        sharded.get_submodule(block),
    ):
        explanation = explain(sharded, clip, layer=layer, methods=EVERY)
        assert explanation.layer == "block2"
        assert_alike(explanation, expected, tolerance=0)
    assert explain(sharded, clip, layer=f"{block}._fsdp_wrapped_module.2").layer == "block2.2"
    assert explain(sharded, clip).layer == explain(seeded(PooledHead), clip).layer


@pytest.fixture
def quiet() -> Iterator[None]:
    """Ignore torch's own warnings about what it exports or quantises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _plain() -> nn.Sequential:
    torch.manual_seed(0)
    trunk = (nn.Conv3d(3, 4, 3, padding=1), nn.ReLU())
    return nn.Sequential(*trunk, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)).eval()


@pytest.mark.usefixtures("quiet")
def test_exported_networks_are_refused_with_what_to_pass_instead() -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    program = torch.export.export(_plain(), (clip,))
    for model in (program, program.module()):
        with pytest.raises(InputError, match=r"torch\.export.*pass the nn\.Module that was exported, or .*unflatten"):
            explain(model, clip)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="graph without layers"):
        list_layers(program.module(), clip)
    unflat = torch.export.unflatten(program)
    assert_alike(explain(unflat, clip, layer="1", target=1), explain(_plain(), clip, layer="1", target=1))
    assert_alike(explain(torch.fx.symbolic_trace(_plain()), clip, target=1), explain(_plain(), clip, target=1))


@pytest.mark.usefixtures("quiet")
def test_quantised_networks_are_refused_with_what_to_pass_instead() -> None:
    from torch.ao import quantization

    clip = random_clip(2, 3, 4, 8, 8)
    dynamic = quantization.quantize_dynamic(_plain(), {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match=r"^layer '4' is quantised, so it passes no gradient; pass the float model$"):
        explain(dynamic, clip, layer="1")
    static = nn.Sequential(quantization.QuantStub(), *_plain(), quantization.DeQuantStub()).eval()
    static.qconfig = quantization.get_default_qconfig("fbgemm")  # type: ignore[no-untyped-call]
    prepared = quantization.prepare(static)  # type: ignore[no-untyped-call]
    prepared(clip)
    with pytest.raises(InputError, match=r"^layer '0' is quantised"):
        explain(quantization.convert(prepared), clip)  # type: ignore[no-untyped-call]
    floats = _plain()
    floats[0].add = torch.ao.nn.quantized.FloatFunctional()  # a float network that can be quantised later
    assert_alike(explain(floats, clip, target=1), explain(_plain(), clip, target=1))


def test_what_is_no_loaded_network_is_refused() -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    with pytest.raises(InputError, match=r"^model is on the meta device, which holds no weights"):
        explain(_plain().to("meta"), clip)
    with pytest.raises(InputError, match=r"^model is of type function; pass an nn.Module"):
        explain(lambda x: x, clip)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^model is the class PooledHead; pass an object of it: PooledHead\(\.\.\.\)"):
        explain(PooledHead, clip)  # type: ignore[arg-type]


def test_script_modules_raise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(seeded(PooledHead).eval())
    with pytest.raises(InputError, match=r"model is of type RecursiveScriptModule, which accepts no hooks"):
        explain(scripted, random_clip(1, 3, 4, 8, 8), layer="block2")
