"""Draw the pictures of docs/methods.md and docs/render.md, and print the figures that the page states about them.

I3D on one window of the sample clip: all methods at its last block at one moment, and a few at an earlier layer over
the window's four time cells, beside what that layer does on a flat grey clip. Only the model's view is shown.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from pictures_render import draw_styles
from PIL import Image
from torch import Tensor

from vidcam.cam.attribution import attribution
from vidcam.cam.explain import explain
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.media import Frames
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.sample import sample_clip
from vidcam.preprocess import grey_input, to_model_input
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay
from vidcam.render.page import Page, TextStyle
from vidcam.render.signed import guided_picture, guided_scale
from vidcam.results.explanation import GUIDED, Explanation, peaks_in_sink
from vidcam.sampling import plan_windows
from vidcam.video.reader import open_video, read_clip

START_SECONDS = 1.92
LAST_BLOCK, EARLIER = "Mixed_5c", "Mixed_4f"
MAPS = ("gradcam", "gradcam+", "gradcam++", "gradcam++softmax", "gradcam++signed", "cam", "hirescam", "layercam")
EARLIER_MAPS = ("gradcam", "gradcam+", "gradcam++", "layercam")
SLOT = 12
"""The frame of the first picture: from there on the map is that of the last block's second time cell alone."""

FULL_PX = 224
"""Where maps are compared: the size of the model's input."""

