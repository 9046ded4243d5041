"""Switches against usage reports of libraries that a model may import."""

from __future__ import annotations

import os

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, transformers, diffusers
    "NO_ALBUMENTATIONS_UPDATE": "1",  # asks for its newest version when it is imported
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
}


def disable_usage_reports() -> None:
    """Set the switches in the environment of this process; one that is set already stays as it is."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
