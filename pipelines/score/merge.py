"""Merge the shards of a set: the parts of all shards, in order, are those of one run.

Nothing is scored and no model is loaded. Parts are copied and read one at a time. The merged folder is one of an
ordinary run: the command of the whole set resumes it, and adds what needs the model (`--sanity`, `--render-worst`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from vidcam.errors import InputError
from vidcam.pipelines.report.video_folders import VideoFolders
from vidcam.pipelines.score.columns import score_columns, thetas_of
from vidcam.pipelines.score.parts import clips_of, parts_in, read_part
from vidcam.pipelines.score.results import ModelResults, RunFacts, write_results
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.settings import Provenance, Settings, differences, read_settings
from vidcam.pipelines.score.shards import ShardRecord, read_record
from vidcam.pipelines.score.store import check_folder, open_store
from vidcam.system.progress import Progress, silent

MERGING = "merging shards"
"""Name of the stage in the progress display."""


@dataclass(frozen=True, slots=True)
class ScoredShard:
    """A folder of `vidcam score --shard`."""

    folder: Path
    settings: Settings
    record: ShardRecord

    @property
    def parts(self) -> list[Path]:
        """The parts, in order."""
        return parts_in(self.folder / "scores")


@dataclass(frozen=True, slots=True)
class MergedShards:
    """The result of `merge_shards`.

    Attributes:
        scored: the results of the whole set.
        notes: sentences about what may differ from one run in the last digits.
    """

    scored: ScoredClips
    notes: tuple[str, ...]


def merge_shards(
    folders: Sequence[Path], out: Path, *, overwrite: bool = False, command: str = "", progress: Progress = silent
) -> MergedShards:
    """Merge the shards of a set into one folder of results; a merge that was killed is completed.

    Args:
        folders: one for each shard, in any order.
        out: folder of the results.
        overwrite: replace existing results.
        command: the command line, for the report.
        progress: called after each shard.

    Raises:
        InputError: a folder has no shard, a shard is missing, doubled or incomplete, or the settings differ.
        OutputError: the folder has other scores, or a part is damaged.
    """
    shards = _in_order([_read(folder) for folder in folders])
    first = shards[0]
    settings = replace(first.settings, provenance=tuple(_provenance(shards)))
    columns = score_columns(settings.measures, thetas_of(settings.measures), label_in_top=settings.label_in_top)
    for shard in shards:
        _require_complete(shard)
    if not overwrite:
        _require_only(out, {part.name for shard in shards for part in shard.parts})
    with open_store(out, settings, columns, overwrite=overwrite) as store:
        store.adopt(_parts(shards, progress))
        store.require_whole(None, first.record.row_names)
        record = first.record
        facts = RunFacts(
            columns=columns,
            row_names=record.row_names,
            ignored_columns=record.ignored_columns,
            command=command,
            folders=VideoFolders.joined(shard.record.folders.moved(shard.folder, out) for shard in shards),
        )
        scored = write_results(out, store, facts, of_model=ModelResults(), progress=progress)
    return MergedShards(scored, tuple(_notes(shards)))


def _read(folder: Path) -> ScoredShard:
    settings, record = read_settings(folder / "scores" / "settings.json"), read_record(folder)
    if settings is None or record is None:
        raise InputError(f"{folder} has no shard; pass folders that `vidcam score --shard I/N -o FOLDER` wrote")
    check_folder(folder, settings, overwrite=False)  # no run may be writing to it
    return ScoredShard(folder, settings, record)


def _in_order(shards: Sequence[ScoredShard]) -> list[ScoredShard]:
    """Sort shards by their number.

    Raises:
        InputError: a shard is missing or doubled, or the settings differ.
    """
    first = shards[0]
    for shard in shards:
        if changes := differences(first.settings, shard.settings):
            raise InputError(
                f"{first.folder} and {shard.folder} have other settings ({changes}); score one of them again"
            )
        if shard.record.shard.of != first.record.shard.of:
            raise InputError(
                f"{first.folder} is shard {first.record.shard}, {shard.folder} is shard {shard.record.shard}; "
                f"merge shards of one number N"
            )
    of = first.record.shard.of
    counts = Counter(shard.record.shard.number for shard in shards)
    if doubled := [number for number, count in counts.items() if count > 1]:
        same = [str(shard.folder) for shard in shards if shard.record.shard.number == doubled[0]]
        raise InputError(f"shard {doubled[0]}/{of} is there {len(same)} times ({', '.join(same)}); pass one of them")
    if missing := [number for number in range(1, of + 1) if number not in counts]:
        raise InputError(f"shards are missing: {_ranges(missing)} of {of}; score them with --shard I/{of}")
    return sorted(shards, key=lambda shard: shard.record.shard.number)


def _ranges(numbers: Sequence[int]) -> str:
    """Write increasing numbers shortly: '3, 7-12'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _parts(shards: Sequence[ScoredShard], progress: Progress) -> Iterator[Path]:
    for number, shard in enumerate(shards, start=1):
        yield from shard.parts
        progress(MERGING, number, len(shards))


def _require_complete(shard: ScoredShard) -> None:
    clips, parts = shard.record.shard.clips(shard.record.clips), shard.parts
    done = clips_of(parts[-1])[1] if parts else clips.start
    if done != clips.stop:
        raise InputError(
            f"shard {shard.record.shard} in {shard.folder} has {done - clips.start} of its {len(clips)} clips; "
            f"run its command again"
        )


def _require_only(out: Path, names: set[str]) -> None:
    """Require that a folder has no parts but those of the shards, as a merge that was killed leaves."""
    if any(part.name not in names for part in parts_in(out / "scores")):
        raise InputError(f"{out} has other scores; choose another folder (-o), or pass --overwrite")


def _provenance(shards: Sequence[ScoredShard]) -> Iterator[Provenance]:
    """Yield versions and devices as one run would record them: an entry for each change."""
    former = None
    for entry in chain.from_iterable(shard.settings.provenance for shard in shards):
        if former is None or replace(entry, from_clip=0) != replace(former, from_clip=0):
            yield entry
        former = entry


def _notes(shards: Sequence[ScoredShard]) -> Iterator[str]:
    """Say what makes the numbers differ from those of one run, in the last digits."""
    digits = "; log probabilities may differ from one run by 1e-5, retention by more where a rank turns"
    machines = sorted({shard.record.machine for shard in shards})
    if len(machines) > 1:
        yield f"the shards ran on unequal processors ({', '.join(machines)}){digits}"
    if len(set(_provenance(shards))) > 1:
        yield f"the shards ran with unequal versions or devices, see settings.provenance in summary.json{digits}"
    for shard in shards:
        smallest = min((_smallest_batch(part) for part in shard.parts), default=np.inf)
        if smallest < shard.settings.batch_size:
            yield (
                f"memory ran out in shard {shard.record.shard}: its batch was cut from {shard.settings.batch_size} "
                f"to {smallest:.0f}, see batch_size in scores.csv{digits}"
            )


def _smallest_batch(part: Path) -> float:
    sizes = read_part(part, ["batch_size"])["batch_size"].drop_null().to_numpy()
    return float(sizes.min()) if len(sizes) else np.inf
