"""The explanation of a film: windows on one time line, on the source's pixels, on one colour scale.

`Timeline` blends the raw window maps. One pair of bounds, taken over the whole film after upsampling to the model's
input, turns raw into heat: no frame is normalised by itself. Maps go back to the source through `Geometry`.

This is what `explain` saves as `<stem>.npz`: plain arrays and one JSON text, read without pickle.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, MediaError, ShapeError
from vidcam.geometry import Geometry
from vidcam.maps import Floats, normalise, resample_plane, upsample_volume
from vidcam.media import Seconds
from vidcam.results.explanation import AUDIT_FIELDS, AlphaAudit, Explanation
from vidcam.results.origin import Origin, origin_from
from vidcam.results.timeline import Timeline

SCHEMA = 1
PER_WINDOW = "per-window"
"""The label of a target that is each window's own top class."""

CHUNK = 64
"""Moments that are upsampled at once where a whole film is gone through."""

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Explanations of all windows of a film, for one target or several.

    Attributes:
        source: name of the video file.
        model: name of the model.
        geometry: source frame → model input.
        timeline: the N windows.
        labels: name of each target.
        explanations: one for each target, N clips each.
        bounds: for each target: method → (low, high) of the upsampled raw map over the film.
        origin: the film itself, to draw it again; None where that is not known.
        class_labels: index → label of the classes that lead in some window, the targets' and the foil among them.
        forget: called after maps were read; lets go of memory where they lie in a file.
    """

    source: str
    model: str
    geometry: Geometry
    timeline: Timeline
    labels: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    bounds: tuple[Bounds, ...]
    origin: Origin | None = None
    class_labels: Mapping[int, str] = field(default_factory=dict, repr=False)
    forget: Callable[[], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        lengths = {len(explanation) for explanation in self.explanations}
        if lengths != {len(self.timeline)}:
            raise ShapeError(f"explanations must have the {len(self.timeline)} clips of the timeline, got {lengths}")
        if not len(self.labels) == len(self.explanations) == len(self.bounds) > 0:
            raise ShapeError(
                f"each target needs a label, an explanation and bounds, got {len(self.labels)}, "
                f"{len(self.explanations)} and {len(self.bounds)}"
            )

    def __repr__(self) -> str:
        return (
            f"Film({self.source!r}, {len(self.timeline)} windows, targets={list(self.labels)}, {self.explanations[0]})"
        )

    def raw(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Blended raw maps at given moments, (S, h, w) float32; zeros where no window looks."""
        volumes = self._explained(target).volume(method)
        moments = np.asarray(seconds, dtype=np.float64)
        if moments.ndim != 1 or not np.isfinite(moments).all():
            raise ShapeError(f"seconds must be (S,) and finite, got {seconds!r}; of one moment pass [moment]")
        blended = self.timeline.blend(volumes, moments)
        self._let_go()
        return blended

    def _explained(self, target: int) -> Explanation:
        if not 0 <= target < len(self.explanations):
            raise InputError(
                f"target is {target}, expected 0 to {len(self.explanations) - 1}, the position of one of "
                f"{', '.join(self.labels)}"
            )
        return self.explanations[target]

    def heat(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Maps at given moments at the model's input size, (S, H, W) float32 in [0, 1], on the film's one scale."""
        raw = self.raw(method, seconds, target=target)  # first, as it refuses what there is not
        low, high = self.bounds[target][method]
        return normalise(upsample_volume(raw, self.geometry.crop_size), low, high)

    def source_heat(self, method: str, second: float, *, target: int = 0) -> Floats:
        """The map at one moment on the source's pixels inside `geometry.view_slices()`, (H', W') float32 in [0, 1]."""
        plane = self.raw(method, np.array([second]), target=target)[0]
        rows, columns = self.geometry.source_matrices((plane.shape[0], plane.shape[1]))
        low, high = self.bounds[target][method]
        return normalise(resample_plane(plane, rows, columns), low, high)

    def evidence(self, method: str, seconds: Seconds, *, target: int = 0) -> NDArray[np.float64]:
        """Mean of the heat over the model's view at each moment, (S,) in [0, 1]: when it looked."""
        parts = [self.heat(method, chunk, target=target).mean(axis=(1, 2)) for chunk in _chunks(seconds)]
        return np.concatenate(parts or [np.zeros(0)]).astype(np.float64)

    def save(self, path: Path) -> None:
        """Write an `.npz` that `load_film` reads; small: the maps are on the feature grid."""
        arrays: dict[str, NDArray[Any]] = {
            "starts": self.timeline.starts,
            "ends": self.timeline.ends,
            "frame_seconds": self.timeline.frame_seconds,
            "logits": self.explanations[0].logits,
        }
        for index, explanation in enumerate(self.explanations):
            arrays |= _arrays(f"target{index}", explanation)
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:  # numpy's own savez_compressed reads arrays whole
            for name, array in {"meta": np.array(json.dumps(self._meta(), sort_keys=True)), **arrays}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    for piece in _pieces(array):
                        member.write(piece)
                        self._let_go()

    def _let_go(self) -> None:
        if self.forget is not None:
            self.forget()

    def _meta(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "source": self.source,
            "model": self.model,
            "layer": self.explanations[0].layer,
            "input_size": list(self.explanations[0].input_size),
            "geometry": asdict(self.geometry),
            "origin": None if self.origin is None else asdict(self.origin),
            "class_labels": {str(index): label for index, label in self.class_labels.items()},
            "targets": [
                {
                    "label": label,
                    "methods": list(explanation.methods),
                    "bounds": {name: list(pair) for name, pair in bounds.items()},
                    "contrasted": explanation.foil is not None,
                    "alpha": list(explanation.alpha),
                    "alpha_exact": explanation.alpha_exact,
                    "activation": explanation.activation,
                    "guarded": list(explanation.guarded),
                }
                for label, explanation, bounds in zip(self.labels, self.explanations, self.bounds, strict=True)
            ],
        }


def film_bounds(
    explanation: Explanation, timeline: Timeline, seconds: Seconds, *, forget: Callable[[], None] | None = None
) -> dict[str, tuple[float, float]]:
    """Method → smallest and largest value of the blended map over a film, upsampled to the model's input.

    Args:
        explanation: of all windows.
        timeline: the windows.
        seconds: (S,) the film's displayed frames, increasing.
        forget: as that of a film.
    """
    bounds = {}
    for name, volumes in explanation.volumes.items():
        low, high = np.inf, 0.0
        for chunk in _chunks(seconds):
            planes = timeline.blend(volumes, chunk)
            heat = upsample_volume(planes, explanation.input_size[1:])
            low, high = min(low, float(heat.min())), max(high, float(heat.max()))
            if forget is not None:
                forget()
        bounds[name] = (low, high)
    return bounds


def load_film(path: Path) -> Film:
    """Read what `Film.save` wrote; nothing is unpickled.

    Raises:
        MediaError: not such a file.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            meta = json.loads(str(arrays["meta"]))
            if meta["schema"] != SCHEMA:
                raise ShapeError(f"its schema is {meta['schema']}, not {SCHEMA}")
            return _film(meta, arrays)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error) as exc:
        raise MediaError(
            f"{path} cannot be read as a saved explanation ({exc}); expected a .npz that explain wrote; "
            "load_explanation reads those of Explanation.save"
        ) from exc


def _film(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Film:
    place = meta["geometry"]
    return Film(
        source=meta["source"],
        model=meta["model"],
        geometry=Geometry(
            tuple(place["source_size"]),
            tuple(place["resized_size"]),
            tuple(place["crop_size"]),
            place["top_px"],
            place["left_px"],
        ),
        timeline=Timeline(arrays["starts"], arrays["ends"], arrays["frame_seconds"]),
        labels=tuple(entry["label"] for entry in meta["targets"]),
        explanations=tuple(_explanation(f"target{i}", entry, meta, arrays) for i, entry in enumerate(meta["targets"])),
        bounds=tuple({name: (low, high) for name, (low, high) in entry["bounds"].items()} for entry in meta["targets"]),
        origin=origin_from(meta["origin"]) if meta.get("origin") else None,
        class_labels={int(index): label for index, label in meta.get("class_labels", {}).items()},
    )


def _explanation(
    prefix: str, entry: Mapping[str, Any], meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Explanation:
    return Explanation(
        volumes={name: arrays[f"{prefix}/volume/{name}"] for name in entry["methods"]},
        logits=arrays["logits"],
        target=arrays[f"{prefix}/target"],
        foil=arrays[f"{prefix}/foil"] if entry["contrasted"] else None,
        layer=meta["layer"],
        input_size=tuple(meta["input_size"]),
        alpha={
            name: AlphaAudit(*(arrays[f"{prefix}/alpha/{name}/{part}"] for part in AUDIT_FIELDS))
            for name in entry["alpha"]
        },
        alpha_exact=entry["alpha_exact"],
        activation=entry.get("activation", "softmax"),
        guarded={name: arrays[f"{prefix}/guarded/{name}"] for name in entry.get("guarded", ())},
    )


def _arrays(prefix: str, explanation: Explanation) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {f"{prefix}/target": explanation.target}
    if explanation.foil is not None:
        arrays[f"{prefix}/foil"] = explanation.foil
    for name, volume in explanation.volumes.items():
        arrays[f"{prefix}/volume/{name}"] = volume
    for name, audit in explanation.alpha.items():
        for part in AUDIT_FIELDS:
            arrays[f"{prefix}/alpha/{name}/{part}"] = getattr(audit, part)
    for name, share in explanation.guarded.items():
        arrays[f"{prefix}/guarded/{name}"] = share
    return arrays


def _pieces(array: NDArray[Any]) -> Iterator[bytes]:
    """An array as the bytes of an .npy file, a few rows at a time."""
    descr = np.lib.format.dtype_to_descr(array.dtype)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": array.shape})
    yield header.getvalue()
    rows = np.atleast_1d(array)
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK].tobytes()


def _chunks(seconds: Sequence[float] | Seconds) -> Iterator[Seconds]:
    moments = np.asarray(seconds, dtype=np.float64)
    for start in range(0, moments.size, CHUNK):
        yield moments[start : start + CHUNK]
