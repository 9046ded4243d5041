"""Cases of `scripts/benchmark results` about clips: the forward pass, one map, all cheap maps, batches, dear methods.

Other tools get the network as torch makes it (contiguous, nothing folded) and are called as their documentation says;
vidcam gets the copy that `explain` and `score` run. Random weights: what is computed is the same.
"""

from __future__ import annotations

import copy
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import cast

import numpy as np
import torch
from peers_agreement import Case, derive, pearson
from peers_cost import plain_forward
from peers_tools import TOOLS, cheap_methods
from results_split import reason_of_halves, split, split_table
from results_timing import Row, Table, Target, Work, interleaved, ratio_of
from torch import Tensor, nn

import vidcam
from vidcam.cam.saliency import guided_saliency
from vidcam.models.model import Model
from vidcam.models.optimise import Precision, optimised
from vidcam.models.registry import load_model

LAYERS = {"r3d_18": ("layer4", "layer3"), "i3d": ("Mixed_5c", "Mixed_4f"), "tiny_r3d": ("layer3", "layer2")}
"""Network → its last layer, an earlier one."""

PEERS = (("torchcam", "gradcam++"), ("grad-cam", "gradcam++"), ("captum", "gradcam"), ("medcam", "gradcam++"))

PLAIN = "plain eager forward, batch 1"
TARGET, BATCH = 0, 4
COMPILED = f"exact copy, compiled, batch {BATCH}"


class Network:
    """One network as torch makes it, and vidcam's copies of it."""

    def __init__(self, name: str, layer: str) -> None:
        loaded = load_model(name, device="cpu", weights="random")
        self.name, self.layer, self.loaded = name, layer, loaded
        self.plain = copy.deepcopy(loaded.module).to(memory_format=torch.contiguous_format).requires_grad_().eval()

    def copied(self, precision: Precision = "float32") -> nn.Module:
        """As `explain` runs it."""
        made: Model = optimised(self.loaded, [self.layer], precision=precision)[0]
        return made.module

    def clip(self, batch: int) -> Tensor:
        """Noise (batch, 3, T, H, W)."""
        return torch.randn(batch, 3, *self.loaded.spec.input_size, generator=torch.Generator().manual_seed(0))


def forward(name: str, runs: int) -> list[Table]:
    """The forward pass alone: as torch makes it, the copies in batches, both compiled; and where their time goes."""
    network = Network(name, LAYERS[name][0])
    exact, half = network.copied(), network.copied("bf16")
    one, four = network.clip(1), network.clip(BATCH)
    batched = {
        f"plain eager, batch {BATCH}": network.plain,
        f"exact copy, batch {BATCH}": exact,
        f"bf16 copy, batch {BATCH}": half,
    }
    with compiled({f"plain, compiled, batch {BATCH}": network.plain, COMPILED: exact}, four) as (made, seconds, said):
        batched |= made
        works: dict[str, Work] = {
            PLAIN: partial(plain_forward, network.plain, one),
            "exact copy, batch 1": partial(plain_forward, exact, one),
        }
        works |= {row: partial(plain_forward, module, four) for row, module in batched.items()}
        rows = interleaved(works, runs, units=dict.fromkeys(batched, BATCH))
        logits = _logits(network.plain, four)
        for row, module in batched.items():
            if module is not network.plain:
                rows[row].more["largest difference of logits"] = float((_logits(module, four) - logits).abs().max())
    for row, took in seconds.items():
        rows[row].more["seconds to compile"] = took
    why = "folding and layout cannot save more where the convolutions themselves are bound by arithmetic"
    parts = split(
        {"plain, batch 1": (network.plain, one), "exact copy": (exact, four), "bf16 copy": (half, four)}, runs
    )
    lacking = reason_of_halves(*parts.values())
    targets = [
        Target(f"(b) {name}: exact copy over plain eager", rows[f"exact copy, batch {BATCH}"].ratio[1], 0.75, why),
        Target(
            f"(b) {name}: bf16 copy over plain eager",
            rows[f"bf16 copy, batch {BATCH}"].ratio[1],
            0.35,
            lacking,
            is_shown=True,
        ),
    ]
    table = Table(f"{name}: forward pass, a clip", f"Seconds for one clip. {said}", rows, targets, runs)
    return [table, split_table(name, parts, runs)]


