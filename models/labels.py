"""Names of classes, in the order of the models' outputs."""

from __future__ import annotations


def kinetics400() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400, alphabetical, as torchvision lists them with its weights."""
    from torchvision.models.video import R3D_18_Weights

    return tuple(R3D_18_Weights.KINETICS400_V1.meta["categories"])
