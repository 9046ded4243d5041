"""The measures of `score`. Nothing here imports torch, so the command line can name them."""

from __future__ import annotations

from collections.abc import Sequence

from vidcam.arguments import split_names
from vidcam.errors import InputError

MEASURES = ("drop", "relative", "retention", "curve", "insertion-deletion", "localization", "time", "fills", "grid")
DEFAULT_MEASURES = ("drop", "relative", "retention")


def chosen_measures(measures: Sequence[str] | str) -> tuple[str, ...]:
    """Return the chosen measures in the order of MEASURES; `drop` is always among them.

    Args:
        measures: names of MEASURES, `default` or `all`, as a list or separated by commas.

    Raises:
        InputError: an unknown name, or no name.
    """
    names = split_names(measures)
    groups = {"default": DEFAULT_MEASURES, "all": MEASURES}
    chosen = {part for name in names for part in groups.get(name, (name,))}
    if chosen - set(MEASURES) or not chosen:
        raise InputError(
            f"--measures is {','.join(filter(None, names)) or 'empty'}; use default, all or some of "
            f"{', '.join(MEASURES)}"
        )
    return tuple(name for name in MEASURES if name in chosen or name == "drop")
