"""How long maps take on a device, over a plain forward pass of the same batch and precision."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from scripts.bench.device_checks import explained
from scripts.bench.device_networks import Case, cases, precision
from scripts.bench.device_report import Speed
from scripts.bench.peers import installed_peers
from vidcam.preprocess import crop_frames, scale_pixels
from vidcam.spec import ModelSpec, Scaling

CHEAP = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
BATCHES = {False: (1, 8, 32), True: (1, 2)}
ROUNDS = {False: 7, True: 2}


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)


def timed(work: Callable[[], object], device: torch.device, rounds: int) -> list[float]:
    """Seconds of each round, after one that is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def _forward(network: nn.Module, clip: Tensor) -> None:
    with torch.no_grad():
        network(clip)


@dataclass(frozen=True, slots=True)
class Timer:
    """Times works beside a plain forward pass of one network, batch and precision."""

    case: Case
    batch: int
    precision: str
    device: torch.device
    rounds: int

    def rows(self, works: Mapping[str, Callable[[], object]]) -> Iterator[Speed]:
        """The plain forward pass, then each work."""
        clip = self.case.clip(self.batch)
        with precision(self.precision, self.device):
            plain = self._row("plain forward", partial(_forward, self.case.network, clip))
            yield plain
            for name, work in works.items():
                yield self._row(name, work, plain)

    def _row(self, name: str, work: Callable[[], object], plain: Speed | None = None) -> Speed:
        """Time a work. One that fails, for example because memory runs out, has no figures."""
        try:
            seconds = statistics.median(timed(work, self.device, self.rounds))
        except Exception as exc:
            return Speed(self.case.name, self.batch, self.precision, f"{name}: {_reason(exc)}", None, None)
        milliseconds = 1000 * seconds / self.batch
        base = milliseconds if plain is None else plain.milliseconds
        ratio = milliseconds / base if base else None
        return Speed(self.case.name, self.batch, self.precision, name, milliseconds, ratio)


def _reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}".splitlines()[0][:80]


def maps(device: torch.device, is_small: bool) -> Iterator[Speed]:  # noqa: FBT001 – one signature for all timings
    """All cheap maps of one backward, at each batch and precision."""
    for case in cases(device, is_small=is_small):
        for batch in BATCHES[is_small]:
            for name in ("fp32", "TF32", "bf16"):
                timer = Timer(case, batch, name, device, ROUNDS[is_small])
                yield from timer.rows({"5 cheap maps": partial(explained, case, case.clip(batch), CHEAP)})


def peers(device: torch.device, is_small: bool) -> Iterator[Speed]:  # noqa: FBT001
    """One map by each tool that is installed, on the first network, as its documentation says."""
    case = next(cases(device, is_small=is_small))
    clip = case.clip(1)
    works: dict[str, Callable[[], object]] = {"vidcam, gradcam++": partial(explained, case, clip, ("gradcam++",))}
    for tool in installed_peers():
        method = "gradcam++" if "gradcam++" in tool.methods else "gradcam"
        name = f"{tool.title}, {method}"
        try:
            call = partial(tool.call_on(case.network, case.layer, method), clip)
        except Exception as exc:
            yield Speed(case.name, 1, "fp32", f"{name}: {_reason(exc)}", None, None)
        else:
            works[name] = call
    yield from Timer(case, 1, "fp32", device, ROUNDS[is_small]).rows(works)


def end_to_end(device: torch.device, is_small: bool) -> Iterator[Speed]:  # noqa: FBT001
    """From decoded frames of twice the size on the host to maps on the host; 1 / ratio is the model's busy share."""
    case = next(cases(device, is_small=is_small))
    batch = BATCHES[is_small][1]
    length, *size = case.input_size
    source = (2 * size[0], 2 * size[1])
    frames = np.random.default_rng(0).integers(0, 256, (length, *source, 3), dtype=np.uint8)
    scaling = Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
    spec = ModelSpec("any", length, None, (size[0], size[1]), (size[0], size[1]), scaling, 8, None, antialias=True)
    geometry = spec.geometry(source)

    def work() -> None:
        cropped = [crop_frames(frames, spec, geometry, device=device).transpose(0, 1) for _ in range(batch)]
        explained(case, scale_pixels(torch.stack(cropped), scaling), CHEAP)

    yield from Timer(case, batch, "fp32", device, ROUNDS[is_small]).rows({"frames to maps": work})
