"""`vidcam render`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vidcam.arguments import split_names
from vidcam.cli.console import Bar, print_text, say
from vidcam.cli.documents import RenderedFile
from vidcam.cli.help import SectionCommand, require_only
from vidcam.cli.options import given_options
from vidcam.cli.render_options import render_arguments
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading


@click.command(cls=SectionCommand, short_help="Draw a saved explanation as video, animation or picture.")
@render_arguments
def render(explanation: Path, out: Path, *, as_json: bool, **values: Any) -> None:
    """Draw a saved explanation as a video, an animation, pictures or a sheet, without the model.

    With --from-scores or --worst, explain and draw clips of a set that `vidcam score` scored.

    \b
    vidcam render out/video.npz -o video.mp4 --strip
    vidcam render scored/ -o wrong --from-scores "correct == false" --worst 10
    vidcam render out/video.npz -o video.gif --style side-by-side --height 240 --start 4 --end 8
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    scored = {name: values.pop(name) for name in ("condition", "worst", "clips")}
    if scored["condition"] is not None or scored["worst"] is not None:
        scored |= {"methods": split_names(values["methods"]), "overwrite": values["overwrite"]}
        _draw_scored(explanation, out, scored, as_json=as_json)
        return
    with loading():
        from vidcam.pipelines.render.options import RenderOptions
        from vidcam.pipelines.render.renderer import render_saved
        from vidcam.system.json_files import to_json

    options = RenderOptions(**given_options(values))
    with Bar() as bar:
        result = render_saved(explanation, out, options, progress=bar.progress)
    for sentence in result.notes:
        say(f"warning: {sentence}")
    path = as_text(str(result.path))
    document = RenderedFile(path=path, form=result.form, frames=result.frames, notes=result.notes)
    print_text(to_json(document, indent=0) if as_json else str(result.path))


def _draw_scored(folder: Path, out: Path, scored: Mapping[str, Any], *, as_json: bool) -> None:
    """Draw clips of a scored set; print the folder of each."""
    require_only({"explanation", "out", "as_json", *scored}, "--from-scores and --worst, which explain the clips again")
    with loading():
        from vidcam.pipelines.score.draw import draw_clips
        from vidcam.system.json_files import to_json

    with Bar() as bar:
        drawn = draw_clips(folder, out, progress=bar.progress, **scored)
    say(f"{len(drawn.lines)} clips")
    for line in drawn.lines:
        say(f"  {line}")
    print_text(to_json(drawn, indent=0) if as_json else as_text(str(drawn.folder)))
