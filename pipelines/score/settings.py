"""The settings that stand beside the parts of a run, and what made the parts: versions and device.

Other settings are refused: rows that were made differently do not belong in one table. Other versions or another device
may change last digits alone, and an upgrade should not cost a night's work: they are noted, and the report says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import torch

from vidcam import __version__
from vidcam.cam.methods import canonical_methods
from vidcam.errors import InputError, OutputError
from vidcam.models.model import Forward, Model
from vidcam.pipelines.score.clips import ClipSet
from vidcam.pipelines.score.options import ScoreOptions, chosen_measures
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.spec import MeanCube
from vidcam.system.fingerprint import digest_of
from vidcam.system.json_files import read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What scored clips: versions and device.

    Attributes:
        from_clip: the first clip that it scored.
        vidcam: version, likewise torch, numpy and av, which decodes.
        device: 'cpu', or the name of the GPU.
    """

    from_clip: int = 0
    vidcam: str
    torch: str
    numpy: str
    av: str
    device: str

    @property
    def versions(self) -> Mapping[str, str]:
        """Package → version."""
        return {"vidcam": self.vidcam, "torch": self.torch, "numpy": self.numpy, "av": self.av}


def provenance_of(model: Model) -> Provenance:
    """What would score clips now."""
    name = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else model.device.type
    return Provenance(
        vidcam=__version__, torch=str(torch.__version__), numpy=version("numpy"), av=version("av"), device=name
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The settings that are known before a model is loaded.

    Attributes:
        model: name of its spec; None where only the model itself tells it.
        methods: canonical names.
        score_scale: λ of EQ 12.
        clips: how many, and a digest of all that is said about them.
    """

    model: str | None
    fusion: str
    methods: tuple[str, ...]
    measures: tuple[str, ...]
    controls: bool
    fill: str
    score_scale: float
    seed: int
    min_confidence: float
    correct_only: bool
    clips: str


def choices_of(options: ScoreOptions, clips: ClipSet, *, model: str | None) -> Choices:
    """What options and a clip set settle without a model."""
    return Choices(
        model=model,
        fusion=options.fusion,
        methods=canonical_methods(options.methods),
        measures=chosen_measures(options.measures),
        controls=options.controls,
        fill=options.fill,
        score_scale=options.score_scale,
        seed=options.seed,
        min_confidence=options.min_confidence,
        correct_only=options.correct_only,
        clips=f"{len(clips.entries)} (sha256 {clips.digest[:16]})",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Choices):
    """Everything that changes a number, under the names of the options; as in settings.json.

    Attributes:
        schema: version of this file and of summary.json.
        weights: where they come from.
        labels: how many, and a digest.
        mean_cube: a digest; None of a model without one.
        layer: dotted names.
        batch_size: perturbed clips per forward pass at first.
        forward: which paths the forward pass takes.
        made_with: what scored the clips, in order; may differ.
    """

    schema: int = 1
    weights: str
    labels: str
    mean_cube: str | None
    layer: tuple[str, ...]
    batch_size: int
    forward: Forward
    made_with: tuple[Provenance, ...] = ()


def settings_of(choices: Choices, request: ScoreRequest, model: Model, forward: Forward) -> Settings:
    """The settings of a run."""
    mean = model.spec.scaling.mean
    return Settings(
        **{**asdict(choices), "model": model.spec.name},
        weights=model.weights,
        labels=f"{len(model.labels)} ({_digest(json.dumps(model.labels).encode())})",
        mean_cube=_digest(mean.values.tobytes()) if isinstance(mean, MeanCube) else None,
        layer=tuple(request.layers),
        batch_size=request.batch_size,
        forward=forward,
    )


def _digest(content: bytes) -> str:
    return f"sha256 {digest_of([content])[:16]}"


def read_settings(path: Path) -> Settings | None:
    """The settings of a file; None where there is none.

    Raises:
        OutputError: it is damaged, or of another version.
    """
    try:
        return read_json(path, Settings)
    except FileNotFoundError:
        return None
    except InputError as exc:
        raise OutputError(f"{exc}, expected settings of the scores beside it; pass --overwrite to begin anew") from exc


def require_same(out: Path, former: Settings, now: Choices) -> None:
    """Refuse to go on with other settings, as far as they are known now; what made them may differ.

    Raises:
        OutputError: the differences.
    """
    unknown = {"made_with", *(["model"] if now.model is None else [])}
    names = [field.name for field in fields(now) if field.name not in unknown]
    pairs = [(name, getattr(former, name), getattr(now, name)) for name in names]
    different = "; ".join(f"{name} was {_said(old)}, is {_said(new)}" for name, old, new in pairs if old != new)
    if different:
        raise OutputError(
            f"{out} holds scores of other settings ({different}), expected the same to go on; choose another folder "
            f"with -o, or pass --overwrite to begin anew"
        )


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
