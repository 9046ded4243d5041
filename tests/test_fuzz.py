"""Damaged files end as a result, with or without a warning, or as an error of ours: never in any other way.

`scripts/run bench fuzz` does the same with thousands.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import fuzz
from tests.helpers.fuzz import BAD, GOOD, Driver, Outcome, Worker, cases_for, run
from tests.helpers.mutations import CONTAINERS, MUTATIONS, mutated, sample, write_case
from vidcam.errors import MediaError
from vidcam.video import open_video

SEEDS = 300
DECORD_SEEDS = 50


def told(outcomes: list[Outcome]) -> str:
    """What to run to see each bad outcome again."""
    return "\n".join(
        f"{one.kind}: scripts/run bench fuzz --seed {one.case.seed} --container {one.case.container}\n{one.text}"
        for one in outcomes
    )


@pytest.mark.slow
def test_every_outcome_is_one_of_ours() -> None:
    cases = [*cases_for(range(SEEDS)), *cases_for(range(DECORD_SEEDS), decoder="decord")]
    outcomes = list(run(cases))
    bad = [outcome for outcome in outcomes if outcome.is_bad]
    assert not bad, told(bad)
    assert {outcome.kind for outcome in outcomes} == set(GOOD)


@pytest.mark.parametrize("name", CONTAINERS)
def test_whole_files_are_explained_without_a_word(name: str, tmp_path: Path) -> None:
    with open_video(write_case(name, sample(name).content, tmp_path)) as reader:
        assert sum(1 for _ in reader.frames()) == reader.info.frame_count
        assert [note for note in reader.notes if "no frame rate was given" not in note] == []


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_seed_makes_the_same_bytes(name: str) -> None:
    content = sample(name).content
    sample.cache_clear()
    assert sample(name).content == content
    assert mutated(name, 7) == mutated(name, 7)


def test_every_mutation_changes_something() -> None:
    content = sample("vp9.webm").content
    for mutation in MUTATIONS.values():
        made = {hashlib.sha256(mutation(content, np.random.default_rng(seed))).digest() for seed in range(8)}
        assert len(made) > 1


class TestWorker:
    """The watch must see what it is there for."""

    def test_a_crash_is_seen(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        worker = Worker(hang_seconds=30)
        connection = worker.connection()
        monkeypatch.setattr(connection, "send", lambda _: os.kill(worker.process_id, signal.SIGSEGV))
        assert worker.outcome(tmp_path, tmp_path, decoder="auto", has_sheet=False) == (
            "crash",
            f"the process ended with {-signal.SIGSEGV}",
        )

    def test_a_hang_is_ended(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        worker = Worker(hang_seconds=1)
        connection = worker.connection()
        monkeypatch.setattr(connection, "send", lambda _: os.kill(worker.process_id, signal.SIGSTOP))
        started = time.perf_counter()
        kind, text = worker.outcome(tmp_path, tmp_path, decoder="auto", has_sheet=False)
        assert (kind, text) == ("hang", "no end after 1 s")
        assert time.perf_counter() - started < 10


class TestDriver:
    @pytest.fixture
    def driver(self, monkeypatch: pytest.MonkeyPatch) -> Driver:
        monkeypatch.setattr(fuzz, "watch_process", lambda _: None)
        return Driver()

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (KeyError("x"), "traceback"),
            (UserWarning("x"), "traceback"),
            (MediaError("one\ntwo"), "traceback"),
            (MediaError("one"), "refused"),
        ],
    )
    def test_kinds_of_errors(
        self, driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, kind: str
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(driver, "_explained", fail)
        assert driver.outcome(tmp_path, tmp_path / "out", decoder="auto")[0] == kind

    def test_what_is_left_behind_is_wrong(self, driver: Driver, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "half.mp4").touch()
        kind, text = driver.outcome(tmp_path / "nothing.mp4", tmp_path / "out", decoder="auto")
        assert kind == "wrong"
        assert "half.mp4" in text

    def test_memory_is_measured(self, driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(fuzz, "MEMORY_BYTES", -1)
        assert driver.outcome(tmp_path / "nothing.mp4", tmp_path / "out", decoder="auto")[0] == "memory"

    def test_kinds_are_told_apart(self) -> None:
        assert not set(GOOD) & set(BAD)