@contextmanager
def compiled(
    modules: Mapping[str, nn.Module], clip: Tensor
) -> Iterator[tuple[dict[str, nn.Module], dict[str, float], str]]:
    """The modules by `torch.compile`, the seconds that it took, and a sentence; no modules where it does not work.

    Nothing that was compiled before is used, as a user's first run has nothing.
    """
    made: dict[str, nn.Module] = {}
    seconds: dict[str, float] = {}
    said = f"Compiled: `torch.compile` of torch {torch.__version__}, its defaults."
    with tempfile.TemporaryDirectory() as folder, _cache_in(folder):
        try:
            for row, module in modules.items():
                started = time.perf_counter()
                new = cast("nn.Module", torch.compile(module))
                plain_forward(new, clip)
                made[row], seconds[row] = new, time.perf_counter() - started
        except RuntimeError as exc:  # torch's own say that there is no C++ compiler, or what it said
            made, said = {}, f"`torch.compile` was not measured: {str(exc).strip().splitlines()[0]}"
        yield made, {row: seconds[row] for row in made}, said


@contextmanager
def _cache_in(folder: str) -> Iterator[None]:
    """Where inductor keeps what it made."""
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
    try:
        yield
    finally:
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR")
        if before is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = before


def maps(name: str, runs: int, *, earlier: bool = False) -> Table:
    """One map and all cheap ones, beside other tools' one map, at the last layer or an earlier one."""
    network = Network(name, LAYERS[name][earlier])
    exact, clip, four = network.copied(), network.clip(1), network.clip(BATCH)
    methods = cheap_methods(network.plain, network.layer, clip)
    explained = partial(vidcam.explain, layer=network.layer, target=TARGET)
    works: dict[str, Work] = {
        PLAIN: partial(plain_forward, network.plain, clip),
        f"vidcam, {len(methods)} cheap maps, batch {BATCH}": partial(explained, exact, four, methods=methods),
        f"vidcam, {len(methods)} cheap maps": partial(explained, exact, clip, methods=methods),
        "vidcam, gradcam++": partial(explained, exact, clip, methods=["gradcam++"]),
        "vidcam, gradcam++, network as it is": partial(explained, network.plain, clip, methods=["gradcam++"]),
    }
    for tool, method in PEERS:
        prepared = TOOLS[tool].prepare(copy.deepcopy(network.plain), network.layer, method, TARGET)
        works[f"{tool} {TOOLS[tool].version}, {method}"] = partial(_quietly, prepared, clip)
    ours = f"vidcam, {len(methods)} cheap maps, batch {BATCH}"
    rows = interleaved(works, runs, units={ours: BATCH})
    targets = []
    if not earlier:
        same = ratio_of((works[ours], partial(plain_forward, exact, four)), runs)
        why = "the sums over small grids are many short calls beside a short forward pass"
        targets = [
            Target(f"(a) {name}: all cheap maps over the same optimised forward, batch {BATCH}", same, 1.05, why),
            Target(f"{name}: all cheap maps over a plain eager forward", rows[ours].ratio[1], 1.0, why),
            _beaten(rows, ours, "grad-cam", 4.0),
            _beaten(rows, "vidcam, gradcam++", "torchcam", 1.0),
        ]
    note = f"Layer `{network.layer}`; seconds for one clip. Cheap: {', '.join(methods)}."
    return Table(f"{name}: maps at {network.layer}", note, rows, targets, runs)


