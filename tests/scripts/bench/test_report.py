"""What `results` makes of figures: ratios within a round, targets, and the file of tables."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from scripts.bench import exactness
from scripts.bench.report import results_markdown
from scripts.bench.timing import Row, Table, Target, interleaved, row


def test_a_ratio_is_of_one_round_and_for_one_unit() -> None:
    slow, fast = [(8.0, 4.0), (80.0, 4.0), (8.0, 4.0)], [(1.0, 1.0), (10.0, 1.0), (1.0, 1.0)]
    made = row(slow, fast, 4, 1)
    assert made.ratio == (2.0, 2.0, 2.0)
    assert made.seconds == (2.0, 2.0, 20.0)
    assert made.processor == 1.0
    uneven = row([(4.0, 4.0), (40.0, 4.0), (40.0, 4.0)], slow, 4, 4), row(fast, slow, 1, 4)
    assert uneven[0].over(uneven[1]) == 1.0  # and 10 by the medians of each


def test_works_take_turns_and_each_round_begins_with_another() -> None:
    order: list[str] = []
    rows = interleaved({name: partial(order.append, name) for name in "abc"}, 3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert rows["a"].ratio == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("value", "is_met"), [(1.05, True), (1.054, True), (1.056, False), (None, False)])
def test_a_target_is_met_to_the_digits_that_are_told(value: float | None, is_met: bool) -> None:
    assert Target("a over b", value, 1.05).is_met == is_met


def document(*, gpu: str | None = None, load: float = 0.1) -> dict[str, object]:
    rows = {
        "plain": Row((1.0, 2.0, 3.0), 1.5, (1.0, 1.0, 1.0)),
        "ours": Row((0.5, 1.0, 1.5), 0.7, (0.4, 0.5, 0.6), {"gradcam": 0.9999876, "turned": 1}),
    }
    targets = [
        Target("ours over plain", 0.5, 0.75),
        Target("ours over nothing", 2.0, 1.0, "it is heavy"),
        Target("ours over little", 2.0, 1.0, "it weighs 3 kg", is_shown=True),
    ]
    made = Table("tiny: maps", "Seconds.", rows, targets, 3)
    case = {"tables": [made.document()], "seconds": 120, "load_before": load}
    machine = {"cpu": "a cpu", "cores": 2, "gpu": gpu, "system": "Linux", "python": "3.11"}
    return {"cases": {"maps": case}, "machine": machine, "versions": {"vidcam": "1"}}


def test_the_file_says_what_was_measured_met_and_missed() -> None:
    text = results_markdown(document(), ("maps", "video"))
    assert "| ours | 1 | 0.7 | 0.50 (0.40–0.60) | 0.999988 | 1 |" in text
    assert "| ours over plain | 0.75 | 0.50 | met |" in text
    assert "| ours over nothing | 1.00 | 2.00 | **missed**; supposed reason: it is heavy |" in text
    assert "| ours over little | 1.00 | 2.00 | **missed**; measured: it weighs 3 kg |" in text
    assert "CUDA: not measured: no GPU" in text
    assert "video: not run yet" in text
    assert "Before a case there was a load" not in text
    assert "command line (`docs/speed.md`); not in the cases maps." in text


def test_the_file_says_if_the_machine_was_busy_or_has_a_gpu() -> None:
    text = results_markdown(document(gpu="a gpu", load=7.0), ("maps",))
    assert "load up to 7" in text
    assert "no GPU" not in text


def test_what_fell_otherwise_than_in_float64_is_counted() -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 1), torch.nn.ReLU(), torch.nn.MaxPool3d(2), torch.nn.ReLU())
    clip = torch.randn(1, 3, 2, 4, 4)
    gates, winners, after = exactness.choices(network, clip)
    assert gates.shape == (1, 4, 2, 4, 4)
    assert len(exactness.choices(network, clip, "2")) == 1
    other = gates.clone()
    other[0, 1, 1, 2, 3] = ~other[0, 1, 1, 2, 3]
    assert exactness.turned([other, winners, after], [gates, winners, after]) == 1
    assert not network[2]._forward_hooks
