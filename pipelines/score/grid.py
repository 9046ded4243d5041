"""Play the grid pointing game with pairs of scored clips, the measure `grid`.

The pairs are drawn with the run's seed among the clips whose label is the top class with a probability of at least 0.5.
The result of each pair is written to scores/grid.json at once, and an interrupted run plays only the pairs that are
missing. A pair that cannot be played is recorded with its reason; the scores do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from vidcam.cam.explain import explain_each
from vidcam.cam.input_maps import EXPECTED
from vidcam.cam.methods import needs_baseline
from vidcam.errors import VidcamError
from vidcam.metrics.grid import draw_pairs
from vidcam.models.model import Model
from vidcam.pipelines.forward import torch_errors
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.composite import AXIS, Where
from vidcam.pipelines.score.grid_game import SURE, grid_figures
from vidcam.pipelines.score.grid_player import GridPlayer, PairShares
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.samples import Failure, failure, load_sample
from vidcam.pipelines.score.summary import FailedPair, GridResult
from vidcam.pipelines.score.table import ScoreTable
from vidcam.system.json_files import read_json_if_valid, write_json
from vidcam.system.progress import Progress

_PAIRS = 10
"""Part of the seed of the pairs; see `summarise` for the others."""


@dataclass(frozen=True, slots=True)
class PlayedPair:
    """One pair in grid.json.

    Attributes:
        first: index of the left or earlier clip in the set.
        second: index of the other clip.
        shares: method or control → where → shares of the first and the second class; empty if the pair failed.
        reason: why it failed.
    """

    first: int
    second: int
    shares: PairShares = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GridRecord:
    """The content of grid.json: the pairs played so far, and where the clips of a pair are shrunk."""

    pairs: tuple[PlayedPair, ...] = ()
    shrunk: Mapping[Where, bool] = field(default_factory=dict)


def play_grid(
    model: Model,
    request: ScoreRequest,
    entries: Sequence[Entry],
    table: ScoreTable,
    path: Path,
    *,
    progress: Progress,
) -> GridResult:
    """Play the pairs that are not in grid.json, at `path`, and return the means of all; the table has the scores."""
    sure = _sure_clips(table)
    pairs = _draw(table, sure, np.random.default_rng([request.seed, 0, _PAIRS]))
    record = _read(path, request.row_names)
    known = {(pair.first, pair.second): pair for pair in record.pairs if not (pair.reason and request.retry_failed)}
    player = _player(model, request)
    player.shrunk.update(record.shrunk)
    labels = dict(zip(table.clips.clip, table.clips.class_label, strict=True))
    for number, pair in enumerate(pairs):
        if pair not in known:
            classes = model.label_index(labels[pair[0]]), model.label_index(labels[pair[1]])
            known[pair] = _play(player, model, (entries[pair[0]], entries[pair[1]]), classes)
            done = tuple(known[each] for each in pairs if each in known)
            write_json(path, GridRecord(done, player.shrunk), sync=True)
        progress("playing the grid game", number + 1, len(pairs))
    played = [known[pair] for pair in pairs]
    shares = [pair.shares for pair in played if not pair.reason]
    return GridResult(
        candidates=len(sure),
        pairs=len(shares),
        shrunk=tuple(where for where in AXIS if player.shrunk.get(where)) if shares else (),
        methods=grid_figures(shares, seed=request.seed),
        failed=tuple(
            FailedPair(entries[pair.first].name, entries[pair.second].name, pair.reason)
            for pair in played
            if pair.reason
        ),
    )


def _sure_clips(table: ScoreTable) -> list[int]:
    """Return the positions, among the scored clips, of those that are rightly and surely classified."""
    method = table.methods[0]
    is_sure = (table.values(method, "correct") == 1.0) & (table.values(method, "probability") >= SURE)
    return np.flatnonzero(is_sure).tolist()


def _draw(table: ScoreTable, sure: Sequence[int], generator: np.random.Generator) -> list[tuple[int, int]]:
    """Draw pairs of clips of different classes and groups; return their indices in the set."""
    clips = table.clips
    pairs = draw_pairs(
        [clips.class_label[clip] for clip in sure], generator, groups=[clips.group[clip] for clip in sure]
    )
    return [(clips.clip[sure[first]], clips.clip[sure[second]]) for first, second in pairs]


def _read(path: Path, names: Sequence[str]) -> GridRecord:
    """Read grid.json; a damaged file, or one with other rows, costs only the time to play again."""
    record = read_json_if_valid(path, GridRecord) or GridRecord()
    forms = {
        frozenset((name, frozenset(places)) for name, places in pair.shares.items())
        for pair in record.pairs
        if not pair.reason
    }
    is_whole = len(forms) <= 1 and all(name in names and places for form in forms for name, places in form)
    return record if is_whole and forms != {frozenset()} else GridRecord()


def _player(model: Model, request: ScoreRequest) -> GridPlayer:
    methods = tuple(name for name in request.methods if name != EXPECTED)  # it needs other clips of the input's size
    explain = partial(
        explain_each,
        methods=methods,
        layer=request.layers,
        score_scale=request.score_scale,
        fusion=request.fusion,
        steps=request.steps,
        fine=request.fine,
        budget=request.budget,
        seed=request.seed,
    )
    return GridPlayer(
        model,
        model.spec.input_axes,
        explain,
        layer=request.layers,
        needs_baseline=needs_baseline(methods),
        controls=bool(request.controls),
        seed=request.seed,
    )


def _play(player: GridPlayer, model: Model, entries: tuple[Entry, Entry], classes: tuple[int, int]) -> PlayedPair:
    first, second = entries
    places = first.index, second.index
    clips = []
    for entry in entries:
        sample = load_sample(entry, model.spec, model.device)
        if isinstance(sample, Failure):
            return PlayedPair(*places, reason=f"{entry.name}: {sample.reason}")
        clips.append(sample.tensor.unsqueeze(0))
    try:
        with torch_errors(model, 1):
            return PlayedPair(*places, player.play(clips[0], clips[1], classes, number=first.index))
    except VidcamError as exc:
        return PlayedPair(*places, reason=failure(first, exc).reason)
