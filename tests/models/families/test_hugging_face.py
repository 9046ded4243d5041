"""Checkpoints of Hugging Face by name: input, logits, labels and layout, from small random ones saved to a folder."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vidcam
from tests.failures.test_no_network import run_blocked
from tests.gallery.checkpoints import KINDS, LABELS, TEXTS, load, needs_transformers, noise
from tests.helpers.clips import model_input
from tests.helpers.odd import h264
from vidcam.errors import InputError, LayerError, WeightsError
from vidcam.models.families.hugging_face_files import find_files
from vidcam.models.families.hugging_face_input import read_processor
from vidcam.models.registry import labels_of, load_model
from vidcam.spec import TokenGrid

ROOT = Path(__file__).resolve().parents[3]


def processed(folder: Path, frames: Any) -> torch.Tensor:
    """What the checkpoint's own processor makes of the frames, (1, T, 3, H, W)."""
    output = read_processor(find_files(str(folder)))(list(frames), return_tensors="pt")
    (pixels,) = (torch.as_tensor(value) for name, value in output.items() if name.startswith("pixel_values"))
    return pixels if pixels.ndim == 5 else pixels[None]


@needs_transformers
@pytest.mark.parametrize("kind", KINDS)
def test_input_and_logits_are_those_of_the_checkpoint(kind: str, checkpoints: Any) -> None:
    folder, network = checkpoints(kind)
    model = load(folder, kind)
    for size in ((90, 141), (150, 97), (64, 64)):
        frames = noise(model.spec.frames, *size)
        clip, theirs = model.input_from(frames), processed(folder, frames)
        assert clip.shape == theirs.shape
        assert (clip - theirs).abs().max() < 1e-5
    with torch.no_grad():
        output = model.module(clip)
        ours = getattr(output, "logits", output)
        expected = _logits(kind, network, theirs, folder)
    assert ours.shape == (1, model.spec.classes)
    torch.testing.assert_close(ours, expected.reshape(-1, model.spec.classes).mean(0, keepdim=True), rtol=0, atol=1e-5)
    assert model.labels == (TEXTS if KINDS[kind].has_texts else tuple(LABELS.values()))
    assert str(folder) in model.weights
    assert "sha256" in model.weights


def _logits(kind: str, network: Any, pixels: torch.Tensor, folder: Path) -> Any:
    if not KINDS[kind].has_texts:
        return network(pixels).logits
    tokenizer = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    texts = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    if kind == "xclip":
        return network(pixel_values=pixels, **texts).logits_per_video
    return network(pixel_values=pixels[0], **texts).logits_per_image


@needs_transformers
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_where_the_spec_says(kind: str, checkpoints: Any) -> None:
    """The library's own probe changes the pixels of a cell and sees it react; it refuses another order of tokens."""
    folder, _ = checkpoints(kind)
    model = load(folder, kind)
    (tokens, *_), spec = model.spec.layouts, model.spec
    assert isinstance(tokens, TokenGrid)
    assert (tokens.class_tokens, tokens.order if len(tokens.grid) == 3 else "") == (
        KINDS[kind].class_tokens,
        KINDS[kind].order,
    )
    clip = model.input_from(noise(spec.frames, 64, 64))
    reshapes = [_reshape(tokens, spec.frames, order) for order in (tokens.order, "hwt", "thw")]
    explain = partial(vidcam.explain, model.module, clip, methods="gradcam", layer=spec.layer, axes="NTCHW")
    explanation = explain(reshape=reshapes[0])
    assert not [note for note in explanation.notes if "not verified" in note]
    assert np.isfinite(explanation.heat("gradcam")).all()
    if len(tokens.grid) == 3:
        wrong = reshapes[1] if tokens.order == "thw" else reshapes[2]
        with pytest.raises(LayerError, match=f"look ordered '{tokens.order}'"):
            explain(reshape=wrong)


def _reshape(tokens: TokenGrid, frames: int, order: str) -> Any:
    reshape = vidcam.tokens(tokens.grid, class_tokens=tokens.class_tokens, order=order)
    return reshape if len(tokens.grid) == 3 else vidcam.in_turn([reshape, vidcam.frames(frames)])


@needs_transformers
def test_the_command_explains_and_scores_without_a_network(checkpoints: Any, tmp_path: Path) -> None:
    folder, _ = checkpoints("videomae")
    (tmp_path / "clips").mkdir()
    h264(tmp_path / "clips" / "video.mp4")
    model = ["--model", f"hf:{folder}", "--device", "cpu"]
    commands = {
        "explain": ["explain", "clips/video.mp4", "-o", "explained", *model],
        "score": ["score", "clips", "-o", "scored", "--method", "gradcam", *model],
    }
    for name, command in commands.items():
        done, connections = run_blocked(["-m", "vidcam", *command], tmp_path)
        assert (done.returncode, connections) == (0, ""), (name, done.stderr)
    stated = json.loads((tmp_path / "explained" / "video.json").read_text("utf-8"))["model"]
    assert stated["name"] == f"hf:{folder}"
    assert str(folder) in stated["weights"]
    assert next((tmp_path / "explained").glob("*.mp4")).stat().st_size > 0


