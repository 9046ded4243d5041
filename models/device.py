"""Which device a model runs on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vidcam.errors import InputError

if TYPE_CHECKING:
    import torch


def resolve_device(name: str) -> torch.device:
    """The device of this name, checked to be there.

    Args:
        name: 'auto' (the first CUDA device if there is one, else the CPU), 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        InputError: no such device.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError(f"device {name!r} is unknown; expected 'auto', 'cpu' or 'cuda:N'; pass one of these")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = int(name.partition(":")[2] or 0)
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= present:
        raise InputError(
            f"device {name!r} is not available: torch sees {present} CUDA devices here; "
            f"pass 'cpu' or {'install a torch with CUDA' if not present else f'a number below {present}'}"
        )
    return torch.device("cuda", index)
