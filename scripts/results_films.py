"""Cases of `scripts/benchmark results` about films: whole films to MP4, random access, drawing, scoring.

Beside vidcam stands what one writes with the other tools: PyAV used plainly, torchcam on windows that do not overlap,
matplotlib's colours, moviepy's writer. All decode with the FFmpeg of PyAV's wheel, torchcodec too.
"""

from __future__ import annotations

import copy
import importlib
import statistics
import tempfile
import time
import warnings
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import matplotlib as mpl
import numpy as np
import torch
from benchmark_render import make_film, make_long_film, plainly, save_maps
from benchmark_score import write_manifest
from benchmark_score_cost import Stopwatch
from peers_tools import TOOLS
from results_timing import Row, Table, Target, Work, interleaved, quartiles
from torch.nn import functional

from vidcam.models.model import Model
from vidcam.models.optimise import optimised
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.options import ExplainOptions
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.renderer import render_film
from vidcam.pipelines.score.options import DEFAULT_BATCH, ScoreOptions
from vidcam.pipelines.score.run import score_clips
from vidcam.preprocess import grey_input
from vidcam.spec import MeanCube

SIZE, FPS = (256, 340), 25


def film(name: str, seconds: float, runs: int) -> Table:
    """A whole film to an overlay MP4: vidcam as it is called, and by hand."""
    model = load_model(name, device="cpu", weights="pretrained" if name == "tiny_r3d" else "random")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        source = _film_of(home, seconds)
        half, none = (_explainer(model, overlap) for overlap in (0.5, 0.0))
        works: dict[str, Work] = {
            "by hand: PyAV, torchcam, matplotlib, moviepy; windows side by side": partial(
                ByHand(model).explain, source, home / "hand.mp4"
            ),
            "vidcam explain, windows side by side": partial(none.explain, source, home / "none"),
            "vidcam explain, windows overlap by half (the default)": partial(half.explain, source, home / "half"),
        }
        rows = _once_each(works, runs)
    length = f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} min"
    note = f"Seconds for the film, 340 × 256 at 25 frames a second; gradcam++, overlay MP4. {_weights(name)}"
    return Table(f"{name}: a film of {length} to MP4", note, rows, runs=runs)


def _once_each(works: dict[str, Work], runs: int) -> dict[str, Row]:
    """Without an untimed round first: these take minutes."""
    from results_timing import row, timed

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(max(1, runs)):
        for name, work in works.items():
            found[name].append(timed(work))
    first = next(iter(found.values()))
    return {name: row(times, first, 1, 1) for name, times in found.items()}


def _explainer(model: Model, overlap: float) -> Explainer:
    options = ExplainOptions(methods=("gradcam++",), outputs=("overlay",), overlap=overlap, overwrite=True)
    return Explainer(model, options)


def _weights(name: str) -> str:
    return (
        "Random weights." if name != "tiny_r3d" else "The small network that is shipped, as a large one takes an hour."
    )


class ByHand:
    """As the other tools' documentation puts it together; windows do not overlap."""

    def __init__(self, model: Model) -> None:
        self._spec, self._colours = model.spec, mpl.colormaps["jet"]
        network = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).eval()
        self._cam = TOOLS["torchcam"].prepare(network, str(model.spec.layer), "gradcam++", 0)
        self._step = 1 if model.spec.fps is None else round(FPS / model.spec.fps)

    def explain(self, source: Path, out: Path) -> None:
        """A film to an overlay MP4."""
        writer_of: Any = importlib.import_module("moviepy.video.io.ffmpeg_writer").FFMPEG_VideoWriter
        writer, length = writer_of(str(out), (SIZE[1], SIZE[0]), FPS), self._spec.frames * self._step
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
        shown = functional.interpolate(frames, self._spec.crop_size, mode="bilinear")
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (scaling.mean, scaling.std))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            volume = torch.from_numpy(self._cam(((shown - mean) / std).transpose(0, 1)[None].contiguous())).float()
        volume = (volume - volume.min()) / (volume.max() - volume.min()).clamp(min=1e-9)
        heat = functional.interpolate(volume[None], (len(window), *SIZE), mode="trilinear")[0, 0].numpy()
        return [
            (0.5 * frame + 127.5 * self._colours(plane)[..., :3]).astype(np.uint8)
            for frame, plane in zip(window, heat, strict=True)
        ]


