"""Whether maps on a device are those of the CPU, and how the device is used while they are made."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

import vidcam
from scripts.bench.device_networks import Case, RecurrentNetwork, SmallNetwork, cases, precision
from scripts.bench.device_report import Check
from vidcam.cam.methods import ALL_METHODS
from vidcam.cam.weights import _five_numbers_by_torch
from vidcam.devices import to_device
from vidcam.maps import normalise_per_clip, upsample_volume
from vidcam.metrics.order import ranks_of, voxel_order
from vidcam.metrics.retention import keep_top
from vidcam.models.model import Model
from vidcam.pipelines.score.forwards import MaskedForwards
from vidcam.preprocess import crop_frames, fill_for, scale_pixels
from vidcam.results.explanation import Explanation
from vidcam.spec import ModelSpec, Scaling

CLOSE = 1e-4
"""Largest difference of float32 maps from the CPU's, relative to their maximum."""

ALIKE = 0.95
"""Least correlation of maps in TF32, bf16 and fp16 with float32."""


def explained(case: Case, clip: Tensor, methods: tuple[str, ...]) -> Explanation:
    """Maps of class 0, with a clip of zeros as the baseline."""
    return vidcam.explain(
        case.network,
        clip,
        layer=case.layer,
        methods=methods,
        target=0,
        reshape=case.reshape,
        baseline=torch.zeros_like(clip[:1]),
    )


def suited(case: Case) -> tuple[str, ...]:
    """The methods that this network can have: a transformer has no cam and no guided ReLU.

    Without those that need several baselines, or attention of all tokens at once.
    """
    others = ("expected-gradients", "attention-cam", "rollout", "legrad")
    methods = tuple(name for name in ALL_METHODS if name not in others)
    return (
        methods
        if case.reshape is None
        else tuple(name for name in methods if name != "cam" and not name.startswith("guided"))
    )


