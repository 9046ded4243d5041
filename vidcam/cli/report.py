"""`vidcam report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidcam.cli.console import Bar, print_text, say
from vidcam.cli.documents import WrittenPage
from vidcam.cli.help import SectionCommand
from vidcam.cli.options import DRAWING, JSON, PATH, RESULT, given_options
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading


@click.command(cls=SectionCommand, short_help="Write a page: play the video, switch the method, look for yourself.")
@click.argument("results", metavar="FILE.npz...", nargs=-1, required=True, type=PATH)
@RESULT(
    "-o",
    "--out",
    required=True,
    metavar="FILE",
    type=PATH,
    help="The page, .html; or .json for FiftyOne, .rrd for rerun.",
)
@RESULT("--overwrite", is_flag=True, help="Replace an existing file.")
@JSON
@DRAWING("--embed", type=float, metavar="MB", help="Largest video that is put into the page; default 20; 0: none.")
@DRAWING("--proxy", is_flag=True, help="Make an H.264 copy of a video that browsers do not play.")
@DRAWING("--title", metavar="TEXT", help="Title of the page, name of an export; default: from the class and the video.")
@DRAWING("--source", type=PATH, metavar="VIDEO", help="Path of the video, if it was moved since.")
def report(results: tuple[Path, ...], out: Path, *, as_json: bool, **values: Any) -> None:
    """Write one HTML page from saved explanations. It needs no network, no server and no model.

    With another ending: a dataset of FiftyOne (.json), a recording of rerun (.rrd).

    \b
    vidcam report out/video.npz -o video.html
    vidcam report i3d/video.npz r3d_18/video.npz -o compare.html
    vidcam report out/*.npz -o set.json
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.pipelines.report.writer import ReportOptions, write_report
        from vidcam.system.json_files import to_json

    options = ReportOptions(**given_options(values))
    with Bar() as bar:
        result = write_report(results, out, options, progress=bar.progress)
    for sentence in result.notes:
        say(sentence)
    document = WrittenPage(path=as_text(str(result.path)), notes=result.notes)
    print_text(to_json(document, indent=0) if as_json else str(result.path))