def drawing(runs: int) -> list[Table]:
    """`render` from saved maps, beside decoding and encoding alone, and moviepy's writer."""
    tables = []
    for name, size, count in (("340 × 256", SIZE, 250), ("1920 × 1080", (1080, 1920), 50)):
        with tempfile.TemporaryDirectory() as folder:
            source = make_film(Path(folder) / "film.mp4", size, count)
            saved = save_maps(source, size, count)
            works: dict[str, Work] = {
                "decode and encode, nothing drawn": partial(plainly, source, source.with_name("plain.mp4")),
                "vidcam render": partial(
                    render_film, saved, saved.with_name("out.mp4"), options=RenderOptions(overwrite=True)
                ),
                "PyAV, moviepy's writer, nothing drawn": partial(
                    _rewrite, source, source.with_name("moviepy.mp4"), size
                ),
            }
            rows = interleaved(works, runs, units=dict.fromkeys(works, count))
        for one in rows.values():
            one.more["frames a second"] = round(1 / one.seconds[1], 1)
        tables.append(Table(f"Drawing alone, {name}", "Seconds a frame.", rows, runs=runs))
    return tables


def _rewrite(source: Path, out: Path, size: tuple[int, int]) -> None:
    writer_of: Any = importlib.import_module("moviepy.video.io.ffmpeg_writer").FFMPEG_VideoWriter
    writer = writer_of(str(out), (size[1], size[0]), FPS)
    with av.open(str(source)) as container:
        for frame in container.decode(video=0):
            writer.write_frame(frame.to_ndarray(format="rgb24"))
    writer.close()


def scoring(name: str, clips: int) -> Table:
    """A score run over the forward passes that it needs, at the same batch by the same copy of the network."""
    model = load_model(name, device="cpu", weights="random")
    size = DEFAULT_BATCH["cpu"]
    copied = optimised(model, [str(model.spec.layer)])[0]
    stopwatch = Stopwatch(copied.module, grey_input(model.spec).repeat(size, 1, 1, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        films = [make_film(home / f"film{number}.mp4", SIZE, 75) for number in range(2)]
        manifest = write_manifest(home / "set.csv", films, clips)
        calm = statistics.median(stopwatch.calm())
        began = time.perf_counter(), time.process_time()
        result = score_clips(manifest, home / "out", model=model, options=ScoreOptions(), progress=stopwatch.sample)
        wall = time.perf_counter() - began[0] - sum(stopwatch.samples)
        processor = time.process_time() - began[1] - len(stopwatch.samples) * calm
    count = sum(result.forwards)
    samples = np.array(stopwatch.samples) / size * count
    needed = [float(value) for value in quartiles(samples.tolist())]
    rows = {
        f"the {count} forward passes alone": Row(
            (needed[0], needed[1], needed[2]), calm / size * count, (1.0, 1.0, 1.0)
        ),
        "vidcam score": Row((wall,) * 3, processor, (wall / needed[2], wall / needed[1], wall / needed[0])),
    }
    target = Target(
        f"{name}: a score run over the forward passes it needs",
        wall / float(samples.mean()),
        1.10,
        "decoding, masking and sorting of whole clips share the two cores with the network",
    )
    note = f"Seconds for {clips} clips, default measures, batch {size}; the second row has decoding, maps and tables."
    return Table(f"{name}: scoring a set", note, rows, [target], 1)


def _film_of(home: Path, seconds: float) -> Path:
    """A drifting texture of that length."""
    if seconds >= 60:
        return make_long_film(home / "film.mp4", round(seconds / 60))
    return make_film(home / "film.mp4", SIZE, round(seconds * FPS))