def exactness(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001 – one signature for all checks
    """Every method in float32, TF32 off, against the CPU."""
    for case in cases(device, is_small=is_small):
        clip, reference = case.clip(1), case.on("cpu")
        with precision("fp32", device):
            maps = _maps(explained(case, clip, suited(case)))
            expected = _maps(explained(reference, clip.cpu(), suited(case)))
        gaps = {name: _gap(maps[name], expected[name]) for name in expected}
        worst = max(gaps, key=lambda name: gaps[name])
        figure = f"{len(gaps)} methods, largest difference {gaps[worst]:.1e} of the maximum ({worst})"
        yield Check(f"{case.name}: float32 equals the CPU", figure, passed=gaps[worst] <= CLOSE)


def precision_checks(case: Case, device: torch.device) -> Iterator[tuple[str, float]]:
    """Least correlation of the cheap maps with float32, for each precision that the device has."""
    clip, cheap = case.clip(1), ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
    with precision("fp32", device):
        exact = _maps(explained(case, clip, cheap))
    for name in ("TF32", "bf16", "fp16"):
        with precision(name, device):
            maps = _maps(explained(case, clip, cheap))
        yield name, min(float(np.corrcoef(maps[one].ravel(), exact[one].ravel())[0, 1]) for one in cheap)


def precision_of_maps(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """Maps in TF32, bf16 and fp16 against float32."""
    for case in cases(device, is_small=is_small):
        for name, correlation in precision_checks(case, device):
            figure = f"least correlation with float32 {correlation:.4f}"
            yield Check(f"{case.name}: {name}", figure, passed=correlation >= ALIKE)


def same_bytes(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """Two runs on one device."""
    for case in cases(device, is_small=is_small):
        methods, clip = ("gradcam", "gradcam++", "hirescam"), case.clip(2)
        first, second = (_maps(explained(case, clip, methods)) for _ in range(2))
        differing = [name for name in methods if first[name].tobytes() != second[name].tobytes()]
        yield Check(f"{case.name}: same bytes twice", ", ".join(differing) or "equal", passed=not differing)


def recurrent_head(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """An LSTM in evaluation, whose backward cuDNN has in training only."""
    torch.manual_seed(0)
    size = (4, 16, 16) if is_small else (16, 56, 56)
    case = Case("LSTM head", RecurrentNetwork().eval(), "trunk.1", size).on(device)
    methods, clip = ("gradcam", "gradcam++"), case.clip(2)
    maps, expected = _maps(explained(case, clip, methods)), _maps(explained(case.on("cpu"), clip.cpu(), methods))
    gap = max(_gap(maps[name], expected[name]) for name in methods)
    is_kept = not any(module.training for module in case.network.modules())
    yield Check(
        "LSTM head in evaluation", f"largest difference {gap:.1e} of the maximum", passed=gap <= CLOSE and is_kept
    )


def threads(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """One model explained from two threads at once."""
    case = next(cases(device, is_small=is_small))
    clips = [case.clip(2), case.clip(2).flip(0)]
    alone = [explained(case, clip, ("gradcam++",)).volumes["gradcam++"] for clip in clips]
    together: list[object] = [None, None]

    def work(place: int) -> None:
        for _ in range(3):
            together[place] = explained(case, clips[place], ("gradcam++",)).volumes["gradcam++"]

    workers = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    gap = max(_gap(np.asarray(one), other) for one, other in zip(together, alone, strict=True))
    yield Check("two threads", f"largest difference from one thread {gap:.1e}", passed=gap <= CLOSE)


class _Hungry(nn.Module):
    """A network that needs more memory than there is for more than `most` clips."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.inner, self.most = SmallNetwork(), most

    def forward(self, clip: Tensor) -> Tensor:
        if len(clip) > self.most:
            if clip.device.type != "cuda":
                raise torch.OutOfMemoryError("out of memory, as a device says it")
            torch.empty(1 << 50, dtype=torch.uint8, device=clip.device)  # the device's own error
        scores: Tensor = self.inner(clip)
        return scores


def halving(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """A batch that does not fit is halved until it does."""
    size = (4, 16, 16) if is_small else (16, 112, 112)
    scaling = Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
    spec = ModelSpec("hungry", size[0], None, size[1:], size[1:], scaling, 8, "inner.trunk.3")
    model = Model(spec, _Hungry(3).eval().to(device), tuple("abcdefgh"), "random")
    runner = MaskedForwards(model, 16)
    writes = [((str(index),), lambda place, value=index: place.fill_(value / 16)) for index in range(16)]
    logs = runner.run(writes, 0, "softmax")
    with torch.no_grad():
        expected = torch.cat(
            [
                model.module(torch.full((1, 3, *size), index / 16, device=device)).log_softmax(1)[:, 0]
                for index in range(16)
            ]
        )
    gap = float(np.abs(np.array([*logs.values()]) - expected.double().cpu().numpy()).max())
    figure = f"16 clips in batches of {runner.batch_size}, largest difference {gap:.1e}"
    yield Check("memory runs out: the batch is halved", figure, passed=runner.batch_size == 2 and gap <= CLOSE)


def synchronisations(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """How often the host waits for the device while one batch is explained."""
    if device.type != "cuda":
        yield Check("synchronisations in a batch", "counted on CUDA alone", passed=True)
        return
    case = next(cases(device, is_small=is_small))
    methods = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
    counts = []
    for batch in (1, 8):
        clip = case.clip(batch)
        explained(case, clip, methods)
        with _sync_warnings() as seen:
            explained(case, clip, methods)
        counts.append(len(seen))
    figure = f"{counts[0]} for 1 clip, {counts[1]} for 8, five methods"
    yield Check("synchronisations in a batch", figure, passed=counts[1] <= counts[0])


def stages(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """What surrounds the network: frames to input, masked clips, statistics of α."""
    size = (4, 16, 20) if is_small else (16, 224, 224)
    scaling = Scaling((110.0, 115.0, 120.0), (50.0, 55.0, 60.0), "bgr")
    spec = ModelSpec("any", size[0], None, size[1:], size[1:], scaling, 8, None, antialias=True)
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (size[0], 3 * size[1] + 1, 3 * size[2], 3), dtype=np.uint8)
    volumes = random.random((2, 2, 4, 4), dtype=np.float32)
    cpu = torch.device("cpu")

    def made(where: torch.device) -> dict[str, Tensor]:
        pixels = crop_frames(frames, spec, spec.geometry(frames.shape[1:3]), device=where)
        clip = scale_pixels(pixels.transpose(0, 1)[None], scaling)
        heat = to_device(torch.from_numpy(normalise_per_clip(upsample_volume(volumes, size))), where)
        ranks = to_device(ranks_of(voxel_order(volumes[0], np.zeros_like(volumes[0])), volumes.shape[1:]), where)
        products = torch.from_numpy(volumes).to(where).flatten(1)
        return {
            "frames to input": clip,
            "hidden pixels": torch.lerp(fill_for(clip, "blur", scaling), clip, heat[:1, None]),
            "cuts": keep_top(ranks, 0.4).float(),
            "statistics": torch.from_numpy(_five_numbers_by_torch(products, products > 0.5)),
        }

    expected = made(cpu)
    for name, tensor in made(device).items():
        gap = _gap(tensor.cpu().numpy(), expected[name].numpy())
        yield Check(f"{name}: as on the CPU", f"largest difference {gap:.1e} of the maximum", passed=gap <= CLOSE)


@contextmanager
def _sync_warnings() -> Iterator[list[warnings.WarningMessage]]:
    former = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            torch.cuda.set_sync_debug_mode(former)


def peak_memory(device: torch.device, is_small: bool) -> Iterator[Check]:  # noqa: FBT001
    """Peak of an explanation over that of a plain forward pass, batch 8."""
    if device.type != "cuda":
        yield Check("peak memory", "measured on CUDA alone", passed=True)
        return
    for case in cases(device, is_small=is_small):
        clip = case.clip(8)

        def forward(network: nn.Module = case.network, shown: Tensor = clip) -> None:
            with torch.no_grad():
                network(shown)

        def explain(shown_case: Case = case, shown: Tensor = clip) -> None:
            explained(shown_case, shown, ("gradcam", "gradcam++"))

        peaks = []
        for work in (forward, explain):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            work()
            peaks.append(torch.cuda.max_memory_allocated(device) / 2**20)
        figure = f"{peaks[1]:.0f} MiB, a plain forward pass {peaks[0]:.0f} MiB ({peaks[1] / peaks[0]:.2f})"
        yield Check(f"{case.name}: peak memory, batch 8", figure, passed=True)


def _maps(explanation: Explanation) -> dict[str, np.ndarray]:
    return {**explanation.volumes, **explanation.guided}


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference relative to the largest value; 0 for two empty maps."""
    scale = float(np.abs(other).max())
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max()) / (scale or 1.0)
