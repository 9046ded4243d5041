"""torchvision's models: specs equal its metadata, inputs equal its transforms, and default layers have maps."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from tests.helpers.clips import model_input
from tests.helpers.nets import random_clip
from vidcam.cam.reshape import reshape_of
from vidcam.errors import NameNotFoundError, ShapeError, WeightsError
from vidcam.models.builtin import BUILT_IN
from vidcam.models.families import torchvision
from vidcam.models.families.image import image_network
from vidcam.models.families.torchvision_specs import HUB_FILES, TORCHVISION_SPECS
from vidcam.models.registry import load_model, model_entries
from vidcam.preprocess import grey_input
from vidcam.spec import ModelSpec, TokenGrid
from vidcam.system.fingerprint import sha256

SIX = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t")
IMAGES = ("resnet50", "resnet50@IMAGENET1K_V1", "efficientnet_b0", "vit_b_16", "inception_v3")


@pytest.fixture(scope="module")
def squeezenet() -> nn.Module:
    network: nn.Module = get_model("squeezenet1_1", weights=None).eval()
    return network


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch.hub cache without a network connection."""

    def refuse(url: str, *_: object, **__: object) -> None:
        raise OSError(f"no network for {url}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_listed_models() -> None:
    assert tuple(TORCHVISION_SPECS) == tuple(HUB_FILES) == SIX
    assert [entry.spec for entry in model_entries()[1:7]] == list(TORCHVISION_SPECS.values())


@pytest.mark.parametrize("name", SIX)
def test_specs_equal_torchvisions_metadata(name: str) -> None:
    assert HUB_FILES[name] == torchvision.hub_file(name)
    assert TORCHVISION_SPECS[name] == torchvision.spec(name)
    meta = get_model_weights(name).DEFAULT.meta
    spec = TORCHVISION_SPECS[name]
    assert torchvision.labels(name) == tuple(meta["categories"])
    assert spec.frames >= meta.get("min_temporal_size", 1)
    assert all(length >= minimum for length, minimum in zip(spec.crop_size, meta["min_size"], strict=True))
    assert spec.download_bytes == round(meta["_file_size"] * 2**20)


def test_sampling_equals_the_recipes() -> None:
    rates = {name: (spec.frames, spec.fps) for name, spec in TORCHVISION_SPECS.items()}
    assert rates.pop("mvit_v2_s") == (16, Fraction(15, 2))
    assert rates.pop("swin3d_t") == (32, Fraction(15))
    assert set(rates.values()) == {(16, Fraction(15))}
    for name in SIX:
        docs = get_model_weights(name).DEFAULT.meta["_docs"]
        assert f"frame_rate={float(TORCHVISION_SPECS[name].fps or 0):g}" in docs


@pytest.mark.parametrize("size", [(97, 150), (300, 171), (256, 256), (128, 171)])
@pytest.mark.parametrize("name", [*SIX, *IMAGES])
def test_inputs_equal_torchvisions_transforms(name: str, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(7).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    clip = model_input(frames, torchvision.spec(name))[0]  # (3, T, H, W)
    transformed = torchvision.get_weights(name).transforms()(torch.from_numpy(frames).permute(0, 3, 1, 2))
    expected = transformed if name in SIX else transformed.transpose(0, 1)
    assert clip.shape == expected.shape
    assert (clip - expected).abs().max() < 1e-5


GRIDS = {
    "r3d_18": (512, 2, 7, 7),
    "mc3_18": (512, 16, 7, 7),
    "r2plus1d_18": (512, 2, 7, 7),
    "s3d": (1024, 2, 7, 7),
    "mvit_v2_s": (768, 8, 7, 7),
    "swin3d_t": (768, 16, 7, 7),
}


@pytest.mark.parametrize("name", SIX)
def test_the_grid_of_the_default_layer(name: str) -> None:
    """Run on torch's meta device, which computes shapes only."""
    spec = TORCHVISION_SPECS[name]
    with torch.device("meta"), torch.no_grad():
        module = torchvision.build(name).eval()
        features, logits = _run(spec.layer or "", module, torch.empty(2, 3, *spec.input_size))
    assert logits.shape == (2, 400)
    reshape = reshape_of(spec)
    assert (features if reshape is None else reshape(features)).shape == (2, *GRIDS[name])


@pytest.mark.parametrize(("name", "size"), [("mc3_18", (2, 32, 32)), ("s3d", (14, 32, 32))])
def test_the_default_layer_is_the_last_block_after_its_relu(name: str, size: tuple[int, int, int]) -> None:
    module = torchvision.build(name).eval()
    trunk = nn.Sequential(*list(module.children())[: 1 if name == "s3d" else 5])
    with torch.no_grad():
        features, trunk_output = _run((TORCHVISION_SPECS[name].layer or ""), module, random_clip(1, 3, *size), trunk)
    assert torch.equal(features, trunk_output)
    assert (features >= 0).all()


def _run(layer: str, module: nn.Module, clip: Tensor, part: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """Run the network, or a part of it. Return the output of a layer and of the whole run."""
    features: list[Tensor] = []
    module.get_submodule(layer).register_forward_hook(lambda _m, _i, output: features.append(output))
    output: Tensor = (part or module)(clip)
    return features[0], output


@pytest.mark.parametrize(
    ("name", "layer", "layout"),
    [
        ("resnet50", "layer4", "frames"),
        ("wide_resnet50_2", "layer4", "frames"),
        ("resnext50_32x4d", "layer4", "frames"),
        ("vgg16", "features.29", "frames"),
        ("swin_t", None, "frames"),
        ("vit_b_16", "encoder.layers.encoder_layer_11.ln_1", (TokenGrid((14, 14)), "frames")),
        ("vit_h_14", "encoder.layers.encoder_layer_31.ln_1", (TokenGrid((37, 37)), "frames")),
        ("vit_b_16@IMAGENET1K_SWAG_E2E_V1", "encoder.layers.encoder_layer_11.ln_1", (TokenGrid((24, 24)), "frames")),
    ],
)
def test_specs_of_image_networks(name: str, layer: str | None, layout: object) -> None:
    spec = torchvision.spec(name)
    assert (spec.name, spec.frames, spec.layer, spec.layout) == (f"torchvision:{name}", 1, layer, layout)
    assert (spec.task, spec.dataset, spec.classes) == ("image classification", "ImageNet-1K", 1000)


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"])
def test_the_layer_of_vgg_is_its_last_relu(name: str) -> None:
    with torch.device("meta"):
        features = torchvision.build(name).get_submodule("features")
    last = max(index for index, part in enumerate(features.children()) if isinstance(part, nn.ReLU))
    assert torchvision.spec(name).layer == f"features.{last}"


def test_every_classification_model_has_a_spec() -> None:
    specs = [torchvision.spec(name) for name in torchvision.names()]
    assert len(specs) > 80
    assert {spec.frames for spec in specs} == {1, 16, 32}


def test_unknown_names() -> None:
    with pytest.raises(NameNotFoundError, match="torchvision model 'resnet5' not found; the nearest are 'resnet"):
        load_model("torchvision:resnet5", device="cpu")
    with pytest.raises(NameNotFoundError, match=r"weights of torchvision's resnet50 'V3' not found; .*IMAGENET1K_V2"):
        load_model("torchvision:resnet50@V3", device="cpu")


def test_an_image_network_takes_clips_of_one_frame(squeezenet: nn.Module) -> None:
    image = random_clip(2, 3, 64, 64)
    with torch.no_grad():
        expected = squeezenet(image)
        network = image_network(get_model("squeezenet1_1", weights=None).eval())
        network.load_state_dict(squeezenet.state_dict())
        assert torch.equal(network(image), expected)
        assert torch.equal(network(image.unsqueeze(2)), expected)
        with pytest.raises(ShapeError, match=r"takes clips \(N, 3, 1, H, W\), got \(2, 3, 4, 64, 64\); set frames=1"):
            network(random_clip(2, 3, 4, 64, 64))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_weights_file(squeezenet: nn.Module, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "squeezenet1_1.pth"
    torch.save(squeezenet.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    model = load_model("torchvision:squeezenet1_1", device="cpu", weights=path)
    assert model.weights == f"squeezenet1_1.pth, sha256 {sha256(path)}"
    assert model.label(1) == "goldfish"
    with torch.no_grad():
        image = grey_input(model.spec)
        assert torch.equal(model.module(image), squeezenet(image.squeeze(2)))


def test_weights_of_another_architecture(squeezenet: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "squeezenet.pth"
    torch.save(squeezenet.state_dict(), path)
    with pytest.raises(
        WeightsError, match=r"the weights in squeezenet\.pth do not fit model 'alexnet' \(16 tensors\): \d+ missing"
    ):
        load_model("torchvision:alexnet", device="cpu", weights=path)


def test_rename_densenet() -> None:
    old = {"features.denseblock1.denselayer1.norm.1.weight": torch.ones(1), "features.norm0.bias": torch.ones(1)}
    assert list(torchvision.rename_densenet(old)) == [
        "features.denseblock1.denselayer1.norm1.weight",
        "features.norm0.bias",
    ]


def test_googlenet_has_its_auxiliary_heads() -> None:
    with torch.device("meta"):
        names = set(torchvision.build("googlenet").state_dict())
    assert {"aux1.fc1.weight", "aux2.fc2.bias"} <= names


def test_offline_and_not_cached(hub: Path) -> None:
    assert not BUILT_IN["s3d"].is_cached
    with pytest.raises(WeightsError) as caught:
        load_model("s3d", device="cpu")
    url = get_model_weights("s3d").DEFAULT.url
    assert str(caught.value) == (
        f"s3d-d76dad2f.pth (34 MB) cannot be downloaded (no network for {url}) and is not in {hub}; connect to the "
        f"network, or download {url} elsewhere and pass it with --weights FILE"
    )
    assert list(hub.iterdir()) == []


def test_downloads_are_stored_in_torch_hubs_cache(
    squeezenet: nn.Module, tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "published"
    torch.save(squeezenet.state_dict(), published)
    digits = sha256(published)[:8]
    downloads = []

    def download(url: str, to: str, *, hash_prefix: str, progress: bool) -> None:
        downloads.append((url, hash_prefix, progress))
        shutil.copy(published, to)

    weights = get_model_weights("squeezenet1_1").DEFAULT
    url = f"https://example.org/squeezenet1_1-{digits}.pth"
    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    monkeypatch.setattr(type(weights), "url", url)
    stages: list[str] = []
    for _ in range(2):
        model = load_model("torchvision:squeezenet1_1", device="cpu", progress=lambda stage, *_: stages.append(stage))
    assert downloads == [(url, digits, False)]
    assert stages == [f"fetching squeezenet1_1-{digits}.pth"]
    assert [path.name for path in hub.iterdir()] == [f"squeezenet1_1-{digits}.pth"]
    assert model.weights == f"torchvision SqueezeNet1_1_Weights.IMAGENET1K_V1, sha256 {digits}…"
    assert all(torch.equal(a, b) for a, b in zip(model.module.parameters(), squeezenet.parameters(), strict=True))


def test_provenance_of_random_weights() -> None:
    model = load_model("torchvision:squeezenet1_1", device="cpu", weights="random")
    assert model.weights == "random (seed 0)"


def test_layouts_of_specs() -> None:
    spec: ModelSpec = TORCHVISION_SPECS["r3d_18"]
    assert spec.layouts == ()
    assert TORCHVISION_SPECS["swin3d_t"].layouts == ("channels-last",)
