"""The settings that repeat a run of `explain` with `--config`."""

from __future__ import annotations

from vidcam.models.model import Model
from vidcam.pipelines.explain.request import ExplainOptions, ExplainRequest
from vidcam.pipelines.run_file import NamedModel, run_settings


def settings_of(options: ExplainOptions, named: NamedModel, request: ExplainRequest, model: Model) -> dict[str, object]:
    """Settings that repeat the run with `--config`: the options, and what was chosen for the user."""
    is_stated = bool(options.layers or model.spec.layer)  # else a note says that the layer was chosen
    resolved = {
        "device": str(model.device),
        "methods": request.methods,
        "layer": request.layers if is_stated else (),
        "batch_size": request.batch_size,
    }
    return run_settings(options, named, resolved=resolved)
