"""What the shell completes, asked through click's own classes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from vidcam.cam.methods import ALL_METHODS
from vidcam.cli.app import commands
from vidcam.cli.completion import METHODS


def completed(*words: str) -> list[str]:
    """What bash offers for the last word."""
    shell = BashComplete(commands, {}, "vidcam", "_VIDCAM_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


def kinds(*words: str) -> list[str]:
    shell = BashComplete(commands, {}, "vidcam", "_VIDCAM_COMPLETE")
    return [item.type for item in shell.get_completions(list(words[:-1]), words[-1])]


def test_the_names_of_methods_are_those_of_the_core() -> None:
    assert sorted(METHODS) == sorted(ALL_METHODS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ex",), ["explain"]),
        (("la",), ["layers", "labels"]),
        (("explain", "--method", "layer"), ["layercam"]),
        (("explain", "--method", "gradcam,hires"), ["gradcam,hirescam"]),
        (
            ("explain", "--model", "tiny"),
            ["tiny_r3d", "tiny_c3d", "tiny_vit", "tiny_vit_cls", "tiny_gap", "tiny_vgg", "tiny_captioner"],
        ),
        (("layers", "tiny_r"), ["tiny_r3d"]),
        (("labels", "c3d_u"), ["c3d_ucf101"]),
        (("explain", "--model", "r3d_18", "--layer", ""), ["layer4"]),
        (("explain", "--layer", ""), ["Mixed_5c"]),
        (("explain", "--model", "tiny_r3d", "--target", "wheel"), ["wheel down", "wheel up"]),
        (("explain", "--target", ""), ["per-window", "above:"]),
        (("explain", "--model", "tiny_r3d", "--model", "r3d_18", "--layer", "layer"), ["layer4", "layer3"]),
        (("explain", "--sheet-format", ""), ["png", "svg", "pdf"]),
        (
            ("explain", "--outputs", "overlay,"),
            ["overlay,map", "overlay,sheet", "overlay,report", "overlay,data", "overlay,none"],
        ),
        (("explain", "--fill", "b"), ["black", "blur"]),
        (("render", "--style", "s"), ["side-by-side"]),
        (("render", "--colormap", "vir"), ["viridis"]),
        (("score", "--measures", "drop,re"), ["drop,relative", "drop,retention"]),
        (("explain", "--conf"), ["--config"]),
    ],
)
def test_values(words: tuple[str, ...], expected: list[str]) -> None:
    assert completed(*words) == expected


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "vid"),
        ("explain", "-o", "out"),
        ("explain", "--config", ""),
        ("explain", "--weights", ""),
        ("render", "out/v"),
        ("score", "cl"),
    ],
)
def test_files(words: tuple[str, ...]) -> None:
    assert kinds(*words) == ["file"]


@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete])
def test_each_shell_has_its_script(shell: type[BashComplete | ZshComplete | FishComplete]) -> None:
    assert "_VIDCAM_COMPLETE" in shell(commands, {}, "vidcam", "_VIDCAM_COMPLETE").source()


@pytest.mark.parametrize("words", ["vidcam explain --method gra", "vidcam explain --target ", "vidcam labels "])
def test_completion_imports_no_torch(words: str) -> None:
    program = (
        "import sys\nfrom vidcam.cli.app import main\ntry:\n    main([])\nfinally:\n"
        "    assert not {'torch', 'av', 'matplotlib', 'torchvision'} & set(sys.modules), 'heavy imports'\n"
    )
    environment = {"_VIDCAM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plain,")
