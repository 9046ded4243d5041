"""Distances between the maps and between the logits of two networks. Pure functions of tensors.

    raw           ‖L_s - L_t‖²                          GC++ eq. 28 (arXiv:1710.11063)
    normalised    the same of maps divided by their own maximum, as they are drawn
    cosine        1 - cos(L_s, L_t)                     e²KD (arXiv:2402.03119)
    hinton        T²·KL(teacher ‖ student)              arXiv:1503.02531

The raw form depends on the scale of the maps, and that on the method: weights of gradcam and gradcam+ are means over
the Z cells of the layer, those of gradcam++ are sums. So its raw distances are up to (Z/2)² times as large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from torch import Tensor
from torch.nn import functional

from vidcam.cam.weights import at_least_float32
from vidcam.errors import ShapeError

Form = Literal["raw", "normalised", "cosine"]

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def on_grid(maps: Tensor, grid: Sequence[int]) -> Tensor:
    """Bring maps to a grid: cells are averaged along axes that become shorter, and interpolated along longer ones.

    Args:
        maps: (N, t, h, w), or (N, h, w), (N, l).
        grid: (t, h, w), likewise.

    Returns:
        (N, *grid).

    Raises:
        ShapeError: the maps have another number of axes.
    """
    sizes = tuple(grid)
    if maps.ndim != 1 + len(sizes) or len(sizes) not in _MODES:
        raise ShapeError(f"maps are {tuple(maps.shape)}, the grid is {sizes}; expected (N, *grid) with 1 to 3 axes")
    if tuple(maps.shape[1:]) == sizes:
        return maps
    pools = {1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d, 3: functional.adaptive_avg_pool3d}
    pool: Callable[[Tensor, Sequence[int]], Tensor] = pools[len(sizes)]
    coarser = pool(maps[:, None], [min(pair) for pair in zip(maps.shape[1:], sizes, strict=True)])
    return functional.interpolate(coarser, sizes, mode=_MODES[len(sizes)], align_corners=False)[:, 0]


def raw_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """‖L_s - L_t‖², summed over the cells of each clip (GC++ eq. 28). Maps (N, t, h, w) of one shape → (N,)."""
    return (student - teacher).flatten(1).square().sum(dim=1)


def normalised_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """`raw_distance` of maps divided by their own maximum; a map that is zero everywhere stays zero."""
    return raw_distance(_relative(student), _relative(teacher))


def cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cos of the maps of each clip, (N,); 1 if one of the two is zero everywhere.

    It is half the squared distance of the maps divided by their norms, the loss of attention transfer.
    """
    return 1 - (_unit(student) * _unit(teacher)).sum(dim=1)


DISTANCES: Mapping[Form, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"raw": raw_distance, "normalised": normalised_distance, "cosine": cosine_distance}
)
"""Form → its function of two stacks of maps."""


def attention(activations: Tensor) -> Tensor:
    """The attention map of attention transfer, the mean of A² over channels (arXiv:1612.03928). (N, D, …) → (N, …)."""
    return at_least_float32(activations).square().mean(dim=1)


def hinton_distance(student: Tensor, teacher: Tensor, *, temperature: float, is_multilabel: bool = False) -> Tensor:
    """T²·KL of the teacher's softened probabilities to the student's, (N,); with sigmoids the sum over the classes.

    Args:
        student: logits (N, K).
        teacher: logits (N, K).
        temperature: T, which both are divided by.
        is_multilabel: whether a sigmoid stands behind each logit, not one softmax behind all.
    """
    soft, target = student / temperature, teacher / temperature
    if is_multilabel:
        shares = target.sigmoid()
        gaps = functional.binary_cross_entropy_with_logits(soft, shares, reduction="none")
        divergence = gaps - functional.binary_cross_entropy_with_logits(target, shares, reduction="none")
    else:
        logarithms = target.log_softmax(dim=1)
        divergence = logarithms.exp() * (logarithms - soft.log_softmax(dim=1))
    return temperature**2 * divergence.sum(dim=1)


def _relative(maps: Tensor) -> Tensor:
    largest = maps.flatten(1).amax(dim=1).view(-1, *[1] * (maps.ndim - 1))
    return maps / largest.where(largest > 0, 1.0)


def _unit(maps: Tensor) -> Tensor:
    flat = maps.flatten(1)
    largest = flat.detach().amax(dim=1, keepdim=True)  # squares of small maps would underflow
    scaled = flat / largest.where(largest > 0, 1.0)
    norm = scaled.square().sum(dim=1, keepdim=True)
    return scaled * norm.where(norm > 0, 1.0).rsqrt()
