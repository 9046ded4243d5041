"""Training the captioner: equal bytes, an interrupted run, augmented clips whose words stay true."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from scripts.research import train_captioner as script
from scripts.research.caption_pool import CaptionPool, augmented, changed, tokens_of
from vidcam.motion.captions import VOCABULARY, Thing

THINGS = Thing("red", "square", "rises", "left"), Thing("blue", "disc", "grows", "right")


def test_tokens_spell_the_caption() -> None:
    (tokens,) = tokens_of([THINGS]).tolist()
    spelt = " ".join(VOCABULARY[token] for token in tokens)
    assert spelt == "a red square rises on the left and a blue disc grows on the right <end>"
    assert len(tokens) == script.WORDS


def test_a_mirrored_clip_names_the_other_thing_first() -> None:
    mirrored = changed(THINGS, {"left": "right", "right": "left"})
    assert mirrored == (Thing("blue", "disc", "grows", "left"), Thing("red", "square", "rises", "right"))


def test_augmented_clips_show_what_their_words_say() -> None:
    generator, seen = torch.Generator().manual_seed(0), set()
    frames = torch.zeros(16, 64, 64, 3, dtype=torch.uint8)
    frames[:, :, 32:, 2] = 255  # the right half is blue
    for frame in range(16):
        frames[frame, 60 - 4 * frame : 64 - 4 * frame, :32, 0] = 255  # a red line rises on the left
    for _ in range(150):
        shown, (first, second) = augmented(frames, THINGS, generator)
        line, other = (first, second) if first.colour != "blue" else (second, first)
        seen.add((line.colour, line.motion, line.place, other.motion))
        half = shown[..., :32, :] if line.place == "left" else shown[..., 32:, :]
        rows = half[..., ("red", "green").index(line.colour)].float().mean(dim=2).argmax(dim=1)
        assert line.motion == ("rises" if rows[0] > rows[-1] else "falls")
        assert (first.place, second.place) == ("left", "right")
    assert len(seen) == 16


@pytest.mark.slow
def test_a_run_gives_the_same_bytes_and_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "CHECKPOINT_STEPS", 1)
    monkeypatch.setattr(script, "BATCH", 2)
    arguments = ["--steps", "3", "--clips", "4", "--held-out", "4", "--out"]

    def run(folder: str) -> bytes:
        result = CliRunner().invoke(
            script.train_captioner, [*arguments, str(tmp_path / folder)], catch_exceptions=False
        )
        assert "captions: " in result.output
        assert [path.suffix for path in (tmp_path / folder).iterdir()] == [".safetensors"]
        return (tmp_path / folder / "tiny_captioner.safetensors").read_bytes()

    whole, draw, calls = run("whole"), script.batch, []

    def interrupted(pool: CaptionPool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(pool, generator)

    monkeypatch.setattr(script, "batch", interrupted)
    result = CliRunner().invoke(script.train_captioner, [*arguments, str(tmp_path / "again")])
    assert result.exit_code == 1
    monkeypatch.setattr(script, "batch", draw)
    assert run("again") == whole
