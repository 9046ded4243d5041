"""The settings of a scoring run, saved in scores/settings.json, with the versions and the device that it ran on.

A run resumes only with the same settings, so that all rows of a table are comparable. Other versions or another device
are accepted, as they change the last digits at most. They are recorded, and the report names them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import torch

from vidcam import __version__
from vidcam.cam.methods import canonical_methods
from vidcam.cam.request import MapRequest
from vidcam.devices import device_name
from vidcam.errors import InputError, OutputError, ShapeError
from vidcam.models.model import Forward, Model
from vidcam.pipelines.score.clips import ClipSet
from vidcam.pipelines.score.foreign_maps import ForeignMaps
from vidcam.pipelines.score.measures import chosen_measures
from vidcam.pipelines.score.options import DEFAULT_METHODS, ScoreOptions
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.spec import MeanCube
from vidcam.system.fingerprint import digest_of
from vidcam.system.json_files import read_json

SCHEMA = 2
"""Version of settings.json and summary.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Versions and device with which clips were scored.

    Attributes:
        from_clip: index of the first clip that was scored with them.
        vidcam: version of vidcam.
        torch: version of PyTorch.
        numpy: version of NumPy.
        av: version of PyAV, which decodes.
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
        """Version of each package."""
        return {"vidcam": self.vidcam, "torch": self.torch, "numpy": self.numpy, "av": self.av}


def provenance_of(model: Model) -> Provenance:
    """Return the versions and the device of this process."""
    return Provenance(
        vidcam=__version__,
        torch=str(torch.__version__),
        numpy=version("numpy"),
        av=version("av"),
        device=device_name(model.device),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSettings:
    """The settings that are known before the model is loaded.

    Attributes, besides those of `ScoreOptions`:
        model: name of the model; None if it is known only after loading.
        methods: canonical names; none if the model chooses them.
        windows: `central`, `all` or a number, as text.
        clips: number of clips, and a digest of the manifest.
        maps: maps of other tools: name, and a digest of the files.
        threads: threads of PyTorch on the CPU; 0 if they were not named.
    """

    model: str | None
    fusion: str
    methods: tuple[str, ...]
    measures: tuple[str, ...]
    controls: bool
    windows: str
    fill: str
    score_scale: float
    steps: int
    fine: str
    budget: int
    seed: int
    min_confidence: float
    correct_only: bool
    label_in_top: int = 0
    clips: str
    maps: tuple[str, ...] = ()
    threads: int = 0


def partial_settings(
    options: ScoreOptions, clips: ClipSet, *, model: str | None, maps: Sequence[ForeignMaps] = ()
) -> PartialSettings:
    """Collect the settings that need no model."""
    return PartialSettings(
        model=model,
        fusion=options.fusion or "default",
        methods=() if options.methods is None else canonical_methods(options.methods),
        measures=chosen_measures(options.measures),
        controls=options.controls,
        windows=str(options.windows),
        fill=options.fill,
        score_scale=options.score_scale,
        steps=MapRequest(methods=options.methods or DEFAULT_METHODS, steps=options.steps).path_steps,
        fine=options.fine,
        budget=options.budget,
        seed=options.seed,
        min_confidence=options.min_confidence,
        correct_only=options.correct_only,
        label_in_top=options.label_in_top or 0,
        clips=set_digest(clips),
        maps=tuple(f"{foreign.name} (sha256 {foreign.digest()[:16]})" for foreign in maps),
        threads=options.threads or 0,
    )


def set_digest(clips: ClipSet) -> str:
    """Return the number of clips, and a digest of the manifest."""
    return f"{len(clips.entries)} (sha256 {clips.digest[:16]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(PartialSettings):
    """All settings that change a number; the content of settings.json.

    Attributes:
        schema: version of settings.json and summary.json.
        weights: source of the weights.
        labels: number of labels, and a digest.
        mean_cube: digest of the mean cube; None for a model without one.
        layer: dotted names of the layers.
        batch_size: perturbed clips per forward pass when the run began.
        forward: memory format and precision of the forward pass.
        provenance: versions and device, one entry for each change during the run.
    """

    schema: int = SCHEMA
    weights: str
    labels: str
    mean_cube: str | None
    layer: tuple[str, ...]
    batch_size: int
    forward: Forward
    provenance: tuple[Provenance, ...] = ()

    def __post_init__(self) -> None:
        if self.schema != SCHEMA or self.batch_size < 1:
            raise ShapeError(f"schema {self.schema}, expected {SCHEMA}; batch_size {self.batch_size}, expected >= 1")

    @property
    def where(self) -> str:
        """The model and its layers: 'i3d at Mixed_5c'."""
        return f"{self.model} at {' + '.join(self.layer)}"


def complete_settings(partial: PartialSettings, request: ScoreRequest, model: Model, forward: Forward) -> Settings:
    """Add the settings that need the model."""
    mean = model.spec.scaling.mean
    return Settings(
        **{**asdict(partial), "model": model.spec.name, "methods": request.methods, "threads": torch.get_num_threads()},
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
    """Read settings.json; None if the file does not exist.

    Raises:
        OutputError: the file is damaged, or from another version of vidcam.
    """
    try:
        return read_json(path, Settings)
    except FileNotFoundError:
        return None
    except InputError as exc:
        raise OutputError(f"{exc}; pass --overwrite to start again") from exc


def require_same(out: Path, former: Settings, current: PartialSettings) -> None:
    """Require the settings of the earlier run; `provenance` may differ.

    Raises:
        OutputError: a setting differs; the message names it with both values.
    """
    if changes := differences(former, current):
        raise OutputError(
            f"{out} has scores with other settings ({changes}); choose another folder (-o), or pass --overwrite"
        )


def differences(former: Settings, current: PartialSettings) -> str:
    """Name the settings that differ, with both values; `provenance` may, and so may what is not known yet."""
    unknown = {name for name in ("model", "methods", "threads") if not getattr(current, name)}
    names = [field.name for field in fields(current) if field.name not in {"provenance", *unknown}]
    pairs = [(name, getattr(former, name), getattr(current, name)) for name in names]
    return "; ".join(f"{name} was {_as_text(old)}, is {_as_text(new)}" for name, old, new in pairs if old != new)


def _as_text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
