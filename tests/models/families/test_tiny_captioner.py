"""The shipped captioner: its file, its card, and its words on unseen clips."""

from __future__ import annotations

from pathlib import Path

import torch

from scripts.research.caption_pool import make_pool, tokens_of
from scripts.research.pool import to_input
from vidcam.models import load_model
from vidcam.models.captioner import Captioner, generate_captions
from vidcam.models.families.tiny import weights_path
from vidcam.motion.captions import VOCABULARY, make_captioned_clip
from vidcam.system.fingerprint import sha256

CARD = Path(__file__).resolve().parents[3] / "docs" / "captions.md"


def test_the_file_is_that_of_the_card() -> None:
    model, path = load_model("tiny_captioner", device="cpu"), weights_path("tiny_captioner")
    assert model.labels == VOCABULARY
    assert sum(parameter.numel() for parameter in model.module.parameters()) == model.spec.parameters
    assert path.stat().st_size <= 2e6
    assert sha256(path) in model.weights
    assert sha256(path) in CARD.read_text("utf-8")


def test_it_names_what_unseen_clips_show() -> None:
    model, pool = load_model("tiny_captioner", device="cpu"), make_pool(5_000, 24)
    network, tokens = model.module, tokens_of(pool.things)
    assert isinstance(network, Captioner)
    with torch.no_grad():
        right = network(to_input(pool.frames), tokens).argmax(dim=2) == tokens
    assert right.double().mean() > 0.93
    clip = make_captioned_clip(5_000)
    (caption,) = generate_captions(model, to_input(torch.from_numpy(clip.frames[None])))
    assert caption.split()[:4] == clip.caption.split()[:4]
