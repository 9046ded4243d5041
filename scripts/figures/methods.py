"""Figures of docs/methods.md and docs/baseline.md, and the numbers on these pages.

I3D on windows of the sample clip: all methods at the last block at one moment; four methods at an earlier layer over
its time cells, beside the layer's activations on a grey clip; three methods at four moments.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

import vidcam
from scripts.figures.sheets import captioned, overlaid, square, table
from scripts.library import View, explainer, grey_input, view_of
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.media import Frames
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.sample import sample_clip
from vidcam.render.colormap import colour_table
from vidcam.render.signed import guided_picture, guided_scale
from vidcam.results.explanation import GUIDED, Explanation, peaks_in_artifact

START_SECONDS, STARTS_SECONDS = 1.92, (0.64, 1.92, 3.2, 5.12)
LAST_BLOCK, EARLIER = "Mixed_5c", "Mixed_4f"
MAPS = ("gradcam", "gradcam+", "gradcam++", "gradcam++softmax", "gradcam++signed", "cam", "hirescam", "layercam")
EARLIER_MAPS = ("gradcam", "gradcam+", "gradcam++", "layercam")
BASELINE_MAPS = ("gradcam", "gradcam++", "neutral-gradcam")
SLOT = 12
"""The frame in the figure; there the map is that of the last block's second time cell alone."""

COLUMNS, SIDE, EARLIER_SIDE, FULL = 4, 294, 164, 224
"""Pictures in a row, their sides in pixels, and the side of the model's input."""


def draw_methods(out: Path) -> None:
    """Write methods.jpg and methods-earlier.jpg."""
    model = load_model("i3d", device="cpu")
    view = view_of(model, sample_clip(), START_SECONDS)
    last = explainer(model, LAST_BLOCK, (*MAPS, *GUIDED))(view.clip)
    pictures = {"source": square(view.frames[SLOT], SIDE)} | {name: _map(view, last, name) for name in last.volumes}
    pictures |= {name: _guided(values[0], SIDE) for name, values in last.guided.items()}
    names = list(pictures)
    rows = [{name: pictures[name] for name in names[at : at + COLUMNS]} for at in range(0, len(names), COLUMNS)]
    captioned(rows, [_remarks(last)] * len(rows), out / "methods.jpg")
    earlier = explainer(model, EARLIER, EARLIER_MAPS)(view.clip)
    table(_by_time(view, earlier, _grey_sums(model)), 66, out / "methods-earlier.jpg")
    for explanation in (last, earlier):
        _print_numbers(model, explanation)


def draw_baseline(out: Path) -> None:
    """Write baseline.jpg, a row for each window."""
    model = load_model("i3d", device="cpu")
    explain, rows, remarks = explainer(model, LAST_BLOCK, BASELINE_MAPS), [], []
    for start in STARTS_SECONDS:
        view = view_of(model, sample_clip(), start)
        explanation = explain(view.clip)
        label = model.label(int(explanation.target[0]))
        remarks.append(_remarks(explanation))
        click.echo(
            f"{start} s: {label}, p = {explanation.probability[0]:.3f}; in the artifact: {', '.join(remarks[-1])}"
        )
        row = {f"{view.seconds[SLOT]:.1f} s: {label}": square(view.frames[SLOT], SIDE)}
        rows.append(row | {name: _map(view, explanation, name) for name in BASELINE_MAPS})
    captioned(rows, remarks, out / "baseline.jpg")


def _map(view: View, explanation: Explanation, method: str, slot: int = SLOT, side_px: int = SIDE) -> Frames:
    return overlaid(square(view.frames[slot], side_px), _heat(explanation, method, side_px)[slot])


def _heat(explanation: Explanation, method: str, side_px: int) -> Floats:
    """A map at the size of the picture, (T, side, side) in [0, 1]."""
    size = (explanation.input_size[0], side_px, side_px)
    heat: Floats = normalise_per_clip(upsample_volume(explanation.volume(method), size))[0]
    return heat


def _guided(values: Floats, side_px: int) -> Frames:
    """A frame of a guided map (3, T, H, W), grey where it is zero."""
    shown = np.moveaxis(upsample_volume(values[:, SLOT], (side_px, side_px)), 0, -1)
    return _signed(shown, guided_scale(values))


def _signed(values: Floats, scale: float) -> Frames:
    side = values.shape[0]
    return guided_picture(values, (slice(0, side), slice(0, side)), (side, side), scale=scale)


def _by_time(view: View, explanation: Explanation, sums: Floats) -> dict[str, dict[str, Frames]]:
    """A row for each time cell: the methods, ++ minus +, and the layer's channel sums on a grey clip."""
    side, rows = EARLIER_SIDE, {}
    difference = _heat(explanation, "gradcam++", side) - _heat(explanation, "gradcam+", side)
    for cell, plane in enumerate(sums):
        slot = int((cell + 0.5) * len(view.seconds) / len(sums))
        row = {"source": square(view.frames[slot], side)}
        row |= {name: _map(view, explanation, name, slot, side) for name in explanation.volumes}
        row["++ minus +"] = _signed(difference[slot][..., None], float(np.abs(difference).max()))
        row["grey clip"] = square(
            colour_table()[np.round(255 * plane / sums.max()).astype(np.uint8)], side, is_map=True
        )
        rows[f"{view.seconds[slot]:.2f} s"] = row
    return rows


def _grey_sums(model: Model) -> Floats:
    """Channel sums of the earlier layer on a grey clip, (t, h, w)."""
    grey = vidcam.compute_baseline(model.module, grey_input(model.spec), layer=EARLIER)
    sums: Floats = grey.activations[EARLIER][0].sum(dim=0).numpy()
    return sums


def _remarks(explanation: Explanation) -> dict[str, str]:
    """Methods whose map, or the map that a guided method multiplies, peaks in the artifact."""
    artifact = explanation.artifact
    maps = [
        name for name, v in explanation.volumes.items() if artifact is not None and peaks_in_artifact(v, artifact)[0]
    ]
    return dict.fromkeys([*maps, *(name for name in explanation.guided if GUIDED[name] in maps)], "peak in artifact")


def _print_numbers(model: Model, explanation: Explanation) -> None:
    """Print the class, the peak of each map, the agreement of the maps, and the audit."""
    label = model.label(int(explanation.target[0]))
    click.echo(f"{explanation.layer}: {label}, p = {explanation.probability[0]:.3f}; artifact {explanation.artifact}")
    for name, volume in explanation.volumes.items():
        cell = tuple(map(int, np.unravel_index(volume[0].argmax(), volume.shape[1:])))
        agreement = np.corrcoef(volume.ravel(), explanation.volume("gradcam+").ravel())[0, 1]
        click.echo(f"  {name}: peak in {cell}, r = {agreement:.4f} with gradcam+")
    difference = _heat(explanation, "gradcam++", FULL) - _heat(explanation, "gradcam+", FULL)
    click.echo(f"  gradcam++ minus gradcam+: {difference.min():+.3f} to {difference.max():+.3f} of the colour scale")
    click.echo(f"  peak in the artifact: {', '.join(_remarks(explanation))}\n  {explanation.audit(0)}")
