"""Run one work in this process and print its peak memory in MB.

`python -m scripts.bench.peak WORK ARGUMENT…`: WORK is `explain`, `render` or `score` with an input and an output path,
or a work of the case `memory` with a network.
"""

from __future__ import annotations

import gc
import sys
import warnings
from pathlib import Path

import vidcam
from scripts.bench.processes import peak_megabytes


def main(work: str, *arguments: str) -> None:
    """Import only what the work needs, so that the peak is its own."""
    warnings.simplefilter("ignore")
    source, out = Path(arguments[0]), Path(arguments[-1])
    if work == "explain":
        vidcam.explain_video(source, out, model="tiny_r3d")
    elif work == "render":
        vidcam.render_video(source, out.with_suffix(".mp4"), strip=True, overwrite=True)
    elif work == "score":
        vidcam.score_clips(source, out, model="tiny_r3d")
    else:
        from scripts.bench.maps import memory_work

        call = memory_work(work, arguments[0])
        gc.collect()
        for _ in range(3):
            call()
    print(peak_megabytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
