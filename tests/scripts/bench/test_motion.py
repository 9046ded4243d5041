"""The case `motion`: the maps of a tool, and the controls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from scripts.bench import motion
from scripts.bench.__main__ import bench
from scripts.bench.peers import TOOLS, Tool
from vidcam.models.registry import load_model
from vidcam.pipelines.study.benchmark import network_input
from vidcam.pipelines.study.motion_set import mixed

CLIPS = network_input([request.clip() for request in mixed(2, first_seed=500_000, actors=1)])
CLASSES = torch.tensor([0, 1])
NONE = nn.Identity()


def test_frame_difference_by_hand() -> None:
    clips = torch.zeros(1, 3, 4, 1, 1)
    clips[0, :, 1] = 2.0  # 0, 2, 0, 0 in each colour: steps of 6, 6 and 0
    assert motion.frame_difference(NONE, clips, CLASSES[:1]).ravel().tolist() == [6, 6, 3, 0]


def test_the_positive_part_of_a_signed_map_is_summed_over_colour_and_enlarged() -> None:
    volume = np.array([[[[3.0]], [[-1.0]]], [[[1.0]], [[-2.0]]]])  # two colours, two frames of one cell: sums 4 and -3
    tool = Tool("signed", ("gradcam",), lambda *_: lambda _clip: volume[None])
    network = load_model("tiny_r3d", device="cpu").module
    heat = motion.by_peer(tool, "gradcam", network, CLIPS, CLASSES)
    assert heat.shape == (2, 16, 64, 64)
    assert (heat[:, :4].min(), heat[:, -4:].max()) == (4, 0)


@pytest.mark.parametrize("name", ["tiny_r3d", "tiny_c3d"])
def test_vidcam_beside_the_others_has_the_map_of_a_batch(name: str) -> None:
    network = load_model(name, device="cpu").module
    single = motion.by_peer(TOOLS["vidcam"], "gradcam", network, CLIPS, CLASSES)
    batch = motion.by_vidcam("gradcam", network, CLIPS, CLASSES)
    for one, other in zip(single, batch, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999999
    values = [motion.by_vidcam(method, network, CLIPS, CLASSES) for method in ("gradcam", "neutral-gradcam")]
    assert np.abs(values[0] - values[1]).max() > 0.01  # the baseline is used


def test_the_table_of_two_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("no volumes\nin 3-D")

    monkeypatch.setattr(motion, "installed_peers", lambda: [Tool("pip", ("gradcam",), broken)])  # type: ignore[arg-type]
    tables = motion.motion(2)
    assert [table.title for table in tables] == [
        "Motion benchmark: tiny_r3d at layer3",
        "Motion benchmark: tiny_c3d at relu4",
    ]
    for table in tables:
        (title,) = [title for title in table.rows if title.startswith("pip ")]
        assert table.rows[title].more == {"energy": "**RuntimeError: no volumes**"}
        uniform, difference = (table.rows[f"control: {name}"].more for name in ("uniform", "frame-difference"))
        assert uniform["energy"] == uniform["coverage"] != difference["energy"]
        assert list(uniform) == ["energy", "pointing", "coverage", "temporal IoU"]


def test_the_row_of_your_own_function() -> None:
    run = CliRunner().invoke(bench, ["motion-row", "scripts.bench.motion:uniform", "--clips", "2"])
    assert run.exit_code == 0, run.output
    assert [line.split(" | ")[:2] for line in run.output.splitlines()[2:]] == [
        ["| uniform", "tiny_r3d"],
        ["| uniform", "tiny_c3d"],
    ]
