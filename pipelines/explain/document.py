"""The JSON of an explained film, key by key in `docs/json.md`; undefined is null, paths are relative to the JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam import __version__
from vidcam.metrics.faithfulness import average_drop, drop, increase, increase_rate
from vidcam.models.model import Model
from vidcam.pipelines.audit import sink_shares
from vidcam.pipelines.explain.analyse import Answer
from vidcam.results.explanation import FIVE_NUMBERS, GUIDED, AlphaAudit, Sink
from vidcam.results.video import PER_WINDOW, Film
from vidcam.system.fingerprint import sha256
from vidcam.video.reader import VideoReader

PACKAGES = ("av", "numpy", "torch", "torchvision")


def source_entry(reader: VideoReader, path: str) -> dict[str, Any]:
    """What was explained: path, content hash, what probing found and what reading did."""
    info = reader.info
    return {
        "path": path,
        "sha256": sha256(info.files),
        "size": list(info.size),
        "rotation_degrees": info.rotation_degrees,
        "pixel_aspect": float(info.pixel_aspect),
        "fps": float(info.fps),
        "frames": info.frame_count,
        "duration_seconds": info.duration_seconds,
        "codec": info.codec,
        "has_audio": info.has_audio,
        "readable_seconds": [list(interval) for interval in reader.readable_seconds],
        "warnings": list(reader.notes),
    }


def model_entry(model: Model, layer: str) -> dict[str, Any]:
    """Which model, which layer, which weights."""
    return {"name": model.spec.name, "layer": layer, "weights": model.weights}


def top5(model: Model, probabilities: NDArray[np.float64]) -> list[dict[str, Any]]:
    """The classes of the highest mean probability over the windows, at most five.

    Args:
        model: for its labels.
        probabilities: (N, K).
    """
    mean = probabilities.mean(axis=0)
    best = np.argsort(-mean, kind="stable")[:5]
    return [{"label": model.label(int(k)), "index": int(k), "probability": float(mean[k])} for k in best]


def target_entry(
    film: Film,
    answer: Answer,
    *,
    number: int,
    foil: str | None,
    sink: Sink | None,
    files: Mapping[str, Mapping[str, str]],
    methods: Sequence[str] = (),
) -> dict[str, Any]:
    """One target: its probability and, for each method, files and figures.

    Args:
        film: the explained film.
        answer: of this target.
        number: the target's position.
        foil: label of the class it was contrasted with.
        sink: the layer's loudest cell on a grey clip.
        files: method → {'overlay': name, 'map': name}.
        methods: those that were asked for, guided ones among them; by default all volumes.
    """
    explanation = answer.explanation
    return {
        "label": film.labels[number],
        "index": None if film.labels[number] == PER_WINDOW else int(explanation.target[0]),
        "probability": float(np.exp(answer.log_original).mean()),
        "saturated": float(explanation.saturated.mean()),
        "foil": foil,
        "methods": {
            method: {
                "overlay": files.get(method, {}).get("overlay"),
                "map": files.get(method, {}).get("map"),
                **_figures(film, answer, GUIDED.get(method, method), number=number, sink=sink),
                **({"faithfulness": None} if method in GUIDED else {}),
            }
            for method in methods or explanation.methods
        },
    }


def _figures(film: Film, answer: Answer, method: str, *, number: int, sink: Sink | None) -> dict[str, Any]:
    """Figures of one volume; a guided method has those of the map that it multiplies, and is not scored."""
    explanation = answer.explanation
    guarded = list(_by_layer(explanation.guarded, method).values())
    audits = _by_layer(explanation.alpha, method)
    entries = {layer: _alpha_entry(audit) for layer, audit in audits.items()}
    return {
        "empty": bool(explanation.empty[method].all()),
        "area": float(answer.area[method].mean()),
        "scale": list(film.bounds[number][method]),
        "sink_share": sink_shares(explanation, sink).get(method),
        "alpha": entries.get("", entries or None),
        "alpha_exact": explanation.alpha_exact if audits else None,
        "guarded": max((float(share.max()) for share in guarded), default=None),
        "faithfulness": _faithfulness(answer, method),
    }


def _by_layer(figures: Mapping[str, Any], method: str) -> dict[str, Any]:
    """What is said of a method: of one layer under '', of several that were fused under their names."""
    start = f"{method} at "
    found = {key.removeprefix(start): figure for key, figure in figures.items() if key.startswith(start)}
    return {"": figures[method]} if method in figures else found


def window_entries(model: Model, film: Film, answer: Answer) -> list[dict[str, Any]]:
    """Each window's own top class and the probability of the (first) target."""
    probabilities = answer.explanation.probabilities()
    best = probabilities.argmax(axis=1)
    return [
        {
            "start_seconds": float(film.timeline.starts[n]),
            "end_seconds": float(film.timeline.ends[n]),
            "label": model.label(int(best[n])),
            "probability": float(probabilities[n, best[n]]),
            "target_probability": float(np.exp(answer.log_original[n])),
        }
        for n in range(len(film.timeline))
    ]


def versions() -> dict[str, str]:
    """Versions of what computed the result."""
    return {"vidcam": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def sink_entry(sink: Sink | None) -> dict[str, Any] | None:
    """The layer's cells that are loud on a grey clip."""
    return None if sink is None else {**asdict(sink), "cells": [list(cell) for cell in sink.cells]}


def _faithfulness(answer: Answer, method: str) -> dict[str, float]:
    masked = answer.log_masked[method]
    return {
        "masked_probability": float(np.exp(masked).mean()),
        "drop": average_drop(drop(answer.log_original, masked)),
        "increase": increase_rate(increase(answer.log_original, masked)),
    }


def _alpha_entry(audit: AlphaAudit) -> dict[str, Any]:
    """Over the windows: the least minimum, the medians of the quartiles, the greatest maximum."""
    return {
        "positive": _over_windows(audit.positive),
        "nonzero": _over_windows(audit.nonzero),
        "product": _over_windows(audit.product),
        "guarded": float(audit.guarded.mean()),
        "agreement": _finite(audit.agreement, np.median),
    }


def _over_windows(numbers: NDArray[np.float64]) -> dict[str, float | None]:
    reducers = (np.min, np.median, np.median, np.median, np.max)
    return {name: _finite(numbers[:, i], reducers[i]) for i, name in enumerate(FIVE_NUMBERS)}


def _finite(values: NDArray[np.float64], reduce: Any) -> float | None:
    finite = values[np.isfinite(values)]
    return float(reduce(finite)) if finite.size else None


def all_files(stem: str, entries: Sequence[Mapping[str, Any]], *, sheet: bool, data: bool) -> list[str]:
    """Names of all files of a result, the JSON included."""
    videos = [m[kind] for entry in entries for m in entry["methods"].values() for kind in ("overlay", "map") if m[kind]]
    return [*videos, *([f"{stem}.png"] if sheet else []), *([f"{stem}.npz"] if data else []), f"{stem}.json"]
