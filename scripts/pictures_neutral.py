"""Draw docs/neutral.jpg: windows of the sample clip, explained by gradcam, gradcam++ and neutral-gradcam."""

from __future__ import annotations

from pathlib import Path

import click
from pictures import SLOT, caught, evidence, read_scene, save_jpeg

from vidcam.cam.explain import explain
from vidcam.cam.neutral import look_at_neutral
from vidcam.models.registry import load_model
from vidcam.preprocess import grey_input
from vidcam.render.page import Page, TextStyle

STARTS_SECONDS = (0.64, 1.92, 3.2, 5.12)
METHODS = ("gradcam", "gradcam++", "neutral-gradcam")

_SIDE, _GAP, _LABEL_HEIGHT = 260, 6, 30
_NAME, _REMARK = TextStyle(16, bold=True), TextStyle(14, "#9a3324")


@click.command()
@click.option("--out", default="docs", show_default=True, type=click.Path(path_type=Path), help="Folder to write to.")
def draw_neutral(out: Path) -> None:
    """Write neutral.jpg: a row for each window; a map that peaks in the sink says so."""
    model = load_model("i3d", device="cpu")
    layer = str(model.spec.layer)
    neutral = look_at_neutral(model.module, grey_input(model.spec), layer=layer)
    pitch = _SIDE + _GAP + _LABEL_HEIGHT
    page = Page((len(METHODS) + 1) * (_SIDE + _GAP) - _GAP)
    for row, start in enumerate(STARTS_SECONDS):
        scene = read_scene(model, start)
        found = explain(model.module, scene.clip, layer=layer, methods=METHODS, neutral=neutral)
        label = model.label(int(found.target[0]))
        click.echo(f"{start} s: {label}, p = {found.probability[0]:.3f}; in the sink: {', '.join(caught(found))}")
        squares = {f"{scene.seconds[SLOT]:.1f} s: {label}": scene.picture(SLOT, _SIDE)}
        squares |= {name: evidence(scene, found, name, SLOT, _SIDE) for name in METHODS}
        for column, (name, picture) in enumerate(squares.items()):
            left, top = column * (_SIDE + _GAP), row * pitch
            page.text(left + 2, top + 3, name, _NAME)
            page.text(
                left + _SIDE - 2, top + 4, "peak in sink" if name in caught(found) else "", _REMARK, align="right"
            )
            page.picture(left, top + _LABEL_HEIGHT, picture)
    save_jpeg((page, len(STARTS_SECONDS) * pitch - _GAP), out / "neutral.jpg")


if __name__ == "__main__":
    draw_neutral()
