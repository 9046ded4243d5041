"""Guided methods by name: which map each one multiplies. Names alone, so that drawing needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GUIDED: Mapping[str, str] = MappingProxyType(
    {"guided-gradcam": "gradcam", "guided-gradcam+": "gradcam+", "guided-gradcam++": "gradcam++"}
)
"""Guided method → the method whose upsampled map it multiplies with guided backpropagation."""
