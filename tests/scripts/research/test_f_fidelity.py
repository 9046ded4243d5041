"""F-Fidelity: its masks, its measures and its tables by hand, and a short run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from scripts.research.f_fidelity import (
    CELLS,
    DRAWS,
    MEASURES,
    SHARES,
    VERSIONS,
    agreement_rows,
    f_fidelity,
    fidelity,
    masks,
    random_mask,
    tau,
)


def test_a_random_mask_hides_its_share() -> None:
    generator = np.random.default_rng(0)
    for share in (0.0, 0.25, 0.5):
        hidden = [float((~random_mask(generator, share)).double().mean()) for _ in range(5)]
        np.testing.assert_allclose(hidden, share, atol=0.002)


def test_masks_hide_the_lower_half_then_about_half_of_the_high_and_of_the_rest() -> None:
    heat = np.zeros((16, 64, 64), np.float32)
    heat[:8] = 1.0  # half of the cells
    keep = masks(heat, torch.Generator().manual_seed(0))
    assert keep.shape == (1 + 2 * DRAWS * len(SHARES), *CELLS)
    assert keep[0, :4].all()
    assert not keep[0, 4:].any()
    high, rest = keep[1:].view(len(SHARES), 2, DRAWS, *CELLS).unbind(dim=1)
    assert high[:, :, 4:].all()  # the highest cells are all in the first half of the frames
    assert rest[-1, :, :4].all()  # the highest half is spared
    for share, hidden in zip(SHARES, (~high).double().mean(dim=(1, 2, 3, 4)).tolist(), strict=True):
        assert hidden == pytest.approx(share / 2, rel=0.2)
    assert float((~rest[0]).double().mean()) == pytest.approx((1 - SHARES[0]) / 2, rel=0.1)


def test_ties_fall_alike_for_all_maps_of_a_clip() -> None:
    first, second = (
        masks(np.full((16, 64, 64), value, np.float32), torch.Generator().manual_seed(3)) for value in (0.0, 1.0)
    )
    assert (first == second).all()
    assert float(first[0].double().mean()) == 0.5


class Table(nn.Module):
    """Gives each clip the logits that stand in its first voxels."""

    def forward(self, clips: Tensor) -> Tensor:
        return clips[:, 0, 0, 0, :2]


def test_what_is_kept_and_lost_by_hand() -> None:
    probabilities = torch.full((2 + 2 * DRAWS * len(SHARES),), 0.8)
    probabilities[1] = 0.4
    probabilities[2:].view(len(SHARES), 2, DRAWS)[:, 0] = 0.5  # the high cells count
    probabilities[2] = 0.1
    logits = torch.stack([probabilities.log(), (1 - probabilities).log()], dim=1)
    kept, high, rest = fidelity(Table(), logits[:, None, None, None], 0)
    assert kept == pytest.approx(np.log(0.5))
    assert high == pytest.approx(0.3 + 0.4 / (DRAWS * len(SHARES)))
    assert rest == pytest.approx(0.0, abs=1e-6)


def test_tau_by_hand() -> None:
    order = np.array([[1.0, 2.0, 3.0]])
    assert tau(order, 5 * order) == [1]
    assert tau(order, -order) == [-1]
    assert tau(order, np.array([[1.0, 3.0, 2.0]])) == pytest.approx([1 / 3])


def test_a_measure_that_should_be_low_counts_the_other_way() -> None:
    energies = {"a": [0.9, 0.8], "b": [0.5, 0.4], "c": [0.1, 0.2]}
    low = {name: [-value for value in values] for name, values in energies.items()}
    values = {"original": {"kept": energies, "Fid+": energies, "Fid-": energies}}
    values["fine-tuned"] = {"kept": low, "Fid+": energies, "Fid-": low}
    rows = list(agreement_rows({"energy": energies, "values": values}))
    assert [[cell.split()[0] for cell in row[1:]] for row in rows] == [
        ["1.00", "-1.00", "-2.00"],
        ["1.00", "1.00", "0.00"],
        ["-1.00", "1.00", "2.00"],
    ]


@pytest.mark.slow
def test_a_short_run_and_its_tables_again(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    short = ["--model", "tiny_c3d", "--steps", "3", "--pool", "8", "8", "--clips", "2", "--out", str(out)]
    threads = torch.get_num_threads()
    try:
        runs = [
            CliRunner().invoke(f_fidelity, options, catch_exceptions=False) for options in (short, ["--from", str(out)])
        ]
    finally:
        torch.set_num_threads(threads)
    lines = runs[1].stdout.splitlines()
    assert runs[0].stdout.splitlines() == lines
    assert lines[0] == "## tiny_c3d"
    assert next(line for line in lines if "| truth |" in line).split(" | ")[1] == "1.00"
    assert [line.split(" | ")[0] for line in lines[-4:-1]] == [f"| {measure}" for measure in MEASURES]
    assert sum(line.startswith(tuple(f"| {version} |" for version in VERSIONS)) for line in lines) == 2
