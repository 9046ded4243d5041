"""`vidcam render`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidcam.cli.console import Bar, print_text, say
from vidcam.cli.documents import RenderedFile
from vidcam.cli.help import SectionCommand
from vidcam.cli.render_options import render_arguments
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading


@click.command(cls=SectionCommand, short_help="Draw a saved explanation as video, animation or picture.")
@render_arguments
def render(explanation: Path, out: Path, *, as_json: bool, **values: Any) -> None:
    """Draw a saved explanation as a video, an animation, pictures or a sheet. The model is not run.

    \b
    vidcam render out/video.npz -o video.mp4 --strip
    vidcam render out/video.npz -o video.gif --style side-by-side --height 240 --start 4 --end 8
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.pipelines.render.options import RenderOptions
        from vidcam.pipelines.render.renderer import render_saved
        from vidcam.system.json_files import to_json

    options = RenderOptions(**{name: value for name, value in values.items() if value not in (None, ())})
    with Bar() as bar:
        result = render_saved(explanation, out, options, progress=bar.progress)
    for sentence in result.notes:
        say(f"warning: {sentence}")
    path = as_text(str(result.path))
    document = RenderedFile(path=path, form=result.form, frames=result.frames, notes=result.notes)
    print_text(to_json(document, indent=0) if as_json else str(result.path))
