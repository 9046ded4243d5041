"""torch's own cache of downloads, which torchvision uses: `$TORCH_HOME/hub/checkpoints`, else `~/.cache/torch/hub/…`.

What another program fetched there is used, and what vidcam fetches there is there for others. A file's name ends in
the first digits of its SHA-256; they are compared after fetching, and whenever a file is read, for anyone may have
written it. Nothing here needs torch until something is fetched.
"""

from __future__ import annotations

import os
import re
from http.client import HTTPException
from pathlib import Path

from vidcam.errors import VidcamError, WeightsError
from vidcam.system.atomic import atomic_write
from vidcam.system.fingerprint import sha256
from vidcam.system.progress import Progress


def checkpoint_folder() -> Path:
    """Where torch keeps downloaded weights; it need not exist yet."""
    general = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{general}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def fetched(url: str, *, megabytes: float, progress: Progress | None = None) -> Path:
    """The file at an address, from torch's cache or else from the network, its hash compared with its name.

    Args:
        url: its last part is 'name-<first digits of the SHA-256>.pth'.
        megabytes: of the download, for the error's sentence.
        progress: told that something is fetched.

    Raises:
        WeightsError: it is not there and cannot be fetched, or has another hash.
    """
    path = checkpoint_folder() / url.rpartition("/")[2]
    if not path.is_file():
        _download(url, path, megabytes, progress)
    expected, got = stated_digits(path.name), sha256(path)
    if not got.startswith(expected):
        raise WeightsError(
            f"{path} has the SHA-256 {got}, expected one that begins with {expected}; it was not used: remove it and "
            f"run again, to fetch it anew"
        )
    return path


def stated_digits(name: str) -> str:
    """The digits of the SHA-256 in a file's name: 'r3d_18-b3b3357e.pth' → 'b3b3357e'."""
    found = re.search(r"-([0-9a-f]{8,64})\.", name)
    if found is None:
        raise WeightsError(
            f"{name} has no digits of its SHA-256 in its name, expected name-<digits>.pth; fetch it yourself and pass "
            f"it with --weights FILE"
        )
    return found[1]


def _download(url: str, path: Path, megabytes: float, progress: Progress | None) -> None:
    from torch.hub import download_url_to_file

    digits = stated_digits(path.name)
    if progress is not None:
        progress(f"fetching {path.name}", 0.0, None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            download_url_to_file(url, str(part), hash_prefix=digits, progress=False)
    except (OSError, HTTPException, RuntimeError, ValueError, VidcamError) as exc:  # RuntimeError: the hash
        cause = exc.__cause__ or exc if isinstance(exc, VidcamError) else exc  # the network's or the disk's own words
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise WeightsError(
            f"{path.name} ({megabytes:.0f} MB) could not be fetched ({reason}), and it is not in {path.parent}; "
            f"connect to the network once and run again, or fetch {url} elsewhere and pass it with --weights FILE"
        ) from exc
