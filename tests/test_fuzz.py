"""Hostile and damaged files are used, with or without a warning, or refused by an error of ours: nothing else.

`scripts/run bench fuzz` does the same with thousands.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import fuzz
from tests.helpers.fuzz import KINDS, MEDIA, Case, Outcome, cases_for, use
from tests.helpers.fuzz_workers import Worker, run
from tests.helpers.mutations import CONTAINERS, MUTATIONS, mutated, sample, write_case
from vidcam.errors import MediaError
from vidcam.video import open_video

SEEDS, SLOW_SEEDS, DECORD_SEEDS = 6, 200, 50
PLAYLIST = "playlist.m3u8"


def assert_survived(outcomes: list[Outcome]) -> None:
    bad = [(each.case, each.result, each.text) for each in outcomes if each.is_bad]
    assert not bad, "scripts/run bench fuzz --seeds 1 --kind KIND --first SEED"
    assert {"used", "refused"} <= {each.result for each in outcomes}


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_used_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes = []
    for case in cases_for(kind, range(SEEDS)):
        folder = tmp_path / str(case.seed)
        folder.mkdir()
        outcomes.append(use(case, folder))
    assert_survived(outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_hostile_files_are_used_or_refused(kind: str) -> None:
    decord = cases_for(MEDIA, range(DECORD_SEEDS), decoder="decord") if kind == MEDIA else []
    assert_survived(list(run([*cases_for(kind, range(SEEDS, SLOW_SEEDS)), *decord])))


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != PLAYLIST])
def test_whole_files_are_explained_without_a_word(name: str, tmp_path: Path) -> None:
    with open_video(write_case(name, sample(name).content, tmp_path)) as reader:
        assert sum(1 for _ in reader.frames()) == reader.info.frame_count
        assert [note for note in reader.notes if "no frame rate was given" not in note] == []


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != "hevc.mp4"])
def test_a_seed_makes_the_same_bytes(name: str) -> None:
    """But for HEVC: of 150 runs of x265 about a fifth write other bytes, on one thread and without assembly too."""
    content = sample(name).content
    sample.cache_clear()
    assert sample(name).content == content
    assert mutated(name, 7) == mutated(name, 7)


def test_every_mutation_changes_something() -> None:
    content = sample("h264.mp4").content
    for mutation in MUTATIONS.values():
        made = {hashlib.sha256(mutation(content, np.random.default_rng(seed))).digest() for seed in range(8)}
        assert len(made) > 1


class TestWorker:
    """The watch must see what it is there for."""

    CASE = Case("weights", 0)

    def test_a_crash_is_seen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        worker = Worker(hang_seconds=30)
        connection = worker.connection()
        monkeypatch.setattr(connection, "send", lambda _: os.kill(worker.process_id, signal.SIGSEGV))
        outcome = worker.outcome(self.CASE)
        assert (outcome.result, outcome.text) == ("crash", f"the process ended with {-signal.SIGSEGV}")

    def test_a_hang_is_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        worker = Worker(hang_seconds=1)
        connection = worker.connection()
        monkeypatch.setattr(connection, "send", lambda _: os.kill(worker.process_id, signal.SIGSTOP))
        started = time.perf_counter()
        outcome = worker.outcome(self.CASE)
        assert (outcome.result, outcome.text) == ("hang", "no end after 1 s")
        assert time.perf_counter() - started < 10


def result_of(monkeypatch: pytest.MonkeyPatch, folder: Path, error: Exception | None = None) -> Outcome:
    """What becomes of a video whose use raises an error."""

    def use_media(*_: object, **__: object) -> list[str]:
        if error is not None:
            raise error
        return []

    monkeypatch.setattr(fuzz, "use_media", use_media)
    return use(cases_for(MEDIA, [0])[0], folder)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (KeyError("x"), "traceback"),
        (UserWarning("x"), "traceback"),
        (MediaError("one\ntwo"), "traceback"),
        (MediaError("one"), "refused"),
        (AssertionError("x"), "wrong"),
        (None, "used"),
    ],
)
def test_kinds_of_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception | None, result: str) -> None:
    assert result_of(monkeypatch, tmp_path, error).result == result


def test_what_is_left_behind_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".video.0123456789abcdef.part.mp4").touch()
    outcome = result_of(monkeypatch, tmp_path, MediaError("one"))
    assert outcome.result == "wrong"
    assert "left behind" in outcome.text


def test_a_python_warning_is_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def use_media(*_: object, **__: object) -> list[str]:
        warnings.warn("x", RuntimeWarning, stacklevel=1)
        return []

    monkeypatch.setattr(fuzz, "use_media", use_media)
    assert use(cases_for(MEDIA, [0])[0], tmp_path).result == "traceback"


@pytest.mark.skipif(not fuzz._CLEAR.exists(), reason="needs the largest memory since a moment")
def test_memory_is_that_of_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = iter((200, 50))

    def use_media(*_: object, **__: object) -> list[str]:
        with mmap.mmap(-1, next(sizes) << 20) as block:  # not from the C library, which may keep what was freed
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1
            return ["a warning"]

    monkeypatch.setattr(fuzz, "use_media", use_media)
    monkeypatch.setattr(fuzz, "MOST_MEBIBYTES", 150)
    first, second = (use(case, tmp_path) for case in cases_for(MEDIA, [0, 1], container="h264.mp4"))
    assert (first.result, second.result) == ("memory", "used, with a warning")
    assert [first.mebibytes, second.mebibytes] == pytest.approx([200, 50], abs=20)
