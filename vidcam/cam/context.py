"""A forward pass with its inputs: the features of its layers, its scores, and the check of a layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.fusion import Fusion
from vidcam.cam.layer_run import LayerRun
from vidcam.cam.network import ClassScores, Input, read_scores, reference
from vidcam.cam.places import read_place
from vidcam.cam.probe import layout_note
from vidcam.cam.request import MapRequest
from vidcam.cam.tracer import LogitTracer


@dataclass(frozen=True, slots=True, eq=False)
class ForwardContext:
    """The inputs of a forward pass."""

    model: nn.Module
    clip: Input
    request: MapRequest
    run: LayerRun

    @property
    def axes(self) -> Axes:
        """The axes of the clip."""
        return self.run.axes

    @property
    def fusion(self) -> Fusion:
        """How the maps of several layers are fused."""
        return self.request.fusion or ("sum" if self.run.are_pathways else "mean")

    def features(self, layer: str, output: Tensor) -> Tensor:
        """Bring a layer's output, or its gradient, to (N, D, t, h, w)."""
        reshape = self.request.reshape
        if reshape is None:
            features = output
        elif self.run.recorder.frames[layer] == 1:
            features = reshape(output)
        else:
            features = torch.stack([reshape(frame) for frame in output.unbind(2)], dim=2)
        return self.axes.unfolded(features)

    @property
    def shown(self) -> Tensor:
        """The clip on whose axes the maps lie, (N, C, T, H, W)."""
        return reference(self.clip, self.axes)

    def layout_notes(self) -> tuple[str, ...]:
        """Refuse a reshape that puts the cells elsewhere; return a note where that cannot be told.

        A run of several is not checked, nor are frames that share an axis with clips or channels.
        """
        reshape, recorder = self.request.reshape, self.run.recorder
        if reshape is None or not self.request.check_layout or self.axes.shared:
            return ()
        single = {
            name: output
            for name, output in recorder.activations.items()
            if recorder.frames[name] == 1 and read_place(name).name == name
        }
        with recorder.paused():
            notes = [
                layout_note(self.model, self.clip, self.axes, layer=name, output=output, reshape=reshape)
                for name, output in single.items()
            ]
        return tuple(note for note in notes if note)

    def read(self, output: Any, tracer: LogitTracer, features: Iterable[Tensor]) -> ClassScores:
        """Read the scores; only an axis as long as the clip's or a layer's time can be the frames of (N, T, K).

        Args:
            output: what the network returned.
            tracer: active while it ran.
            features: of the layers, (N, D, t, h, w).
        """
        request, shown = self.request, self.shown
        frames = {*shown.shape[1:3], *(a.shape[2] for a in features)} if shown.ndim != 4 else set[int]()
        return read_scores(output, tracer, activation=request.activation, classes=request.classes, frames=frames)
