"""Hostile and damaged files, each used in a process that may crash or hang: what becomes of them.

A file is right if it is `used`, `used, with a warning`, or `refused` by an error of ours in one line, nothing left
behind. Whatever else happens is one of BAD: `crash` (the process died), `hang` (over 60 s), `memory` (over 1 GiB more
than before), `traceback` (another exception, a Python warning), `wrong` (files left behind or missing, an overlay with
other frames than the video, a table without a clip).
"""

from __future__ import annotations

import logging
import random
import resource
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.helpers.fuzz_media import use_media
from tests.helpers.hostile import KINDS as FILE_KINDS
from tests.helpers.mutations import CONTAINERS, mutated, write_case
from vidcam.errors import VidcamError
from vidcam.video.reader import Decoder

GOOD = ("used", "used, with a warning", "refused")
BAD = ("crash", "hang", "memory", "traceback", "wrong")
MEDIA = "media"
KINDS = (MEDIA, *FILE_KINDS)

MOST_SECONDS, MOST_MEBIBYTES = 60.0, 1024.0
_SHEET_EVERY = 31  # so that each container has its turn


@dataclass(frozen=True, slots=True)
class Case:
    """One file.

    Attributes:
        kind: of KINDS.
        seed: of the damage.
        container: of mutations.CONTAINERS, for media; else ''.
        decoder: what reads media.
    """

    kind: str
    seed: int
    container: str = ""
    decoder: Decoder = "auto"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: which.
        damage: the name of what was done to the file.
        result: one of GOOD or BAD.
        text: the error or the warnings.
        seconds: that it took.
        mebibytes: largest memory of the process, less that before the file was used.
    """

    case: Case
    damage: str
    result: str
    text: str
    seconds: float = 0.0
    mebibytes: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether that must not happen."""
        return self.result not in GOOD


def cases_for(
    kind: str, seeds: Iterable[int], *, decoder: Decoder = "auto", container: str | None = None
) -> list[Case]:
    """A case for each seed; the containers of media in turn unless one is named."""
    if kind != MEDIA:
        return [Case(kind, seed) for seed in seeds]
    return [Case(kind, seed, container or CONTAINERS[seed % len(CONTAINERS)], decoder) for seed in seeds]


class _Heard(logging.Handler):
    """Collects the library's warnings, and the exceptions that nobody can catch."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []
        self.stray: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())

    def __enter__(self) -> _Heard:
        logging.getLogger("vidcam").addHandler(self)
        self._former = sys.unraisablehook, threading.excepthook
        sys.unraisablehook = lambda unraisable: self.stray.append(repr(unraisable.exc_value))
        threading.excepthook = lambda args: self.stray.append(repr(args.exc_value))
        return self

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook, threading.excepthook = self._former
        logging.getLogger("vidcam").removeHandler(self)


def use(case: Case, folder: Path) -> Outcome:
    """Write the file of a case into an empty folder and use it, in this process, which it may take down."""
    damage, path = _written(case, folder)
    with _Heard() as heard, warnings.catch_warnings():
        warnings.simplefilter("error")
        before, started = _start_peak(), time.perf_counter()
        result, text = _used(case, path)
        seconds, mebibytes = time.perf_counter() - started, max(0.0, _peak_mebibytes() - before)
    text = "; ".join(part for part in (text, *heard.sentences) if part)
    if heard.stray:
        result, text = "traceback", "; ".join(heard.stray)
    elif result in GOOD and (left := [file.name for file in folder.rglob(".*.part*")]):
        result, text = "wrong", f"{left} left behind; {text}"
    elif result in GOOD and seconds > MOST_SECONDS:
        result = "hang"
    elif result in GOOD and mebibytes > MOST_MEBIBYTES:
        result = "memory"
    elif result == "used" and text:
        result = "used, with a warning"
    return Outcome(case, damage, result, text, seconds, mebibytes)


def _written(case: Case, folder: Path) -> tuple[str, Path]:
    if case.kind == MEDIA:
        damage, content = mutated(case.container, case.seed)
        return damage, write_case(case.container, content, folder)
    write, _ = FILE_KINDS[case.kind]
    with np.errstate(all="ignore"):
        return "", write(folder, random.Random(f"{case.kind} {case.seed}"))  # noqa: S311 – files only


def _used(case: Case, path: Path) -> tuple[str, str]:
    try:
        if case.kind == MEDIA:
            return "used", "; ".join(use_media(path, case.decoder, has_sheet=case.seed % _SHEET_EVERY == 0))
        FILE_KINDS[case.kind][1](path)
    except VidcamError as exc:
        is_one_line = len(str(exc).splitlines()) == 1
        return "refused" if is_one_line else "traceback", f"{type(exc).__name__}: {exc}"
    except AssertionError:
        return "wrong", traceback.format_exc()
    except BaseException:  # this is what is looked for
        return "traceback", traceback.format_exc()
    return "used", ""


_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _start_peak() -> float:
    """Forget the largest memory so far, where the system can; returns the memory in use in MiB."""
    if not _CLEAR.exists():
        return _peak_mebibytes()
    _CLEAR.write_text("5", "ascii")
    return _memory("VmRSS")


def _peak_mebibytes() -> float:
    if _STATUS.exists():
        return _memory("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _memory(name: str) -> float:
    (line,) = [line for line in _STATUS.read_text("ascii").splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024
