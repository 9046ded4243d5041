"""`doctor`: versions, codecs, devices and caches of this machine, for bug reports.

It works where torch, PyAV or decord is missing or broken, and names no folder of the user but the caches.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vidcam import __version__
from vidcam.devices import device_lines
from vidcam.models.registry import model_entries
from vidcam.models.weights.cache import cache_folder
from vidcam.models.weights.hub import checkpoint_folder
from vidcam.system.filenames import one_line

PACKAGES = (
    *("torch", "torchvision", "av", "decord", "numpy", "scipy", "matplotlib", "pillow"),
    *("msgspec", "pyarrow", "safetensors", "h5py", "fsspec", "click", "rich", "tomli_w"),
    *("transformers", "timm", "pytorchvideo"),
)

_IMPORTED = ("torch", "torchvision", "av", "decord")
"""Packages with libraries of their own, which may be installed and yet not load."""

_OPTIONAL = ("decord", "h5py", "fsspec", "transformers", "timm", "pytorchvideo")
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^/\\\s:'\"]+[/\\])+")
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class CachedWeights:
    """Downloaded weights of a model."""

    model: str
    file: str
    megabytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """What a bug report should say about a machine.

    Attributes:
        packages: name → version; None: not installed.
        ffmpeg: library → version.
        decoders: those that can be used.
        encoders: codec → FFmpeg's names of its encoders.
        devices: where models can run.
        problems: sentences about what does not work.
    """

    schema: int = 1
    vidcam: str
    python: str
    system: str
    packages: dict[str, str | None]
    ffmpeg: dict[str, str]
    decoders: tuple[str, ...]
    encoders: dict[str, tuple[str, ...]]
    devices: tuple[str, ...]
    cache_folder: str
    torch_cache_folder: str
    weights: tuple[CachedWeights, ...]
    problems: tuple[str, ...]


def examine() -> DoctorReport:
    """Examine this machine; what fails becomes a sentence among the problems."""
    packages = {name: _version(name) for name in PACKAGES}
    broken = {name: reason for name in _IMPORTED if packages[name] and (reason := _why_broken(name))}
    missing = [name for name, stated in packages.items() if stated is None and name not in _OPTIONAL]
    problems = [f"{name} is not installed" for name in missing]
    problems += [f"{name} is installed and cannot be imported: {reason}" for name, reason in broken.items()]
    usable = {name for name in _IMPORTED if packages[name] and name not in broken}
    ffmpeg, encoders = _codecs() if "av" in usable else ({}, {})
    return DoctorReport(
        vidcam=__version__,
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        system=f"{platform.platform()}, {os.cpu_count()} cores",
        packages=packages,
        ffmpeg=ffmpeg,
        decoders=tuple(decoder for decoder, package in (("pyav", "av"), ("decord", "decord")) if package in usable),
        encoders=encoders,
        devices=device_lines() if "torch" in usable else (),
        cache_folder=_with_tilde(cache_folder()),
        torch_cache_folder=_with_tilde(checkpoint_folder()),
        weights=tuple(_cached_weights()),
        problems=tuple(problems),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _why_broken(name: str) -> str:
    """Why a package cannot be imported, without folders; '' if it can."""
    try:
        importlib.import_module(name)
    except Exception as exc:  # a broken package raises anything
        reason = _FOLDERS.sub("…/", f"{type(exc).__name__}: {exc}")
        return one_line(reason)[:_LONGEST_REASON]
    return ""


def _codecs() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    from vidcam.video.encoders import available_encoders, library_versions

    return library_versions(), available_encoders()


def _cached_weights() -> list[CachedWeights]:
    places = (
        (entry.spec.name, checkpoint_folder() / entry.hub_file if entry.hub_file else cache_folder() / entry.cache_file)
        for entry in model_entries()
        if entry.hub_file or entry.cache_file
    )
    return [
        CachedWeights(name, path.name, round(path.stat().st_size / 1e6, 1)) for name, path in places if path.is_file()
    ]


def _with_tilde(folder: Path) -> str:
    """The folder, with ~ for the user's home."""
    home = Path.home()
    return f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)
