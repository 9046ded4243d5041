"""Read odd files with both decoders, and print frames, times, rotation and outcome as a Markdown table.

Without arguments the files are synthetic (`tests/helpers/odd.py`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from scripts.markdown import table
from tests.helpers.odd import ODD
from vidcam.errors import VidcamError
from vidcam.video.decord_reader import decord_seconds
from vidcam.video.reader import open_video

MEDIA = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm")
HEADER = ("file", "decoder", "frames", "first s", "last s", "rotation", "outcome")


@click.command("odd-files")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def odd_files(paths: tuple[Path, ...]) -> None:
    """Read PATHS (files or folders), or synthetic files, with both decoders."""
    with tempfile.TemporaryDirectory() as folder:
        files = [file for path in paths for file in _inside(path)]
        files = files or [make(Path(folder) / name) for name, make in ODD.items()]
        rows = [(path.name, *row) for path in files for row in (_row(path), _decord_row(path))]
    click.echo("\n".join(table(HEADER, rows)))


def _inside(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix.lower() in MEDIA) if path.is_dir() else [path]


def _row(path: Path) -> tuple[str, ...]:
    try:
        with open_video(path) as reader:
            read, info = sum(1 for _ in reader.frames()), reader.info
            all_read = "all read" if read == info.frame_count else f"{read} read"
            outcome = "; ".join([all_read, *reader.notes])
            first, last = (f"{info.pts_seconds[index]:.3f}" for index in (0, -1))
            return (info.decoder, str(info.frame_count), first, last, str(info.rotation_degrees), outcome)
    except VidcamError as exc:
        return ("", "", "", "", "", f"refused: {exc}")


def _decord_row(path: Path) -> tuple[str, ...]:
    """What decord reads, and whether PyAV reads the same."""
    import decord

    try:
        video = decord.VideoReader(str(path), num_threads=1)
        seconds = decord_seconds(video)
        zero = float(video.get_frame_timestamp(0)[0])
    except Exception as exc:  # decord's own errors and RuntimeError
        return ("decord", "", "", "", "", f"does not open it: {str(exc).splitlines()[0].rpartition('] ')[2][:60]}")
    figures = ("decord", str(len(video)), f"{zero:.5g}", f"{zero + seconds[-1]:.5g}")
    try:
        with open_video(path, decoder="decord") as reader:
            return (*figures, str(reader.info.rotation_degrees), "same")
    except VidcamError as exc:
        return (*figures, "", f"refused: {str(exc).partition(', for ')[0]}")
