"""Every exception that vidcam raises on purpose.

    VidcamError
    ├── InputError (ValueError)        unusable input or arguments; the command line exits with 2
    │   ├── ShapeError                 an array or tensor of the wrong shape, dtype or range
    │   ├── NameNotFoundError          an unknown model, method, label or layer; lists the nearest
    │   ├── LayerError                 a layer that exists but cannot have a map
    │   ├── MediaError                 a file that cannot be opened or decoded as video
    │   ├── OutputError                an output that exists or cannot be written
    │   └── WeightsError               weights that are missing, damaged or for another model
    └── RunError                       a run failed; the command line exits with 1
        ├── NonFiniteError             NaN or infinity in logits, activations or gradients
        └── EncodeError                the encoder or the disk failed

A message is short: what is wrong, with the option or argument as the user typed it, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VidcamError(Exception):
    """Base class of all errors raised by vidcam."""


class InputError(VidcamError, ValueError):
    """An input or argument cannot be used."""


class ShapeError(InputError):
    """An array or tensor has the wrong shape, dtype or range."""


class NameNotFoundError(InputError):
    """No model, method, label or layer has this name."""


class LayerError(InputError):
    """The layer exists but cannot have a class activation map."""


class MediaError(InputError):
    """The file cannot be opened, or has no video that can be decoded."""


class OutputError(InputError):
    """The output exists already or cannot be written."""


class WeightsError(InputError):
    """Weights are missing, damaged, untrusted or for another network."""


class RunError(VidcamError):
    """A run failed although the input looked usable."""


class NonFiniteError(RunError):
    """NaN or infinity where a finite number is needed."""


class EncodeError(RunError):
    """The encoder or the disk failed while a video was written."""


def name_not_found(kind: str, name: str, known: Iterable[str], hint: str) -> NameNotFoundError:
    """Make the error for an unknown name. It suggests the nearest known names.

    Args:
        kind: kind of name, for the message: 'model', 'label', …
        name: the unknown name.
        known: all names that exist.
        hint: what to do, as a clause: 'run `vidcam models` for all'.
    """
    names = list(known)
    by_folded = {known_name.casefold(): known_name for known_name in names}
    near = [by_folded[key] for key in difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)]
    if not near:
        near = [known_name for known_name in names if name.casefold() in known_name.casefold()][:3]
    nearest = f"the nearest are {', '.join(map(repr, near))}; " if near else ""
    return NameNotFoundError(f"{kind} {name!r} not found; {nearest}{hint}")
