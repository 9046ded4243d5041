"""Shards: the clips of a set in N parts of about the same size, each scored by a run of its own.

Shard I of N has the clips [n(I-1)/N, nI/N), so that the parts of all shards follow each other as those of one run do.
Its settings are those of the whole set. `shard.json` says which shard a folder has.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch

from vidcam.errors import InputError, OutputError
from vidcam.pipelines.report.video_folders import VideoFolders
from vidcam.pipelines.score.parts import parts_in
from vidcam.system.json_files import read_json, write_json


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of `of`, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read '3/16'.

        Raises:
            InputError: it is no shard.
        """
        match = re.fullmatch(r"(\d{1,7})/(\d{1,7})", text)
        number, of = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= of:
            raise InputError(f"--shard is {text!r}; expected I/N with I from 1 to N, such as 3/16")
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def clips(self, total: int) -> range:
        """Return the indices of its clips, of a set of `total` clips."""
        return range(total * (self.number - 1) // self.of, total * self.number // self.of)


def _machine() -> str:
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """The content of scores/shard.json.

    Attributes:
        shard: which shard it is.
        clips: number of clips of the whole set.
        row_names: names of the rows of each clip.
        ignored_columns: columns of the manifest that have no meaning here.
        folders: where the videos of its clips lie.
        machine: processor and the instructions that PyTorch uses, on which the last digits depend.
    """

    shard: Shard
    clips: int
    row_names: tuple[str, ...]
    ignored_columns: tuple[str, ...] = ()
    folders: VideoFolders = field(default_factory=VideoFolders)
    machine: str = field(default_factory=_machine)


def _path(out: Path) -> Path:
    return out / "scores" / "shard.json"


def read_record(out: Path) -> ShardRecord | None:
    """Return which shard a folder has; None if it has none.

    Raises:
        OutputError: the file is damaged.
    """
    try:
        return read_json(_path(out), ShardRecord)
    except FileNotFoundError:
        return None
    except InputError as exc:
        raise OutputError(f"{exc}; pass --overwrite to start again") from exc


def write_record(out: Path, record: ShardRecord) -> None:
    """Write down which shard a folder has."""
    write_json(_path(out), record, sync=True)


def require_shard(out: Path, shard: Shard | None, *, clips: int, overwrite: bool) -> None:
    """Require that the rows in a folder are those of this shard, or for None of the whole set.

    Args:
        out: the folder.
        shard: the shard to score.
        clips: number of clips of the set.
        overwrite: whether the rows will be replaced.

    Raises:
        InputError: there are more shards than clips.
        OutputError: the rows are of another shard.
    """
    if shard is not None and shard.of > clips:
        raise InputError(f"--shard is {shard}, but the set has only {clips} clips; use at most {clips} shards")
    record = None if overwrite else read_record(out)
    former = None if record is None else record.shard
    if former != shard and not overwrite and parts_in(out / "scores"):
        had = "the whole set" if former is None else f"shard {former}"
        raise OutputError(f"{out} has scores of {had}; choose another folder (-o), or pass --overwrite")
