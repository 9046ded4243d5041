"""Every exception that vidcam raises on purpose.

    VidcamError
    ├── InputError (ValueError)        unusable input or arguments; the command line exits with 2
    │   ├── ShapeError                 an array or tensor of the wrong shape, dtype or range
    │   ├── NameNotFoundError          an unknown model, method, label or layer; names the nearest
    │   ├── LayerError                 a layer that exists but cannot be explained
    │   ├── MediaError                 a file that cannot be opened or decoded as video
    │   ├── OutputError                a destination that exists or cannot be written
    │   └── WeightsError               weights that are missing, damaged or of another model
    └── RunError                       failed while running; the command line exits with 1
        ├── NonFiniteError             NaN or infinity in logits, activations or gradients
        └── EncodeError                the encoder gave up in the middle

A message says what was got, what was expected and what to do, in one sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VidcamError(Exception):
    """Root of all errors raised by vidcam."""


class InputError(VidcamError, ValueError):
    """The input or an argument cannot be used."""


class ShapeError(InputError):
    """An array or tensor has the wrong shape, dtype or range."""


class NameNotFoundError(InputError):
    """A model, method, label or layer of this name does not exist."""


class LayerError(InputError):
    """The layer exists, but no class activation map can be made at it."""


class MediaError(InputError):
    """The file cannot be opened, or holds no video that can be decoded."""


class OutputError(InputError):
    """The destination exists already or cannot be written."""


class WeightsError(InputError):
    """Weights are missing, damaged, untrusted or belong to another network."""


class RunError(VidcamError):
    """Something failed while running on input that looked usable."""


class NonFiniteError(RunError):
    """NaN or infinity appeared where a finite number was expected."""


class EncodeError(RunError):
    """The encoder or the disk failed while a video was being written."""


def name_not_found(kind: str, name: str, known: Iterable[str], hint: str) -> NameNotFoundError:
    """The error for an unknown name, with the nearest known ones.

    Args:
        kind: what is being named, for the sentence: 'model', 'label', …
        name: what was asked for.
        known: all names that exist.
        hint: what to do, as a clause: 'run `vidcam models` for all'.
    """
    names = list(known)
    by_folded = {other.casefold(): other for other in names}
    near = [by_folded[key] for key in difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)]
    if not near:
        near = [other for other in names if name.casefold() in other.casefold()][:3]
    nearest = f"the nearest are {', '.join(map(repr, near))}; " if near else ""
    return NameNotFoundError(f"{kind} {name!r} not found; {nearest}{hint}")
