"""The shipped captioner: its words on unseen clips."""

from __future__ import annotations

import torch

from scripts.research.caption_pool import make_pool, tokens_of
from scripts.research.pool import to_input
from vidcam.models.captioner import Captioner, generate_captions
from vidcam.models.registry import load_model
from vidcam.motion.captions import make_captioned_clip


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
