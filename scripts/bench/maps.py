"""Cases about clips: the forward pass, one map, all cheap maps, batches, dear methods, a GPU.

Other tools get the network as torch makes it (contiguous) and are called as their documentation says; vidcam gets the
copy that `explain` and `score` run. Random weights: what is computed is the same.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

import vidcam
from scripts.bench.peers import TOOLS, installed_peers
from scripts.bench.timing import Row, Table, Target, Work, interleaved, plain_forward, ratio_of
from scripts.library import PAIR_METHODS, Precision, cheap_methods, explainer, faster, guided_saliency
from vidcam.models.registry import load_model

LAYERS = {"r3d_18": ("layer4", "layer3"), "i3d": ("Mixed_5c", "Mixed_4f"), "tiny_r3d": ("layer3", "layer2")}
"""Network → its last layer, an earlier one."""

PLAIN = "plain eager forward, batch 1"
BATCH = 4


class Network:
    """One network as torch makes it, and vidcam's copies of it."""

    def __init__(self, name: str, *, earlier: bool = False) -> None:
        self.name, self.layer = name, LAYERS[name][earlier]
        self.loaded = load_model(name, device="cpu", weights="random")
        self.plain = copy.deepcopy(self.loaded.module).to(memory_format=torch.contiguous_format).requires_grad_().eval()
        self.cheap = cheap_methods(self.plain, self.layer, self.clip(1))

    def copied(self, precision: Precision = "float32") -> nn.Module:
        """As `explain` runs it."""
        return faster(self.loaded, self.layer, precision)

    def clip(self, batch: int) -> Tensor:
        """Noise (batch, 3, T, H, W)."""
        return torch.randn(batch, 3, *self.loaded.spec.input_size, generator=torch.Generator().manual_seed(0))

    def forward(self, clip: Tensor) -> Work:
        """A plain forward pass."""
        return partial(plain_forward, self.plain, clip)

    def explain(self, module: nn.Module, clip: Tensor, *methods: str) -> Work:
        """Maps of class 0."""
        return partial(vidcam.explain, module, clip, layer=self.layer, methods=methods, target=0)

    def peer(self, tool: str, method: str, clip: Tensor) -> Work:
        """One map by another tool."""
        return partial(TOOLS[tool].call_on(self.plain, self.layer, method), clip)


def forward(name: str, runs: int) -> Table:
    """The forward pass alone: as torch makes it, and the copies in batches."""
    network = Network(name)
    exact, one, four = network.copied(), network.clip(1), network.clip(BATCH)
    batched = {
        f"plain eager, batch {BATCH}": network.plain,
        f"exact copy, batch {BATCH}": exact,
        f"bf16 copy, batch {BATCH}": network.copied("bf16"),
    }
    works: dict[str, Work] = {PLAIN: network.forward(one), "exact copy, batch 1": partial(plain_forward, exact, one)}
    works |= {row: partial(plain_forward, module, four) for row, module in batched.items()}
    rows = interleaved(works, runs, units=dict.fromkeys(batched, BATCH))
    logits = plain_forward(network.plain, four)
    for row, module in batched.items():
        difference = float((plain_forward(module, four).float() - logits).abs().max())
        rows[row].more["largest difference of logits"] = difference or None
    why = "the layout cannot save more where the convolutions themselves are bound by arithmetic"
    targets = [
        Target(f"(b) {name}: {kind} copy over plain eager", rows[f"{kind} copy, batch {BATCH}"].ratio[1], limit, why)
        for kind, limit in (("exact", 0.75), ("bf16", 0.35))
    ]
    return Table(f"{name}: forward pass, a clip", "Seconds for one clip.", rows, targets, runs)


def maps(name: str, runs: int, *, earlier: bool = False) -> Table:
    """One map and all cheap ones, beside other tools' one map, at the last layer or an earlier one."""
    network = Network(name, earlier=earlier)
    exact, clip, four = network.copied(), network.clip(1), network.clip(BATCH)
    all_cheap = f"vidcam, {len(network.cheap)} cheap maps"
    ours = f"{all_cheap}, batch {BATCH}"
    works: dict[str, Work] = {
        PLAIN: network.forward(clip),
        ours: network.explain(exact, four, *network.cheap),
        all_cheap: network.explain(exact, clip, *network.cheap),
        "vidcam, gradcam++": network.explain(exact, clip, "gradcam++"),
        "vidcam, gradcam++, network as it is": network.explain(network.plain, clip, "gradcam++"),
    }
    for tool in installed_peers():
        method = "gradcam++" if "gradcam++" in tool.methods else "gradcam"
        works[f"{tool.title}, {method}"] = network.peer(tool.name, method, clip)
    rows = interleaved(works, runs, units={ours: BATCH})
    targets = []
    if not earlier:
        same = ratio_of(works[ours], partial(plain_forward, exact, four), runs)
        why = "the sums over small grids are many short calls beside a short forward pass"
        targets = [
            Target(f"(a) {name}: all cheap maps over the same optimised forward, batch {BATCH}", same, 1.05, why),
            Target(f"{name}: all cheap maps over a plain eager forward", rows[ours].ratio[1], 1.0, why),
            *_beaten(rows, ours, "grad-cam", 4.0),
            *_beaten(rows, "vidcam, gradcam++", "torchcam", 1.0),
        ]
    note = f"Layer `{network.layer}`; seconds for one clip. Cheap: {', '.join(network.cheap)}."
    return Table(f"{name}: maps at {network.layer}", note, rows, targets, runs)


