"""The cases of `results`: what each does for some networks in some rounds, and how many rounds are usual."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scripts.bench import maps
from scripts.bench.access import random_access
from scripts.bench.agreement import agreement
from scripts.bench.by_hand import SIZES, drawing, whole_video
from scripts.bench.exactness import exactness
from scripts.bench.scaling import scaling
from scripts.bench.score import scoring


@dataclass(frozen=True, slots=True)
class Case:
    """What it does, (networks, rounds) → tables, and how many rounds."""

    run: Callable[[Sequence[str], int], Any]
    runs: int


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "forward": Case(lambda names, runs: [maps.forward(name, runs) for name in names], 9),
        "maps": Case(lambda names, runs: [maps.maps(name, runs) for name in names], 7),
        "earlier": Case(lambda names, runs: [maps.maps(name, runs, earlier=True) for name in names], 5),
        "batches": Case(lambda names, runs: maps.batches(names[0], runs), 5),
        "dear": Case(lambda names, runs: [maps.dear(name, runs) for name in names], 3),
        "agreement": Case(lambda _, __: agreement(), 1),
        "exactness": Case(lambda names, _: exactness(names), 1),
        "random": Case(lambda _, runs: random_access(runs), 9),
        "render": Case(lambda _, runs: [drawing(size, runs) for size in SIZES], 5),
        "score": Case(lambda names, _: [scoring(names[0], 6)], 1),
        "video-30s": Case(lambda names, runs: [whole_video(names[-1], 30, runs)], 1),
        "video-10min": Case(lambda _, runs: [whole_video("tiny_r3d", 600, runs)], 1),
        "scaling": Case(lambda names, runs: scaling(names[0], runs), 3),
        "cuda": Case(maps.cuda, 7),
    }
)
