"""The ground-truth table: its maps, measures and rows."""

from __future__ import annotations

import numpy as np
from click.testing import CliRunner

from scripts.research.groundtruth import ONE_ACTOR, SEVERAL, groundtruth, measures
from scripts.research.motion_maps import CONTROLS, averaged, explain_clips, methods_for, positive_part
from vidcam.models.registry import load_model
from vidcam.motion import make_clip


def test_the_share_of_each_cell_by_hand() -> None:
    region = np.zeros((4, 4, 2), np.bool_)
    region[0, :2] = True  # half of a cell of 2 frames × 2 rows × 1 column
    region[2:, 2:, 1] = True
    shares = averaged(region, (2, 2, 2))
    np.testing.assert_allclose(shares.ravel(), [0.5, 0.5, 0, 0, 0, 0, 0, 1])


def test_the_positive_part_of_a_pixel_is_that_of_its_sum() -> None:
    values = np.array([[3.0, 1.0], [-2.0, -4.0], [1.0, 0.5]]).reshape(1, 3, 1, 1, 2)
    np.testing.assert_array_equal(positive_part(values), [[[[2.0, 0.0]]]])


def test_every_method_and_control_is_measured() -> None:
    clips = [make_clip(seed, seed % 8, actors=2) for seed in range(4)]
    model = load_model("tiny_r3d", device="cpu")
    explained = list(explain_clips(model, clips))
    assert list(explained[0].heats) == [*methods_for(model), *CONTROLS]
    assert "cam" in explained[0].heats
    assert "cam" not in methods_for(load_model("tiny_c3d", device="cpu", weights="random"))
    for entry, clip in zip(explained, clips, strict=True):
        assert entry.instances.shape == clip.masks.shape
        assert all(heat.shape == (16, 64, 64) and 0 <= heat.min() <= heat.max() <= 1 for heat in entry.heats.values())
    values = {name: measures(explained, name) for name in ("answer", "random", "cam", "hirescam", "guided-gradcam")}
    assert set(ONE_ACTOR) | set(SEVERAL) == set(values["answer"])
    for measure in ("pointing", "energy", "coverage", "recall", "temporal IoU"):
        assert values["answer"][measure].mean() > values["random"][measure].mean(), measure
    assert values["guided-gradcam"]["energy"].mean() > 3 * values["hirescam"]["energy"].mean()
    np.testing.assert_allclose(values["cam"]["energy"], values["hirescam"]["energy"], rtol=1e-4)


def test_the_same_table_twice() -> None:
    runs = [
        CliRunner().invoke(groundtruth, ["--model", "tiny_c3d", "--clips", "4", "--several", "2"]) for _ in range(2)
    ]
    assert [run.exit_code for run in runs] == [0, 0]
    assert runs[0].output == runs[1].output
    lines = runs[0].output.splitlines()
    assert lines[0] == "## tiny_c3d, relu4"
    assert lines[2].startswith("One actor: 4 clips, ")
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in lines[6 : lines.index("", 4)]}
    assert rows["centre"][1] == "–"
    assert len({len(row) for row in rows.values()}) == 1
    assert sum(line.startswith("| gradcam++ - gradcam |") for line in lines) == 2  # one actor, and several
