"""An explanation of clips as one `.npz`: plain arrays and one JSON text, read without pickle."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import MediaError, OutputError
from vidcam.results.explanation import AUDIT_FIELDS, AlphaAudit, Explanation, Sink

KIND = "vidcam explanation 1"

Arrays = dict[str, NDArray[Any]]


def save_explanation(explanation: Explanation, path: str | Path) -> None:
    """Write all of an explanation, whole or not at all; the raw maps are on the feature grid, so that it is small.

    Raises:
        OutputError: it cannot be written.
    """
    arrays: Arrays = {"logits": explanation.logits, "target": explanation.target}
    if explanation.foil is not None:
        arrays["foil"] = explanation.foil
    for group in ("volumes", "guarded", "guided"):
        arrays |= {f"{group}/{name}": values for name, values in getattr(explanation, group).items()}
    for name, audit in explanation.alpha.items():
        arrays |= {f"alpha/{field}/{name}": getattr(audit, field) for field in AUDIT_FIELDS}
    meta = {
        "kind": KIND,
        "layer": explanation.layer,
        "input_size": list(explanation.input_size),
        "alpha": list(explanation.alpha),
        "alpha_exact": explanation.alpha_exact,
        "activation": explanation.activation,
        "sink": None if explanation.sink is None else asdict(explanation.sink),
        "notes": list(explanation.notes),
    }
    whole = Path(path)
    part = whole.with_name(f".{whole.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:  # given a name, numpy would add an ending of its own
            np.savez_compressed(file, meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]
        part.replace(whole)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise OutputError(f"{path} cannot be written ({reason}), expected a folder with room; choose another") from exc
    finally:
        part.unlink(missing_ok=True)


def load_explanation(path: str | Path) -> Explanation:
    """Read what `Explanation.save` wrote; nothing is unpickled.

    Raises:
        MediaError: not such a file.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        meta = json.loads(str(arrays.pop("meta")))
        if meta.get("kind") != KIND:
            raise ValueError(f"it is no {KIND!r}")
        return _explanation(meta, arrays)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error) as exc:
        raise MediaError(
            f"{path} cannot be read as an explanation ({exc}); expected an .npz that Explanation.save wrote; "
            "load_film reads those of films"
        ) from exc


def _explanation(meta: Mapping[str, Any], arrays: Arrays) -> Explanation:
    sink = meta["sink"]
    return Explanation(
        volumes=_part(arrays, "volumes"),
        logits=arrays["logits"],
        target=arrays["target"],
        foil=arrays.get("foil"),
        layer=meta["layer"],
        input_size=tuple(meta["input_size"]),
        alpha={
            name: AlphaAudit(*(arrays[f"alpha/{field}/{name}"] for field in AUDIT_FIELDS)) for name in meta["alpha"]
        },
        alpha_exact=meta["alpha_exact"],
        guarded=_part(arrays, "guarded"),
        guided=_part(arrays, "guided"),
        activation=meta["activation"],
        sink=sink and Sink(tuple(tuple(cell) for cell in sink["cells"]), sink["value"], sink["median"]),
        notes=tuple(meta["notes"]),
    )


def _part(arrays: Arrays, part: str) -> Arrays:
    return {name.removeprefix(f"{part}/"): values for name, values in arrays.items() if name.startswith(f"{part}/")}
