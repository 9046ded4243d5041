"""A Markdown table of odd files, and what each decoder makes of them: frames, times, rotation, outcome.

Without arguments the files are synthetic (`tests/helpers/odd.py`) and deleted again; `--keep` leaves them in a folder.
Given files or folders, the table is of those.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from tests.helpers.odd import ODD
from vidcam.errors import VidcamError
from vidcam.video.decord_reader import decord_seconds
from vidcam.video.reader import Decoder, VideoReader, open_video

MEDIA = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm")
HEADER = ("file", "decoder", "frames", "first s", "last s", "rotation", "outcome")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), metavar="FOLDER", help="Make the synthetic files here.")
@click.option("--differences", is_flag=True, help="Only files of which the decoders differ.")
def odd_files(paths: tuple[Path, ...], keep: Path | None, *, differences: bool) -> None:
    """Print the table."""
    _print(HEADER)
    _print(["---"] * len(HEADER))
    with _files(paths, keep) as files:
        for path in files:
            rows = (_row(path, "pyav"), _decord_row(path))
            if not (differences and rows[1][-1] == "same"):
                for row in rows:
                    _print((path.name, *row))


@contextmanager
def _files(paths: Sequence[Path], keep: Path | None) -> Iterator[Iterator[Path]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        yield _given(paths) if paths else (make(folder / name) for name, make in ODD.items())


def _given(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        yield from [file for file in inside if file.suffix.lower() in MEDIA] or [path]


def _row(path: Path, decoder: Decoder) -> tuple[str, ...]:
    try:
        with open_video(path, decoder=decoder) as reader:
            read = sum(1 for _ in reader.frames())
            return (*_figures(reader), _outcome(reader, read))
    except VidcamError as exc:
        return ("", "", "", "", "", f"refused: {exc}")


def _figures(reader: VideoReader) -> tuple[str, ...]:
    info = reader.info
    first, last = info.pts_seconds[0], info.pts_seconds[-1]
    return info.decoder, str(info.frame_count), f"{first:.3f}", f"{last:.3f}", str(info.rotation_degrees)


def _outcome(reader: VideoReader, read: int) -> str:
    all_read = "all read" if read == reader.info.frame_count else f"{read} read"
    return "; ".join([all_read, *reader.notes])


def _decord_row(path: Path) -> tuple[str, ...]:
    """What decord says by itself, and whether that is what PyAV reads."""
    import decord

    try:
        film = decord.VideoReader(str(path), num_threads=1)
        seconds = decord_seconds(film)
        zero = float(film.get_frame_timestamp(0)[0])
    except Exception as exc:  # its own errors and RuntimeError; nothing else matters in a table
        return ("decord", "", "", "", "", f"does not open it: {str(exc).splitlines()[0].rpartition('] ')[2][:60]}")
    figures = ("decord", str(len(film)), f"{zero:.5g}", f"{zero + seconds[-1]:.5g}")
    try:
        with open_video(path, decoder="decord") as reader:
            return (*figures, str(reader.info.rotation_degrees), "same")
    except VidcamError as exc:
        return (*figures, "", f"refused: {str(exc).partition(', for ')[0]}")


def _print(cells: Sequence[str]) -> None:
    click.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")


if __name__ == "__main__":
    sys.exit(odd_files())
