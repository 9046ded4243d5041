"""The measure `grid` of `vidcam score`: pairs, files, resuming, failures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.grids import ChannelNet, FixedChannelNet, channel_model, write_coloured_set
from vidcam.models.model import Model
from vidcam.pipelines.score import grid
from vidcam.pipelines.score.grid import GridRecord
from vidcam.pipelines.score.grid_player import GridPlayer
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.summary import GridResult, Mean, Summary
from vidcam.system.json_files import read_json

CLASSES = [0, 1, 2, 0, 1, 2, 0, 1]
LABELS = ["red", "green", "blue", "red", "green", "blue", "green", ""]
"""The seventh is wrong, and the last has none: neither is played."""

OPTIONS = ScoreOptions(methods=("gradcam", "gradcam++"), measures="grid")
ONE = Mean(1.0, 1.0, 1.0, 3)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_coloured_set(tmp_path / "set", CLASSES, LABELS)


def model(network: type[ChannelNet] = ChannelNet) -> Model:
    return channel_model(network, scale=20.0)


def scored(
    manifest: Path, out: Path, *, model: Model, options: ScoreOptions = OPTIONS
) -> tuple[ScoredClips, GridResult]:
    result = score_set(manifest, out, options, model=model)
    assert result.summary.grid is not None
    return result, result.summary.grid


@pytest.mark.parametrize("network", [ChannelNet, FixedChannelNet])
def test_it_is_played_with_the_clips_that_are_rightly_and_surely_classified(
    network: type[ChannelNet], manifest: Path, tmp_path: Path
) -> None:
    _, found = scored(manifest, tmp_path / "out", model=model(network))
    assert (found.candidates, found.pairs, found.failed) == (6, 3, ())
    assert found.shrunk == (("space", "time") if network is FixedChannelNet else ())
    for method in ("gradcam", "gradcam++"):
        figures = found.methods[method]
        assert figures.space == figures.time == figures.space_right_side == figures.time_right_side == ONE
    uniform = found.methods["uniform"].space
    assert uniform is not None
    assert uniform.value == pytest.approx(0.5)
    assert read_json(tmp_path / "out" / "summary.json", Summary).grid == found
    report = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "| gradcam | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |" in report
    assert ("shrunk into one input (space and time)" in report) == (network is FixedChannelNet)


def test_pairs_have_two_classes_and_no_clip_twice(manifest: Path, tmp_path: Path) -> None:
    scored(manifest, tmp_path / "out", model=model())
    record = read_json(tmp_path / "out" / "scores" / "grid.json", GridRecord)
    clips = [clip for pair in record.pairs for clip in (pair.first, pair.second)]
    assert sorted(clips) == [0, 1, 2, 3, 4, 5]
    assert all(CLASSES[pair.first] != CLASSES[pair.second] for pair in record.pairs)


def test_only_missing_pairs_are_played_again(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[int] = []
    play = GridPlayer.play

    def counted(player: GridPlayer, first: Tensor, second: Tensor, classes: tuple[int, int], *, number: int) -> object:
        if len(played) == 2:
            played.append(-1)
            raise KeyboardInterrupt
        played.append(number)
        return play(player, first, second, classes, number=number)

    monkeypatch.setattr(GridPlayer, "play", counted)
    with pytest.raises(KeyboardInterrupt):
        scored(manifest, tmp_path / "out", model=model(FixedChannelNet))
    result, found = scored(manifest, tmp_path / "out", model=model(FixedChannelNet))
    assert len(played) == 4  # two, the interrupt, and the third
    assert result.forwards == (0, 0)
    monkeypatch.undo()
    assert found == scored(manifest, tmp_path / "undisturbed", model=model(FixedChannelNet))[1]
    assert found.shrunk == ("space", "time")


def test_the_budget_holds_in_the_game_too(tmp_path: Path) -> None:
    class CountedNet(ChannelNet):
        runs = 0

        def forward(self, clip: Tensor) -> Tensor:
            CountedNet.runs += 1
            return super().forward(clip)

    options = ScoreOptions(methods=("gradcam", "occlusion"), measures="grid", budget=9, controls=False)
    manifest = write_coloured_set(tmp_path / "set", [0, 1], ["red", "green"])
    scored(manifest, tmp_path / "out", model=model(CountedNet), options=options)
    assert CountedNet.runs < 100  # 9 for each of 2 clips and for each of 4 maps in the game, and some more


def test_a_failure_of_the_game_does_not_lose_the_scores(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_keywords: object) -> object:
        raise RuntimeError("this network has a bad day")

    monkeypatch.setattr(GridPlayer, "play", broken)
    result, found = scored(manifest, tmp_path / "out", model=model())
    assert result.table.n == 8
    assert (found.pairs, found.methods) == (0, {})
    assert len(found.failed) == 3
    assert "bad day" in found.failed[0].reason
    report = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "3 pairs could not be played" in report
    monkeypatch.undo()
    assert scored(manifest, tmp_path / "out", model=model())[1] == found  # failures are kept, as those of clips are
    again = ScoreOptions(methods=("gradcam", "gradcam++"), measures="grid", retry_failed=True)
    assert scored(manifest, tmp_path / "out", model=model(), options=again)[1].pairs == 3


def test_a_clip_that_is_gone_is_a_failed_pair(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scored(manifest, out, model=model())
    (out / "scores" / "grid.json").write_text("damaged")
    (manifest.parent / "clip0.mkv").unlink()
    _, found = scored(manifest, out, model=model())
    assert found.pairs == 2
    assert found.failed[0].reason.startswith("clip0.mkv: ")


def test_without_labels_there_is_no_game(tmp_path: Path) -> None:
    manifest = write_coloured_set(tmp_path / "set", [0, 1], ["", ""])
    _, found = scored(manifest, tmp_path / "out", model=model())
    assert (found.candidates, found.pairs, found.methods) == (0, 0, {})
    assert "Not played: 0 clips" in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_overwrite_forgets_the_pairs(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored(manifest, tmp_path / "out", model=model())
    path = tmp_path / "out" / "scores" / "grid.json"
    monkeypatch.setattr(grid, "write_json", lambda *_arguments, **_keywords: None)
    scored(
        manifest,
        tmp_path / "out",
        model=model(),
        options=ScoreOptions(methods="gradcam", measures="grid", overwrite=True),
    )
    assert not path.exists()


def test_the_weights_are_left_as_they_were(manifest: Path, tmp_path: Path) -> None:
    network = model(FixedChannelNet)
    before = network.module.get_parameter("fc.weight").detach().clone()
    scored(manifest, tmp_path / "out", model=network)
    assert torch.equal(network.module.get_parameter("fc.weight"), before)