@needs_transformers
def test_explain_video_with_texts_as_classes(checkpoints: Any, tmp_path: Path) -> None:
    folder, _ = checkpoints("xclip")
    h264(tmp_path / "video.mp4")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), "utf-8")
    result = vidcam.explain_video(
        tmp_path / "video.mp4", tmp_path / "out", model=f"hf:{folder}", labels=tmp_path / "texts.txt", device="cpu"
    )
    assert {label for label, _ in result.top5} == set(TEXTS)


@needs_transformers
def test_texts_are_needed_and_may_not_be_too_long(checkpoints: Any) -> None:
    folder, _ = checkpoints("clip")
    with pytest.raises(InputError, match="compares videos with texts: pass --labels"):
        load_model(f"hf:{folder}", device="cpu")
    with pytest.raises(InputError, match=r"has 62 tokens, .* takes 40; shorten it"):
        load_model(f"hf:{folder}", device="cpu", labels=["a", "b" * 60])
    assert labels_of(f"hf:{folder}", labels=["a", "b"]) == ("a", "b")


@needs_transformers
def test_random_weights_and_a_file_of_weights(checkpoints: Any, tmp_path: Path) -> None:
    folder, network = checkpoints("videomae")
    rand = load(folder, "videomae", weights="random")
    assert rand.weights == "random (seed 0)"
    own = rand.module.state_dict()["classifier.weight"]
    assert not torch.equal(own, network.classifier.weight)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    model = load(folder, "videomae", weights=tmp_path / "mine.pth")
    assert torch.equal(model.module.state_dict()["classifier.weight"], network.classifier.weight)
    assert model.weights.startswith("mine.pth, sha256 ")


@needs_transformers
def test_a_checkpoint_without_a_classifier_is_refused(checkpoints: Any, tmp_path: Path) -> None:
    folder, network = checkpoints("videomae")
    network.videomae.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_bytes((folder / "preprocessor_config.json").read_bytes())
    with pytest.raises(WeightsError, match=r"lack \d tensors \(classifier\.bias, .*trained to classify"):
        load(tmp_path, "videomae")


@needs_transformers
def test_a_folder_that_is_no_video_classifier(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs transformers: pip install 'vidcam[hf]'")
    with pytest.raises(InputError, match=r"has no config\.json"):
        load_model(f"hf:{tmp_path}", device="cpu")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}', "utf-8")
    with pytest.raises(InputError, match=r"of type 'vit', which classifies no videos; known are .*videomae"):
        load_model(f"hf:{tmp_path}", device="cpu")
    (tmp_path / "config.json").write_text('{"model_type": "videomae"}', "utf-8")
    with pytest.raises(InputError, match=r"no preprocessor_config\.json"):
        load_model(f"hf:{tmp_path}", device="cpu")
    code = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(code), "utf-8")
    (tmp_path / "own.py").write_text("raise SystemExit('code of the checkpoint was run')", "utf-8")
    with pytest.raises(InputError, match=r"config\.json of .* cannot be read"):
        load_model(f"hf:{tmp_path}", device="cpu")


@needs_transformers
@pytest.mark.parametrize("names_kind", [True, False])
def test_settings_in_the_form_of_older_checkpoints(names_kind: bool, checkpoints: Any, tmp_path: Path) -> None:
    """As many at the hub: a 'feature extractor' with sizes as numbers, or not even its name."""
    folder, _ = checkpoints("videomae")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    old: dict[str, Any] = {"do_center_crop": True, "do_normalize": True, "do_resize": True, "size": 64, "crop_size": 64}
    old |= {"image_mean": [0.45] * 3, "image_std": [0.225] * 3, "resample": 2}
    if names_kind:
        old["feature_extractor_type"] = "VideoMAEFeatureExtractor"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old), "utf-8")
    spec = load(tmp_path, "videomae").spec
    assert (spec.resize, spec.crop_size) == (64, (64, 64))
    assert spec.scaling.mean == pytest.approx((114.75,) * 3)
    frames = noise(spec.frames, 90, 141)
    clip = model_input(frames, spec).transpose(1, 2)
    assert (clip - processed(tmp_path, frames)).abs().max() < 1e-5


def test_without_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"needs transformers, which is missing: pip install 'vidcam\[hf\]'"):
        load_model(f"hf:{tmp_path}", device="cpu")
