"""Saved explanations of videos, typed as such."""

from __future__ import annotations

from pathlib import Path

from vidcam.results.io import load
from vidcam.results.video import Film


def load_film(path: Path) -> Film:
    """What `Film.save` wrote."""
    film = load(path)
    assert isinstance(film, Film)
    return film