def batches(name: str, runs: int) -> list[Table]:
    """1, 8 and 32 clips at once."""
    network = Network(name, LAYERS[name][0])
    exact, tables = network.copied(), []
    methods = cheap_methods(network.plain, network.layer, network.clip(1))
    extractor = TOOLS["torchcam"].prepare(copy.deepcopy(network.plain), network.layer, "gradcam++", TARGET)
    for count in (1, 8, 32):
        clip = network.clip(count)
        works: dict[str, Work] = {
            f"plain eager forward of {count}": partial(plain_forward, network.plain, clip),
            f"vidcam, {len(methods)} cheap maps": partial(
                vidcam.explain, exact, clip, layer=network.layer, methods=methods, target=TARGET
            ),
            "torchcam, gradcam++": partial(_quietly, extractor, clip),
        }
        rounds = max(1, runs // (1 if count == 1 else 2 if count == 8 else 4))
        rows = interleaved(works, rounds, units=dict.fromkeys(works, count))
        tables.append(Table(f"{name}: {count} clips at once", "Seconds for one clip.", rows, runs=rounds))
    return tables


def dear(name: str, runs: int) -> Table:
    """The softmax form over all classes, and guided backpropagation."""
    network = Network(name, LAYERS[name][0])
    exact, clip = network.copied(), network.clip(1)
    works: dict[str, Work] = {
        PLAIN: partial(plain_forward, network.plain, clip),
        f"vidcam, gradcam++softmax, {network.loaded.spec.classes} classes": partial(
            vidcam.explain, exact, clip, layer=network.layer, methods=["gradcam++softmax"], target=TARGET
        ),
        "vidcam, guided backpropagation": partial(guided_saliency, network.plain, clip, TARGET),
        "vidcam, guided-gradcam++": partial(
            vidcam.explain, network.plain, clip, layer=network.layer, methods=["guided-gradcam++"], target=TARGET
        ),
    }
    for tool in ("captum", "medcam"):
        prepared = TOOLS[tool].prepare(copy.deepcopy(network.plain), network.layer, "guided", TARGET)
        works[f"{tool} {TOOLS[tool].version}, guided backpropagation"] = partial(_quietly, prepared, clip)
    note = "Seconds for one clip. No other tool has the softmax form."
    return Table(f"{name}: softmax form and guided", note, interleaved(works, runs), runs=runs)


def agreement() -> Table:
    """Correlation of each tool's maps with the float64 oracle, r3d_18 at layer4."""
    network = Network("r3d_18", "layer4")
    clip = network.clip(1)
    case = Case("r3d_18", network.plain, clip, "layer4", TARGET)
    truth = derive(case)
    rows: dict[str, Row] = {}
    ways: dict[str, tuple[str, Callable[[str], Callable[[Tensor], np.ndarray]]]] = {
        "vidcam, network as it is": ("vidcam", lambda method: _of_vidcam(network.plain, method)),
        "vidcam, exact copy": ("vidcam", lambda method: _of_vidcam(network.copied(), method)),
        "vidcam, bf16 copy": ("vidcam", lambda method: _of_vidcam(network.copied("bf16"), method)),
    }
    for tool in ("torchcam", "grad-cam", "captum", "medcam"):
        ways[f"{tool} {TOOLS[tool].version}"] = (
            tool,
            partial(_of_tool, tool, network.plain),
        )
    for name, (tool, prepare) in ways.items():
        rows[name] = Row((0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0))
        for method in ("gradcam", "gradcam++", "layercam", "hirescam"):
            rows[name].more[method] = _correlation(tool, method, prepare, case, truth.maps[method])
    note = (
        "Pearson correlation with maps derived in float64 by autograd (`tests/helpers/oracle.py`), at the clip's size "
        "for tools that give them so."
    )
    return Table("Correctness: r3d_18 at layer4", note, rows)


def _correlation(
    tool: str,
    method: str,
    prepare: Callable[[str], Callable[[Tensor], np.ndarray]],
    case: Case,
    expected: np.ndarray,
) -> float | str | None:
    if method not in TOOLS[tool].methods:
        return None
    try:
        found = _quietly(prepare(method), case.clip)[0]
    except Exception as error:  # whatever a tool raises belongs in the table
        return type(error).__name__
    upsample = TOOLS[tool].upsample
    if TOOLS[tool].gives == "size" and upsample is not None:
        expected = upsample(expected, tuple(case.clip.shape[2:]))
    return round(pearson(found, expected), 7)


def _of_tool(tool: str, network: nn.Module, method: str) -> Callable[[Tensor], np.ndarray]:
    return TOOLS[tool].prepare(copy.deepcopy(network), "layer4", method, TARGET)


def _of_vidcam(module: nn.Module, method: str) -> Callable[[Tensor], np.ndarray]:
    return lambda clip: vidcam.explain(module, clip, layer="layer4", methods=[method], target=TARGET).volumes[method]


def _beaten(rows: dict[str, Row], ours: str, tool: str, times: float) -> Target:
    (theirs,) = (name for name in rows if name.startswith(f"{tool} "))
    why = f"processor seconds {rows[ours].processor:.3g}, of the other {rows[theirs].processor:.3g}"
    name = f"{ours} over {theirs} (one map)"
    return Target(name, rows[ours].over(rows[theirs]), 1 / times, why, is_shown=True)


def _logits(module: nn.Module, clip: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = module(clip).float()
    return found


def _quietly(call: Callable[[Tensor], np.ndarray], clip: Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(clip)
