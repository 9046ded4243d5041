"""The files of the shipped models are small, match their specs, and are those of their cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vidcam.models.families.tiny import GRATING_SPECS, SHAPE_SPECS, TINY_SPECS, weights_path
from vidcam.models.registry import load_model
from vidcam.models.specs import TINY_CAPTIONER_SPEC
from vidcam.motion import GRATING_LABELS, LABELS, SHAPE_LABELS
from vidcam.motion.captions import VOCABULARY
from vidcam.spec import ModelSpec
from vidcam.system.fingerprint import sha256

PAGE = Path(__file__).resolve().parents[3] / "docs" / "small-models.md"
CARDS = (
    (TINY_SPECS, LABELS, 2e6),
    (GRATING_SPECS, GRATING_LABELS, 1e6),
    (SHAPE_SPECS, SHAPE_LABELS, 4e5),
    ((TINY_CAPTIONER_SPEC,), VOCABULARY, 2e6),
)
CASES = [pytest.param(spec, *card, id=spec.name) for specs, *card in CARDS for spec in specs]


@pytest.mark.parametrize(("spec", "labels", "most_bytes"), CASES)
def test_the_file_is_small_and_its_hash_is_in_the_model_card(
    spec: ModelSpec, labels: Sequence[str], most_bytes: float
) -> None:
    model, path = load_model(spec.name, device="cpu"), weights_path(spec.name)
    assert model.labels == labels
    assert sum(parameter.numel() for parameter in model.module.parameters()) == spec.parameters
    assert path.stat().st_size <= most_bytes
    assert all(tensor.dtype == torch.float32 for tensor in load_file(path).values())
    assert model.weights == f"{spec.dataset}, {path.name}, sha256 {sha256(path)}"
    assert sha256(path) in PAGE.read_text("utf-8")
