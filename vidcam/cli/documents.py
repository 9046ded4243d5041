"""Documents that `--json` prints and no pipeline defines; a key is a field's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidcam.models.entry import ModelEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model of `vidcam models`.

    Attributes:
        input: (T, H, W).
        layer: the default; None: chosen when the model is loaded.
        recipe: how the weights were trained; None: unknown.
        parameters: their number; None: unknown.
        download_megabytes: None: nothing is downloaded.
        cached: whether the weights are on this machine.
    """

    name: str
    task: str
    dataset: str
    classes: int
    input: tuple[int, int, int]
    fps: float | None
    layer: str | None
    weights: str
    licence: str
    recipe: str | None
    parameters: int | None
    download_megabytes: float | None
    cached: bool


def model_row(entry: ModelEntry) -> ModelRow:
    """Make the row of a registry entry."""
    spec = entry.spec
    return ModelRow(
        name=spec.name,
        task=spec.task,
        dataset=spec.dataset,
        classes=spec.classes,
        input=spec.input_size,
        fps=None if spec.fps is None else float(spec.fps),
        layer=spec.layer,
        weights=spec.weights_name,
        licence=spec.licence,
        recipe=spec.recipe or None,
        parameters=spec.parameters or None,
        download_megabytes=round(spec.download_bytes / 1e6, 1) or None,
        cached=entry.is_cached,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """The file that `vidcam render` wrote, and notes about options that had no effect."""

    schema: int = 1
    path: str
    form: str
    frames: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPage:
    """The page that `vidcam report` wrote, and notes about what it cannot show."""

    schema: int = 1
    path: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedVideo:
    """A video of `vidcam explain` that failed, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedSet:
    """All videos of one `vidcam explain`; a result is its document, with the `folder` of its files first."""

    schema: int = 1
    results: list[dict[str, Any]]
    failed: list[FailedVideo]
