"""A destination, claimed: a hidden file beside it that takes the bytes until they are whole."""

from __future__ import annotations

import secrets
from pathlib import Path

from vidcam.errors import OutputError


def claim(path: Path, *, overwrite: bool) -> Path:
    """Create the hidden file beside `path` that is renamed when it is whole.

    Args:
        path: the final name.
        overwrite: whether a file may be there already.

    Raises:
        OutputError: the destination exists, its folder does not, or it cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder; expected the name of a file to write; add one")
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists already; expected a new name; pass overwrite to replace it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder '{path.parent}' does not exist; expected one to write into; create it")
    suffix = ".webm" if path.suffix.lower() == ".webm" else path.suffix.lower() or ".mp4"
    # A long stem with the addition could exceed what a file name may hold.
    temporary = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as exc:
        raise OutputError(
            f"nothing can be written into '{path.parent}' ({exc.strerror}); expected a writable folder; choose another"
        ) from exc
    return temporary
