"""Download torchvision's weights into torch.hub's cache, `$TORCH_HOME/hub/checkpoints` or `~/.cache/torch/hub/…`.

The cache is shared with other programs. A file name ends in the first digits of the file's SHA-256, torch.hub's hash
prefix. It is checked on every read, because any program may have written the file. Torch is imported only for a
download.
"""

from __future__ import annotations

import os
import re
from http.client import HTTPException
from pathlib import Path

from vidcam.errors import VidcamError, WeightsError
from vidcam.foreign import first_line
from vidcam.system.atomic import atomic_write
from vidcam.system.fingerprint import sha256
from vidcam.system.progress import Progress


def checkpoint_folder() -> Path:
    """Return the folder in which torch.hub stores downloaded weights. It may not exist yet."""
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torch_home = os.environ.get("TORCH_HOME") or f"{user_cache}/torch"
    return Path(torch_home).expanduser() / "hub" / "checkpoints"


def fetch_url(url: str, *, megabytes: float, progress: Progress | None = None) -> Path:
    """Download a file into torch.hub's cache unless it is there, and check its hash.

    Args:
        url: address that ends in 'name-<first digits of the SHA-256>.pth'.
        megabytes: size of the download, for the error message.
        progress: called when a download starts.

    Returns:
        Path of the file.

    Raises:
        WeightsError: the file is not cached and cannot be downloaded, or its hash does not match its name.
    """
    path = checkpoint_folder() / url.rpartition("/")[2]
    if not path.is_file():
        _download(url, path, megabytes, progress)
    prefix, digest = hash_prefix(path.name), sha256(path)
    if not digest.startswith(prefix):
        raise WeightsError(
            f"{path} has SHA-256 {digest}, expected one that begins with {prefix}; delete the file and run again"
        )
    return path


def hash_prefix(name: str) -> str:
    """Return the SHA-256 digits in a file name: 'r3d_18-b3b3357e.pth' → 'b3b3357e'."""
    match = re.search(r"-([0-9a-f]{8,64})\.", name)
    if match is None:
        raise WeightsError(
            f"{name} cannot be checked: its name has no SHA-256 digits; download it and pass --weights FILE"
        )
    return match[1]


def _download(url: str, path: Path, megabytes: float, progress: Progress | None) -> None:
    from torch.hub import download_url_to_file

    prefix = hash_prefix(path.name)
    if progress is not None:
        progress(f"fetching {path.name}", 0.0, None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary_path:
            download_url_to_file(url, str(temporary_path), hash_prefix=prefix, progress=False)
    except (OSError, HTTPException, RuntimeError, ValueError, VidcamError) as exc:  # RuntimeError: wrong hash
        cause = exc.__cause__ or exc if isinstance(exc, VidcamError) else exc  # the error of the network or the disk
        raise WeightsError(
            f"{path.name} ({megabytes:.0f} MB) cannot be downloaded ({first_line(cause)}) and is not in {path.parent}; "
            f"connect to the network, or download {url} elsewhere and pass it with --weights FILE"
        ) from exc
