"""What a page takes from the JSON beside the maps. Everything else is in the maps' own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The video."""

    sha256: str
    fps: float
    frames: int
    codec: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The weights of the model."""

    weights: str


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """A predicted class."""

    label: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """The overlay video of a method."""

    overlay: str | None = None


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """A target."""

    label: str
    methods: dict[str, MethodFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """Where the model ran."""

    device: str
    decoder: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The part of a JSON of `vidcam explain` that a page shows; `docs/json.md` describes the keys."""

    source: SourceFacts
    model: ModelFacts
    top5: tuple[ClassFacts, ...]
    targets: tuple[TargetFacts, ...]
    runtime: RuntimeFacts
    versions: Mapping[str, str]
    score: str
    view: str
    scale: str

    def overlays(self) -> list[tuple[str, str, str]]:
        """Return label, method and file name of each overlay video."""
        return [
            (target.label, method, entry.overlay)
            for target in self.targets
            for method, entry in target.methods.items()
            if entry.overlay
        ]


def settings_beside(path: Path) -> str:
    """Read the settings of the same stem; '' if there are none."""
    try:
        return path.with_suffix(".toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