_GAP, _LABEL_HEIGHT = 6, 30
_NAME = TextStyle(16, bold=True)
_REMARK = TextStyle(14, "#9a3324")
_TIME = TextStyle(15, "#5c6068")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A window of a film as the model sees it, and as it is shown.

    Attributes:
        model: that is asked.
        clip: its input, (1, 3, T, H, W).
        frames: the model's view on the source's pixels, (T, H', W', 3) uint8.
        seconds: (T,) when they are displayed.
    """

    model: Model
    clip: Tensor
    frames: Frames
    seconds: NDArray[np.float64]

    def picture(self, slot: int, side_px: int) -> Frames:
        """One frame as a square."""
        return np.asarray(Image.fromarray(self.frames[slot]).resize((side_px, side_px), Image.Resampling.LANCZOS))


@click.command()
@click.option("--out", default="docs", show_default=True, type=click.Path(path_type=Path), help="Folder to write to.")
def pictures(out: Path) -> None:
    """Write methods.jpg and methods-earlier.jpg, and render-<style>.jpg."""
    scene = read_scene(load_model("i3d", device="cpu"))
    grey = grey_input(scene.model.spec)
    last = explain(scene.model.module, scene.clip, layer=LAST_BLOCK, methods=(*MAPS, *GUIDED), neutral=grey)
    save_jpeg(methods_page(scene, last), out / "methods.jpg")
    tell(scene, last)
    earlier = explain(scene.model.module, scene.clip, layer=EARLIER, methods=EARLIER_MAPS, neutral=grey)
    save_jpeg(earlier_page(scene, earlier, grey_sums(scene.model, EARLIER)), out / "methods-earlier.jpg")
    tell(scene, earlier)
    draw_styles(out)


def read_scene(model: Model, start_seconds: float = START_SECONDS) -> Scene:
    """The window of the sample clip that starts there."""
    spec = model.spec
    with open_video(sample_clip()) as reader:
        (window,) = plan_windows(reader.info, frames=spec.frames, fps=spec.fps, clip_start_seconds=start_seconds)
        clip = read_clip(reader, window.times)
    rows, columns = spec.geometry((clip.frames.shape[1], clip.frames.shape[2])).view_slices()
    return Scene(model, to_model_input(clip, spec).tensor, clip.frames[:, rows, columns], clip.pts_seconds)


def grey_sums(model: Model, layer: str) -> Floats:
    """Channel sums of a layer on a flat grey clip, (t, h, w)."""
    with attribution(model.module, grey_input(model.spec), layer=layer) as run:
        sums: Floats = run.activations[0].sum(dim=0).numpy()
        return sums


def methods_page(scene: Scene, explanation: Explanation) -> tuple[Page, int]:
    """The source and every method at one moment; where a map peaks in the sink, it is said."""
    side, columns = 294, 4
    pictures = {"source": scene.picture(SLOT, side)}
    pictures |= {name: evidence(scene, explanation, name, SLOT, side) for name in explanation.volumes}
    pictures |= {name: guided(explanation, name, SLOT, side) for name in explanation.guided}
    remarks = dict.fromkeys(caught(explanation), "peak in sink")
    page = Page(columns * (side + _GAP) - _GAP)
    pitch = side + _GAP + _LABEL_HEIGHT
    for index, (name, picture) in enumerate(pictures.items()):
        row, column = divmod(index, columns)
        left, top = column * (side + _GAP), row * pitch
        page.text(left + 2, top + 3, name, _NAME)
        page.text(left + side - 2, top + 4, remarks.get(name, ""), _REMARK, align="right")
        page.picture(left, top + _LABEL_HEIGHT, picture)
    return page, -(-len(pictures) // columns) * pitch - _GAP


def earlier_page(scene: Scene, explanation: Explanation, sums: Floats) -> tuple[Page, int]:
    """Methods × time cells of an earlier layer, what ++ adds to +, and the layer on a grey clip."""
    side, gutter = 164, 66
    cells = sums.shape[0]
    slots = [int((cell + 0.5) * len(scene.seconds) / cells) for cell in range(cells)]
    rows = [earlier_row(scene, explanation, sums[cell] / sums.max(), slot, side) for cell, slot in enumerate(slots)]
    page = Page(gutter + len(rows[0]) * (side + _GAP) - _GAP)
    for column, name in enumerate(rows[0]):
        page.text(gutter + column * (side + _GAP) + 2, 3, name, _NAME)
    for number, (slot, pictures) in enumerate(zip(slots, rows, strict=True)):
        top = _LABEL_HEIGHT + number * (side + _GAP)
        page.text(gutter - 10, top + side / 2 - 10, f"{scene.seconds[slot]:.2f} s", _TIME, align="right")
        for column, picture in enumerate(pictures.values()):
            page.picture(gutter + column * (side + _GAP), top, picture)
    return page, _LABEL_HEIGHT + len(rows) * (side + _GAP) - _GAP


def earlier_row(scene: Scene, explanation: Explanation, grey: Floats, slot: int, side_px: int) -> Mapping[str, Frames]:
    """Heading → picture, at one moment."""
    maps = {name: evidence(scene, explanation, name, slot, side_px) for name in explanation.volumes}
    difference = heat(explanation, "gradcam++", side_px) - heat(explanation, "gradcam+", side_px)
    drawn = guided_picture(difference[slot][..., None], *_whole(side_px), scale=float(np.abs(difference).max()))
    squares = colour_table()[np.round(255 * grey).astype(np.uint8)]
    grey_clip = Image.fromarray(squares).resize((side_px, side_px), Image.Resampling.NEAREST)
    return {"source": scene.picture(slot, side_px), **maps, "++ minus +": drawn, "grey clip": np.asarray(grey_clip)}


def evidence(scene: Scene, explanation: Explanation, method: str, slot: int, side_px: int) -> Frames:
    """A frame with the map over it."""
    warm = heat(explanation, method, side_px)[slot].astype(np.float32)
    return Overlay(colour_table()).blend(scene.picture(slot, side_px), warm, _whole(side_px)[0])


def heat(explanation: Explanation, method: str, side_px: int) -> Floats:
    """The map at the size of the picture, (T, side, side) in [0, 1]."""
    size = (explanation.input_size[0], side_px, side_px)
    warm: Floats = normalise_per_clip(upsample_volume(explanation.volume(method), size))[0]
    return warm


def guided(explanation: Explanation, method: str, slot: int, side_px: int) -> Frames:
    """A frame of a guided map around grey."""
    values = explanation.guided[method][0]
    shown = np.moveaxis(upsample_volume(values[:, slot], (side_px, side_px)), 0, -1)
    return guided_picture(shown, *_whole(side_px), scale=guided_scale(values))


def caught(explanation: Explanation) -> list[str]:
    """The methods whose map peaks in the sink; of a guided one, the map that it multiplies."""
    sink = explanation.sink
    found = [name for name, v in explanation.volumes.items() if sink is not None and peaks_in_sink(v, sink)[0]]
    return [*found, *(name for name in explanation.guided if GUIDED[name] in found)]


def tell(scene: Scene, explanation: Explanation) -> None:
    """What the page says about a picture: the class, where each map peaks, how the maps agree, the audit line."""
    label = scene.model.label(int(explanation.target[0]))
    click.echo(f"{explanation.layer}: {label}, p = {explanation.probability[0]:.3f}; sink {explanation.sink}")
    reference = explanation.volume("gradcam+").ravel()
    for name, volume in explanation.volumes.items():
        cell = tuple(int(i) for i in np.unravel_index(volume[0].argmax(), volume.shape[1:]))
        agreement = np.corrcoef(volume.ravel(), reference)[0, 1]
        click.echo(f"  {name}: peak in {cell}, r = {agreement:.4f} with gradcam+")
    click.echo(f"  peak in the sink: {', '.join(caught(explanation))}")
    difference = heat(explanation, "gradcam++", FULL_PX) - heat(explanation, "gradcam+", FULL_PX)
    click.echo(f"  gradcam++ minus gradcam+: {difference.min():+.3f} to {difference.max():+.3f} of the colour scale")
    click.echo(f"  {explanation.audit(0)}")


def save_jpeg(drawn: tuple[Page, int], path: Path) -> None:
    """A page of a height as a JPEG."""
    page, height_px = drawn
    Image.open(io.BytesIO(page.to_png(height_px))).save(path, quality=88, optimize=True)


def _whole(side_px: int) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """A square picture's view, which is all of it, and its size."""
    return (slice(0, side_px), slice(0, side_px)), (side_px, side_px)


if __name__ == "__main__":
    pictures()
