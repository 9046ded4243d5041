from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers import oracle
from tests.helpers.c3d_files import SPEC, small
from tests.helpers.nets import random_clip
from vidcam.cam.explain import explain
from vidcam.cam.weights import gradcam_pp_weights
from vidcam.errors import ShapeError
from vidcam.models.families.c3d import C3D


def parameter_count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def halves(net: C3D) -> tuple[nn.Sequential, nn.Sequential]:
    """Split the network after relu5b."""
    layers = list(net.children())
    return nn.Sequential(*layers[:-9]), nn.Sequential(*layers[-9:])


@pytest.mark.parametrize(("classes", "parameters"), [(487, 79_991_015), (101, 78_409_573)])
def test_number_of_parameters(classes: int, parameters: int) -> None:
    """Computed by hand. MMAction2's model card states the second number."""
    kernels = [(3, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512), (512, 512), (512, 512)]
    by_hand = sum(27 * wide_in * wide_out + wide_out for wide_in, wide_out in kernels)
    by_hand += 8192 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * classes + classes
    with torch.device("meta"):
        assert parameter_count(C3D(classes)) == by_hand == parameters


def test_grids() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    net = small()
    for name, module in net.named_children():
        module.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: tuple(output.shape[1:])}))
    with torch.no_grad():
        net(torch.zeros(1, 3, 16, 112, 112))
    assert [shapes[f"pool{stage}"] for stage in range(1, 6)] == [
        (2, 16, 56, 56),
        (4, 8, 28, 28),
        (8, 4, 14, 14),
        (16, 2, 7, 7),
        (16, 1, 4, 4),
    ]
    assert shapes["relu5b"] == (16, 2, 7, 7)
    assert list(shapes)[-8:] == ["flatten", "fc6", "relu6", "dropout6", "fc7", "relu7", "dropout7", "fc8"]
    assert [name for name in shapes if name.startswith("conv")] == [
        *("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
    ]


def test_the_last_pooling_keeps_the_edge() -> None:
    """Because of the padding of pool5, the seventh row and column are not lost."""
    grid = torch.arange(49.0).reshape(1, 1, 1, 7, 7).expand(1, 1, 2, 7, 7)
    pooled = small().get_submodule("pool5")(grid)
    assert pooled[0, 0, 0].tolist() == [[0, 2, 4, 6], [14, 16, 18, 20], [28, 30, 32, 34], [42, 44, 46, 48]]


def test_the_default_layer_is_a_relu() -> None:
    assert isinstance(small().get_submodule(str(SPEC.layer)), nn.ReLU)


@pytest.mark.parametrize("shape", [(1, 3, 8, 112, 112), (1, 3, 16, 112, 100), (3, 16, 112, 112), (1, 1, 16, 112, 112)])
def test_refuses_other_input_sizes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"C3D takes clips \(N, 3, 16, 112, 112\), got \("):
        small()(torch.zeros(shape))


def test_dropout_only_in_training() -> None:
    _, head = halves(small().train())
    grid = random_clip(1, 16, 2, 7, 7).relu()
    with torch.no_grad():
        assert not torch.equal(head(grid), head(grid))
        assert torch.equal(head.eval()(grid), head(grid))


def test_gradcam_pp_is_exact_and_differs_from_gradcam_plus() -> None:
    """With hidden layers g varies over the grid. So alpha is not constant, and the two maps are not proportional."""
    net = copy.deepcopy(small()).double()
    clip = random_clip(1, 3, 16, 112, 112, dtype=torch.float64) * 60
    explanation = explain(net, clip, layer="relu5b", methods=("gradcam+", "gradcam++"))
    assert explanation.alpha_exact
    assert not explanation.empty["gradcam++"].any()
    target = int(explanation.target[0])
    trunk, head = halves(net)
    with torch.no_grad():
        activations = trunk(clip)[0]
        offset = head(activations[None])[0, target]
    leaf = activations.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(head(leaf[None])[0, target], leaf)
    weights = gradcam_pp_weights(activations[None], gradients[None])[0]
    plus_plus, plus = (explanation.volumes[method][0] for method in ("gradcam++", "gradcam+"))
    expected = torch.relu(torch.einsum("d,dthw->thw", weights, activations)).numpy()
    np.testing.assert_allclose(plus_plus, expected, rtol=1e-5)
    assert np.abs(plus_plus / plus_plus.max() - plus / plus.max()).max() > 0.01

    channel = int(weights.argmax())  # the oracle is slow: test one channel and keep the others fixed

    def score(leaf: Tensor) -> Tensor:
        grid = torch.cat([activations[:channel], leaf, activations[channel + 1 :]])
        logits: Tensor = head(grid[None])[0, target] - offset  # exp(offset) is a common factor of all weights
        return logits

    oracle_weight = oracle.gradcam_pp_weights(score, activations[channel : channel + 1])
    np.testing.assert_allclose(float(weights[channel]), float(oracle_weight), rtol=1e-9)
