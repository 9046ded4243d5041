"""Cases about whole videos: an overlay MP4, and drawing alone, beside a program written with the other tools.

That program uses PyAV, torchcam on windows that do not overlap, matplotlib's colours and moviepy's writer. All decode
with the FFmpeg of PyAV.
"""

from __future__ import annotations

import copy
import importlib
import tempfile
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import matplotlib as mpl
import numpy as np
import torch
from torch.nn import functional

import vidcam
from scripts.bench.peers import TOOLS
from scripts.bench.tables import Table
from scripts.bench.timing import Work, interleaved
from scripts.bench.videos import FPS, SMALL, make_minutes, make_video, save_maps, transcode
from scripts.library import explain_video, pass_on
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.spec import MeanCube

SIZES: Mapping[str, tuple[tuple[int, int], int]] = MappingProxyType(
    {"340 × 256": (SMALL, 250), "1920 × 1080": ((1080, 1920), 50), "3840 × 2160": ((2160, 3840), 40)}
)
"""Name → (height, width), frames."""


def whole_video(name: str, seconds: int, runs: int) -> Table:
    """Time a whole video to an overlay MP4. A single run has no untimed round before."""
    is_tiny = name == "tiny_r3d"
    model = load_model(name, device="cpu", weights="pretrained" if is_tiny else "random")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        source = make_minutes(path, seconds // 60) if seconds >= 60 else make_video(path, seconds * FPS)
        out = path.with_name
        works: dict[str, Work] = {
            "PyAV, torchcam, matplotlib, moviepy": partial(ByHand(model).explain, source, out("hand.mp4")),
            "vidcam, --overlap 0": partial(explain_video, model, source, out("none"), overlap=0.0),
            "vidcam, --overlap 0.5 (default)": partial(explain_video, model, source, out("half")),
            "the same without a verdict": partial(explain_video, model, source, out("maps"), verdict_forwards=0),
        }
        rows = interleaved(works, 0 if runs == 1 else runs)
    length = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
    note = "Seconds. 340 × 256, 25 frames a second; gradcam++, overlay MP4."
    return Table(f"{name}: a video of {length}", note, rows)


class ByHand:
    """The same made with other tools, as their documentation shows; windows do not overlap."""

    def __init__(self, model: Model) -> None:
        self._spec, self._colours = model.spec, mpl.colormaps["jet"]
        network = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).eval()
        self._cam = TOOLS["torchcam"].call_on(network, str(model.spec.layer), "gradcam++")
        self._step = 1 if model.spec.fps is None else round(FPS / model.spec.fps)

    def explain(self, source: Path, out: Path) -> None:
        """Write the overlay MP4 of a video."""
        moviepy: Any = importlib.import_module("moviepy.video.io.ffmpeg_writer")
        writer, length = moviepy.FFMPEG_VideoWriter(str(out), SMALL[::-1], FPS), self._spec.frames * self._step
        with av.open(str(source)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(stream))
            while window := list(islice(frames, length)):
                for frame in self._overlaid(window + [window[-1]] * (length - len(window)))[: len(window)]:
                    writer.write_frame(frame)
        writer.close()

    def _overlaid(self, window: list[np.ndarray]) -> list[np.ndarray]:
        scaling = self._spec.scaling
        assert not isinstance(scaling.mean, MeanCube)
        frames = torch.from_numpy(np.stack(window[:: self._step])).permute(0, 3, 1, 2).float()
        resized = functional.interpolate(frames, self._spec.crop_size, mode="bilinear")
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (scaling.mean, scaling.std))
        volume = torch.from_numpy(self._cam(((resized - mean) / std).transpose(0, 1)[None].contiguous())).float()
        volume = (volume - volume.min()) / (volume.max() - volume.min()).clamp(min=1e-9)
        heat = functional.interpolate(volume[None], (len(window), *SMALL), mode="trilinear")[0, 0].numpy()
        return [
            (0.5 * frame + 127.5 * self._colours(plane)[..., :3]).astype(np.uint8)
            for frame, plane in zip(window, heat, strict=True)
        ]


def drawing(name: str, runs: int) -> Table:
    """Time `render` from saved maps beside decoding and encoding alone.

    Args:
        name: one of SIZES.
        runs: rounds.
    """
    size, count = SIZES[name]
    with tempfile.TemporaryDirectory() as folder:
        source = make_video(Path(folder) / "video.mp4", count, size)
        saved, out = save_maps(source), partial(source.with_name)
        works: dict[str, Work] = {
            "decode and encode, nothing drawn": partial(transcode, source, out("plain.mp4")),
            "vidcam, decode to RGB and encode, nothing drawn": partial(pass_on, source, out("rgb.mp4")),
            "vidcam render": partial(vidcam.render_video, saved, out("out.mp4"), overwrite=True),
        }
        rows = interleaved(works, runs, units=count)
    for row in rows.values():
        row.more["frames a second"] = round(1 / row.seconds[1], 1)
    return Table(f"Drawing alone, {name}", "Seconds for one frame.", rows)
