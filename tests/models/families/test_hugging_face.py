"""Checkpoints of Hugging Face by name: input, logits, labels and layout, from small random ones saved to a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import vidcam
from tests.failures.test_no_network import run_blocked
from tests.gallery.checkpoints import KINDS, LABELS, TEXTS, save_checkpoint
from tests.helpers.clips import model_input
from tests.helpers.odd import h264
from vidcam.errors import InputError, LayerError, WeightsError
from vidcam.models import Model, load_model
from vidcam.models.families.hugging_face_files import CheckpointFiles, find_files
from vidcam.models.families.hugging_face_input import input_settings, read_processor
from vidcam.models.registry import is_factory, labels_of
from vidcam.spec import TokenGrid

ROOT = Path(__file__).resolve().parents[3]
PROCESSOR: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 73},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": 64, "width": 60},
    "do_rescale": True,
    "rescale_factor": 1 / 127.5,
    "do_normalize": True,
    "image_mean": [0.5, 0.25, 0.0],
    "image_std": [0.5, 0.25, 1.0],
}

gallery = [
    pytest.mark.gallery,
    pytest.mark.filterwarnings("default"),  # the packages' own
]


def needs_transformers(function: Any) -> Any:
    for mark in gallery:
        function = mark(function)
    return function


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Saves each kind once; returns its folder and its network."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'vidcam[hf]'")
    made: dict[str, tuple[Path, Any]] = {}

    def checkpoint(kind: str) -> tuple[Path, Any]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = folder, save_checkpoint(kind, folder)
        return made[kind]

    return checkpoint


def load(folder: Path, kind: str, **options: Any) -> Model:
    texts = TEXTS if KINDS[kind].has_texts else None
    return load_model(f"hf:{folder}", device="cpu", labels=texts, **options)


def noise(count: int, height: int, width: int) -> Any:
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def processed(folder: Path, frames: Any) -> torch.Tensor:
    """What the checkpoint's own processor makes of the frames, (1, T, 3, H, W)."""
    output = read_processor(find_files(str(folder)))(list(frames), return_tensors="pt")
    (pixels,) = (value for name, value in output.items() if name.startswith("pixel_values"))
    return pixels if pixels.ndim == 5 else pixels[None]


@needs_transformers
@pytest.mark.parametrize("kind", KINDS)
def test_input_and_logits_are_those_of_the_checkpoint(kind: str, checkpoints: Any) -> None:
    folder, network = checkpoints(kind)
    model = load(folder, kind)
    for size in ((90, 141), (150, 97), (64, 64)):
        frames = noise(model.spec.frames, *size)
        clip, theirs = model.input_of(model_input(frames, model.spec)), processed(folder, frames)
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
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(list(TEXTS), padding=True, return_tensors="pt")
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
    clip = model.input_of(model_input(noise(spec.frames, 64, 64), spec))
    reshapes = [_reshape(tokens, spec.frames, order) for order in (tokens.order, "hwt", "thw")]
    options = {"methods": "gradcam", "layer": spec.layer, "axes": "NTCHW"}
    explanation = vidcam.explain(model.module, clip, reshape=reshapes[0], **options)
    assert not [note for note in explanation.notes if "not verified" in note]
    assert np.isfinite(explanation.heat("gradcam")).all()
    if len(tokens.grid) == 3:
        wrong = reshapes[1] if tokens.order == "thw" else reshapes[2]
        with pytest.raises(LayerError, match=f"look ordered '{tokens.order}'"):
            vidcam.explain(model.module, clip, reshape=wrong, **options)


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
def test_a_pickle_is_refused(checkpoints: Any, tmp_path: Path) -> None:
    folder, network = checkpoints("videomae")
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(WeightsError, match=r"has no model\.safetensors"):
        load(tmp_path, "videomae")
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"only as a pickle \(pytorch_model\.bin\), which can run code"):
        load(tmp_path, "videomae")


@needs_transformers
def test_a_checkpoint_without_a_classifier_is_refused(checkpoints: Any, tmp_path: Path) -> None:
    folder, network = checkpoints("videomae")
    network.videomae.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_bytes((folder / "preprocessor_config.json").read_bytes())
    with pytest.raises(WeightsError, match=r"lack \d tensors \(classifier\.bias, .*pass one that was"):
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


