"""Hostile files that are not media are used or refused: `scripts/run bench fuzz-files` does the same with thousands."""

from __future__ import annotations

import pytest

from tests.helpers.hostile import KINDS, use

SEEDS, SLOW_SEEDS = 12, 200


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_used_or_refused(kind: str) -> None:
    assert_survived(kind, range(SEEDS))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_hostile_files_are_used_or_refused(kind: str) -> None:
    assert_survived(kind, range(SEEDS, SLOW_SEEDS))


def assert_survived(kind: str, seeds: range) -> None:
    """Use the file of each seed; none may end in another way."""
    uses = {seed: use(kind, seed) for seed in seeds}
    bad = {seed: (each.kind, each.text) for seed, each in uses.items() if each.kind not in ("used", "refused")}
    assert not bad, f"scripts/run bench fuzz-files --kind {kind} --seeds 1 --first SEED"
    assert {each.kind for each in uses.values()} == {"used", "refused"}
