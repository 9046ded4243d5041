"""A model's forward pass, opened for explanation as its spec says; shared by explain and score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vidcam.cam.layers import chosen_layers, dotted_name
from vidcam.cam.reshape import Reshape, channels_last, frames, in_turn, tokens
from vidcam.errors import RunError
from vidcam.models.model import Model
from vidcam.preprocess import grey_input
from vidcam.spec import Layout, ModelSpec, TokenGrid

DEFAULT_BATCH = {"cpu": 4, "cuda": 16}
"""Clips that the model is shown at once, by device; 'auto' is this number, so that results do not depend on luck."""


def default_batch(model: Model) -> int:
    """Clips at once where no number was given."""
    return DEFAULT_BATCH.get(model.device.type, DEFAULT_BATCH["cpu"])


@contextmanager
def torch_errors(model: Model, batch: int) -> Iterator[None]:
    """Torch's own errors, out of memory among them, as one of ours.

    Raises:
        RunError: the model failed on a batch of so many clips.
    """
    try:
        yield
    except RuntimeError as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0].strip()
        raise RunError(
            f"model {model.spec.name!r} failed on a batch of {batch} ({reason}); if memory ran out, pass a smaller "
            f"--batch-size, else try the model on a tensor of {(batch, 3, *model.spec.input_size)}"
        ) from exc


def target_layers(model: Model, names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The layers that were asked for, else the model's own default, else the last that has an extent; dotted.

    Returns:
        The names, and a sentence where the layer was chosen here.
    """
    chosen = names or ((model.spec.layer,) if model.spec.layer else ())
    if chosen:
        return tuple(dict.fromkeys(dotted_name(name) for name in chosen)), ""
    with torch_errors(model, 1):
        layers, (note,) = chosen_layers(
            model.module, grey_input(model.spec).to(model.device), (), reshape_of(model.spec)
        )
    return layers, note


def reshape_of(spec: ModelSpec) -> Reshape | None:
    """Layer output → (N, D, t, h, w) for this model; None where that is what its layers return."""
    steps = [_step(layout, spec.frames) for layout in spec.layouts]
    return in_turn(steps) if steps else None


def _step(layout: Layout, frame_count: int) -> Reshape:
    if isinstance(layout, TokenGrid):
        return tokens(layout.grid, class_tokens=layout.class_tokens)
    return channels_last if layout == "channels-last" else frames(frame_count)
