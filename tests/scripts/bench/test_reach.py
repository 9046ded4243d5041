"""What is counted as entered by a call: functions of the library, by their names, in all threads."""

from __future__ import annotations

import threading

import torch

from scripts.bench.reach import Reach
from vidcam.maps import normalise_per_clip, upsample_volume


def test_functions_of_the_library_are_counted_once_and_nothing_else() -> None:
    reach, volume = Reach(), torch.rand(1, 2, 3, 3).numpy()
    with reach.watch():
        normalise_per_clip(volume)
        normalise_per_clip(volume)
        thread = threading.Thread(target=upsample_volume, args=(volume, (4, 6, 6)))
        thread.start()
        thread.join()
    names = [code.co_name for code in reach.named]
    assert names.count("normalise_per_clip") == names.count("upsample_volume") == 1
    assert {code.co_filename.rpartition("/")[2] for code in reach.named} == {"maps.py"}
    upsample_volume(volume, (4, 6, 6))
    assert [code.co_name for code in reach.named] == names