def batches(name: str, runs: int) -> list[Table]:
    """1, 8 and 32 clips at once."""
    network, tables = Network(name), []
    exact = network.copied()
    for count in (1, 8, 32):
        clip = network.clip(count)
        works: dict[str, Work] = {
            f"plain eager forward of {count}": network.forward(clip),
            f"vidcam, {len(network.cheap)} cheap maps": network.explain(exact, clip, *network.cheap),
            "torchcam, gradcam++": network.peer("torchcam", "gradcam++", clip),
        }
        rounds = max(1, runs // (1 if count == 1 else 2 if count == 8 else 4))
        rows = interleaved(works, rounds, units=dict.fromkeys(works, count))
        tables.append(Table(f"{name}: {count} clips at once", "Seconds for one clip.", rows, runs=rounds))
    return tables


def dear(name: str, runs: int) -> Table:
    """The softmax form over all classes, and guided backpropagation."""
    network = Network(name)
    clip, classes = network.clip(1), network.loaded.spec.classes
    works: dict[str, Work] = {
        PLAIN: network.forward(clip),
        f"vidcam, gradcam++softmax, {classes} classes": network.explain(network.copied(), clip, "gradcam++softmax"),
        "vidcam, guided backpropagation": partial(guided_saliency, network.plain, clip, 0),
        "vidcam, guided-gradcam++": network.explain(network.plain, clip, "guided-gradcam++"),
    }
    peers = [tool for tool in installed_peers() if tool.name in ("captum", "medcam")]
    works |= {f"{tool.title}, guided backpropagation": network.peer(tool.name, "guided", clip) for tool in peers}
    note = "Seconds for one clip. No other tool has the softmax form."
    return Table(f"{name}: softmax form and guided", note, interleaved(works, runs), runs=runs)


def cuda(networks: Sequence[str], runs: int) -> list[Table]:
    """Explanations a second beside plain bf16 inference, on a GPU; none where there is none."""
    if not torch.cuda.is_available():
        return []
    return [_on_gpu(name, batch, runs) for name in networks for batch in (16, 64)]


def _on_gpu(name: str, batch: int, runs: int) -> Table:
    layer, model = LAYERS[name][0], load_model(name, device="cuda:0", weights="random")
    clip, ours = torch.randn(batch, 3, *model.spec.input_size, device="cuda:0"), "vidcam, gradcam and gradcam++, bf16"

    def inference() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            plain_forward(model.module, clip)

    made = partial(vidcam.explain, faster(model, layer, "bf16"), clip, layer=layer, target=0)
    works: dict[str, Work] = {"plain bf16 inference": inference, ours: made}
    rows = interleaved(works, runs, units=dict.fromkeys(works, batch))
    title = f"{name} on a GPU, batch {batch}: explanation over plain bf16 inference"
    target = Target(title, rows[ours].ratio[1], 1 / 0.9)
    return Table(f"{name} on {torch.cuda.get_device_name()}", "Seconds a clip.", rows, [target], runs)


def cost(name: str, batch: int, runs: int, *, layer: str | None, methods: Sequence[str], weights: str) -> Table:
    """Methods with their audit over a plain forward pass at the same batch, and the forward pass over itself."""
    model = load_model(name, device="cpu", weights=weights)
    where = layer or str(model.spec.layer)
    clip = torch.randn(batch, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(0))
    forward = partial(plain_forward, model.module, clip)
    explain = partial(explainer(model, where, methods), clip)
    works: dict[str, Work] = {"plain forward": forward, "plain forward again": forward, "explain": explain}
    rows = interleaved(works, runs, units=dict.fromkeys(works, batch))
    for one in rows.values():
        one.more["processor ratio"] = f"{one.processor / rows['plain forward'].processor:.3f}"
    return Table(f"{name} at {where}, batch {batch}", f"Seconds a clip. {', '.join(methods)}.", rows, runs=runs)


def memory_work(name: str, entry: str) -> Work:
    """What the case `memory` runs in a process of its own: a forward pass, vidcam, or another tool."""
    loaded, layer = load_model(name, device="cpu", weights="random"), LAYERS[name][0]
    clip = torch.randn(1, 3, *loaded.spec.input_size)
    if entry == "vidcam":
        module = faster(loaded, layer)
        return partial(vidcam.explain, module, clip, layer=layer, methods=tuple(PAIR_METHODS), target=0)
    module = loaded.module.to(memory_format=torch.contiguous_format)
    if entry == "forward":
        return partial(plain_forward, module, clip)
    return partial(TOOLS[entry].prepare(module, layer, TOOLS[entry].methods[0], 0), clip)


def _beaten(rows: dict[str, Row], ours: str, tool: str, times: float) -> list[Target]:
    """Against a tool's one map; none where it is not installed."""
    return [
        Target(
            f"{ours} over {theirs} (one map)",
            rows[ours].over(row),
            1 / times,
            f"processor seconds {rows[ours].processor:.3g}, of the other {row.processor:.3g}",
            is_shown=True,
        )
        for theirs, row in rows.items()
        if theirs.startswith(f"{tool} ")
    ]
