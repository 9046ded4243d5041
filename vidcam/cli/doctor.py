"""`vidcam doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from vidcam.cli.console import print_text, say
from vidcam.cli.options import JSON
from vidcam.system.signals import loading

if TYPE_CHECKING:
    from vidcam.pipelines.doctor import DoctorReport

_WIDTH = 13


@click.command(short_help="Show versions, codecs, devices and caches, for a bug report.")
@JSON
def doctor(*, as_json: bool) -> None:
    """Show versions, codecs, devices and caches of this machine. Paste the output into a bug report."""
    with loading():
        from vidcam.pipelines.doctor import examine
        from vidcam.system.json_files import to_json

        report = examine()  # imports torch, PyAV and decord
    print_text(to_json(report) if as_json else "\n".join(_lines(report)))
    for problem in report.problems:
        say(f"warning: {problem}")


def _lines(report: DoctorReport) -> Iterator[str]:
    rows = [("vidcam", report.vidcam), ("Python", report.python), ("system", report.system)]
    rows += [(name, stated or "not installed") for name, stated in report.packages.items()]
    rows += [("FFmpeg", _joined(f"{name} {version}" for name, version in report.ffmpeg.items()))]
    rows += [("decoders", _joined(report.decoders))]
    rows += [(f"{codec} encoders", _joined(names)) for codec, names in report.encoders.items()]
    rows += [("devices", _joined(report.devices)), ("cache", report.cache_folder)]
    rows += [("torch cache", report.torch_cache_folder)]
    rows += [("weights", _joined(f"{w.model} ({w.megabytes:g} MB)" for w in report.weights))]
    rows += [("problem", problem) for problem in report.problems]
    return (f"{name:<{_WIDTH}} {text}" for name, text in rows)


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none"