class _Hub(SimpleHTTPRequestHandler):
    """A stand-in for the hub: the list of one repository's files, and the files."""

    def __init__(self, *arguments: Any, folder: Path, **options: Any) -> None:
        self.folder = folder
        super().__init__(*arguments, directory=str(folder), **options)

    def do_GET(self) -> None:
        paths = sorted(self.folder.iterdir())
        if self.path.startswith("/api/models/owner/tiny/tree/"):
            files = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40} for p in paths]
            self._answer(json.dumps(files))
        elif self.path.startswith("/api/models/owner/tiny"):
            names = [path.name for path in paths]
            self._answer(json.dumps({"id": "owner/tiny", "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}))
        else:
            self._file()

    def do_HEAD(self) -> None:
        self._file()

    def _file(self) -> None:
        path = self.folder / self.path.rpartition("/")[2]
        if not self.path.startswith("/owner/tiny/resolve/") or not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{path.name}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_of(folder: Path) -> Iterator[str]:
    """Serve a folder as the repository 'owner/tiny' of a hub on this machine; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, folder=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_transformers
def test_the_hub_is_asked_only_by_name(checkpoints: Any, tmp_path: Path) -> None:
    folder, _ = checkpoints("videomae")
    program = "import sys, vidcam; print(vidcam.load_model(sys.argv[1], device='cpu').weights)"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(name: str, endpoint: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, name],
            env={**environment, "HF_ENDPOINT": endpoint},
            capture_output=True,
            text=True,
            check=False,
        )

    with hub_of(folder) as address:
        done = run("hf:owner/tiny", address)
        assert done.stdout.startswith("owner/tiny, commit 0123456789ab, model.safetensors, sha256 "), done.stderr
        absent = run("hf:owner/absent", address)
        assert "cannot be downloaded" in absent.stderr
    again = run("hf:owner/tiny", "http://127.0.0.1:9")
    assert again.stdout == done.stdout, again.stderr  # from the cache


def processor(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**PROCESSOR, **changes})


def test_scaling_of_a_processor_in_pixels() -> None:
    found = input_settings(processor(), "hf:x")
    assert (found.resize, found.crop_size, found.interpolation, found.resampler) == (73, (64, 60), "bilinear", "pillow")
    assert found.scaling.mean == pytest.approx((63.75, 31.875, 0.0))  # x / 127.5 = mean
    assert found.scaling.std == pytest.approx((63.75, 31.875, 127.5))
    offset = input_settings(processor(offset=True), "hf:x").scaling
    assert offset.mean == pytest.approx((191.25, 159.375, 127.5))  # x / 127.5 - 1 = mean
    plain = input_settings(processor(do_normalize=False, do_rescale=False), "hf:x").scaling
    assert (plain.mean, plain.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert input_settings(processor(do_flip_channel_order=True), "hf:x").scaling.channels == "bgr"
    exact = input_settings(processor(size={"height": 8, "width": 9}, do_center_crop=False, fps=12.5), "hf:x")
    assert (exact.resize, exact.crop_size, exact.fps) == ((8, 9), (8, 9), 12.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_center_crop": False}, "gives frames of different sizes"),
        ({"resample": 1}, "resamples with filter 1"),
        ({"do_resize": False}, "expected height and width, or shortest_edge"),
        ({"size": {"shortest_edge": 9, "longest_edge": 12}}, "resizes to .*longest_edge"),
    ],
)
def test_a_processor_that_a_spec_cannot_describe(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        input_settings(processor(**changes), "hf:x")


def test_names() -> None:
    assert not is_factory("hf:owner/name")
    assert is_factory("hfx:factory")
    for name in ("nowhere", "/no/such/folder", "a/b/c", "https://host/owner/name"):
        with pytest.raises(InputError, match="neither a folder nor a name of the hub"):
            find_files(name)


def test_several_files_of_weights(tmp_path: Path) -> None:
    files = CheckpointFiles("hf:x", tmp_path, "x")
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.fp16.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    assert [path.name[:11] for path in files.weights()] == ["model-00001", "model-00002"]
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert [path.name for path in files.weights()] == ["model.safetensors"]


def test_without_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"needs transformers, which is missing: pip install 'vidcam\[hf\]'"):
        load_model(f"hf:{tmp_path}", device="cpu")
