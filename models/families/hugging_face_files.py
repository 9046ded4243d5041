"""Files of a checkpoint of Hugging Face: a folder, or a name of the hub. Only JSON, vocabularies and safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcam.errors import InputError, WeightsError
from vidcam.foreign import first_line
from vidcam.models.extras import import_extra
from vidcam.system.fingerprint import sha256
from vidcam.system.progress import Progress

_SETTINGS = ("*.json", "vocab.txt", "merges.txt", "*.model")
_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors")
_HUB_NAME = re.compile(r"(?P<name>[\w-][\w.-]*/[\w.-]+)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The files of a checkpoint.

    Attributes:
        model: name of the model as the user typed it, 'hf:owner/name'.
        folder: folder with its config.json.
        origin: where they come from, for display: the folder, or 'owner/name, commit 0123456789ab'.
    """

    model: str
    folder: Path
    origin: str

    def weights(self) -> tuple[Path, ...]:
        """List the files of weights.

        Raises:
            WeightsError: there are none, or only pickles.
        """
        whole = self.folder / "model.safetensors"
        paths = (whole,) if whole.is_file() else tuple(sorted(self.folder.glob("model-*-of-*.safetensors")))
        if paths:
            return paths
        pickles = sorted(path.name for suffix in ("bin", "pt", "pth") for path in self.folder.glob(f"*.{suffix}"))
        if pickles:
            raise WeightsError(
                f"{self.model!r} has weights only as a pickle; pass --weights {pickles[0]}, read without running code"
            )
        raise WeightsError(f"{self.model!r} has no model.safetensors in {self.origin}; pass --weights FILE or 'random'")

    def provenance(self) -> str:
        """Return the origin with names and hashes of the files of weights."""
        return ", ".join([self.origin, *(f"{path.name}, sha256 {sha256(path)}" for path in self.weights())])


def find_files(name: str, *, with_weights: bool = False, progress: Progress | None = None) -> CheckpointFiles:
    """Find the files of a checkpoint: in a folder, else at the hub, or in the hub's cache if there is no network.

    Args:
        name: a folder, or 'owner/name' of the hub, or 'owner/name@revision'.
        with_weights: whether weights are fetched too. A folder is never changed.
        progress: called when a download starts.

    Raises:
        InputError: neither a folder nor a name of the hub; or no config.json.
        WeightsError: the files are not cached and cannot be downloaded.
    """
    model, folder = f"hf:{name}", Path(name).expanduser()
    found = _HUB_NAME.fullmatch(name)
    if folder.is_dir():
        files = CheckpointFiles(model, folder, str(folder))
    elif found is not None:
        patterns = (*_SETTINGS, *_WEIGHTS) if with_weights else _SETTINGS
        commit = _fetch(model, found["name"], found["revision"], patterns, progress)
        files = CheckpointFiles(model, commit, f"{found['name']}, commit {commit.name[:12]}")
    else:
        raise InputError(f"model {model!r} is neither a folder nor a name of the hub, hf:owner/name")
    if not (files.folder / "config.json").is_file():
        raise InputError(f"model {model!r} has no config.json in {files.origin}")
    return files


def _fetch(model: str, name: str, revision: str | None, patterns: Sequence[str], progress: Progress | None) -> Path:
    hub = import_extra("huggingface_hub", extra="hf", model=model)
    if progress is not None:
        progress(f"fetching {name}", 0.0, None)
    try:
        with quiet():
            return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except Exception as exc:  # the hub's, its client's and the disk's
        raise WeightsError(
            f"{model!r} cannot be downloaded ({first_line(exc)}); check the name and the network, or pass a folder"
        ) from exc


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers and the hub from writing bars and warnings to the terminal. Their settings are put back."""
    hub: Any = import_extra("huggingface_hub.utils", extra="hf", model="hf:")
    logs: Any = import_extra("transformers.utils.logging", extra="hf", model="hf:")
    hub_bars = not hub.are_progress_bars_disabled()
    bars, level = logs.is_progress_bar_enabled(), logs.get_verbosity()
    hub.disable_progress_bars()
    logs.disable_progress_bar()
    logs.set_verbosity_error()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if bars:
            logs.enable_progress_bar()
        if hub_bars:
            hub.enable_progress_bars()
