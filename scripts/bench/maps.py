"""Cases about clips: the forward pass, one map, all cheap maps, costly methods, and memory.

Other tools get the network in torch's own memory format and are called as their documentation shows. vidcam gets the
copy that `explain` and `score` run. Weights are random: they do not change the cost.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

import vidcam
from scripts.bench.device_networks import VideoTransformer
from scripts.bench.peers import TOOLS, captum_path, installed_peers
from scripts.bench.processes import COMPACT, peak_of
from scripts.bench.tables import Row, Table, Target
from scripts.bench.timing import Work, interleaved, plain_forward, quartiles
from scripts.library import PAIR_METHODS, Precision, explainer, faster, guided_saliency
from vidcam.cam.methods import needs_layer
from vidcam.models.registry import load_model
from vidcam.preprocess import grey_input

LAYERS = {"r3d_18": ("layer4", "layer3"), "i3d": ("Mixed_5c", "Mixed_4f"), "tiny_r3d": ("layer3", "layer2")}
"""Network → its last layer and an earlier one."""

LIMITS = {"i3d": (0.65, 0.30)}
"""Network → limits of the exact and of the bf16 copy over the plain forward pass, if not the usual ones."""

PLAIN = "plain eager forward, batch 1"
BATCH = 4
STEPS = 16
"""Points of the path of integrated gradients."""


class Network:
    """A network with random weights in torch's own memory format, and vidcam's copies of it."""

    def __init__(self, name: str, *, earlier: bool = False) -> None:
        self.name, self.layer = name, LAYERS[name][earlier]
        self.model = load_model(name, device="cpu", weights="random")
        self.plain = copy.deepcopy(self.model.module).to(memory_format=torch.contiguous_format).requires_grad_().eval()

    def copied(self, precision: Precision = "float32") -> nn.Module:
        """The copy that `explain` runs."""
        return faster(self.model, self.layer, precision)

    def clip(self, batch: int) -> Tensor:
        """Noise, (batch, 3, T, H, W)."""
        return torch.randn(batch, 3, *self.model.spec.input_size, generator=torch.Generator().manual_seed(0))

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
    """Time the forward pass of the plain network and of the copies."""
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
        difference = (plain_forward(module, four).float() - logits).abs().max()
        rows[row].more["largest difference of logits"] = float(difference)
    targets = tuple(
        Target(f"{kind} copy over plain eager", rows[f"{kind} copy, batch {BATCH}"].ratio[1], limit)
        for kind, limit in zip(("exact", "bf16"), LIMITS.get(name, (0.75, 0.35)), strict=True)
    )
    return Table(f"{name}: forward pass", "Seconds for one clip.", rows, targets)


def maps(name: str, runs: int, *, earlier: bool = False) -> Table:
    """Time one map and all cheap maps beside one map by each other tool, at the last layer or an earlier one."""
    network = Network(name, earlier=earlier)
    exact, clip, four = network.copied(), network.clip(1), network.clip(BATCH)
    cheap = (*PAIR_METHODS,) if earlier else (*PAIR_METHODS, "cam")
    all_cheap = f"vidcam, {len(cheap)} cheap maps"
    batched, same_forward = f"{all_cheap}, batch {BATCH}", f"exact copy's forward, batch {BATCH}"
    works: dict[str, Work] = {
        PLAIN: network.forward(clip),
        same_forward: partial(plain_forward, exact, four),
        batched: network.explain(exact, four, *cheap),
        all_cheap: network.explain(exact, clip, *cheap),
        "vidcam, gradcam++": network.explain(exact, clip, "gradcam++"),
        "vidcam, gradcam++, plain network": network.explain(network.plain, clip, "gradcam++"),
    }
    for tool in installed_peers():
        method = "gradcam++" if "gradcam++" in tool.methods else "gradcam"
        works[f"{tool.title}, {method}"] = network.peer(tool.name, method, clip)
    rows = interleaved(works, runs, units={batched: BATCH, same_forward: BATCH})
    limits = [(batched, same_forward, 1.05), (batched, PLAIN, 1.0)]
    limits += [(batched, theirs, 0.25) for theirs in rows if theirs.startswith("grad-cam ")]
    limits += [("vidcam, gradcam++", theirs, 1.0) for theirs in rows if theirs.startswith("torchcam ")]
    targets = tuple(Target(f"{a} over {b}", rows[a].over(rows[b]), limit) for a, b, limit in limits)
    note = f"Seconds for one clip. Cheap: {', '.join(cheap)}."
    return Table(f"{name}: maps at {network.layer}", note, rows, () if earlier else targets)


def costly(name: str, runs: int) -> Table:
    """Time the softmax form over all classes, and guided backpropagation."""
    network = Network(name)
    clip, classes = network.clip(1), network.model.spec.classes
    path = partial(
        vidcam.explain, methods="integrated-gradients", target=0, steps=STEPS, baseline=torch.zeros_like(clip)
    )
    works: dict[str, Work] = {
        PLAIN: network.forward(clip),
        f"vidcam, gradcam++softmax, {classes} classes": network.explain(network.copied(), clip, "gradcam++softmax"),
        "vidcam, guided backpropagation": partial(guided_saliency, network.plain, clip, 0),
        "vidcam, guided-gradcam++": network.explain(network.plain, clip, "guided-gradcam++"),
        f"vidcam, integrated-gradients, {STEPS} steps": partial(path, network.plain, clip),
    }
    peers = [tool for tool in installed_peers() if tool.name in ("captum", "medcam")]
    works |= {f"{tool.title}, guided backpropagation": network.peer(tool.name, "guided", clip) for tool in peers}
    if any(tool.name == "captum" for tool in peers):
        works[f"captum, integrated-gradients, {STEPS} steps"] = partial(captum_path, network.plain, clip, 0, STEPS)
    note = "Seconds for one clip. No other tool has the softmax form."
    return Table(f"{name}: softmax form, guided maps, integrated gradients", note, interleaved(works, runs))


def transformer(runs: int) -> Table:
    """Time the maps of a video transformer beside its forward pass."""
    torch.manual_seed(0)
    network = VideoTransformer().eval()
    clip = torch.randn(BATCH, 3, 16, 224, 224, generator=torch.Generator().manual_seed(0))
    works: dict[str, Work] = {"plain forward": partial(plain_forward, network, clip)}
    for method in ("token-lrp", "attnlrp"):
        works[f"vidcam, {method}"] = partial(vidcam.explain, network, clip, methods=method, target=0)
    rows = interleaved(works, runs, units=BATCH)
    target = Target("token-lrp over a forward pass", rows["vidcam, token-lrp"].ratio[1], 3.0)
    return Table("ViT of VideoMAE-base shape: relevance", f"Seconds for one clip, batch {BATCH}.", rows, (target,))


def cost(name: str, batch: int, runs: int, *, layer: str | None, methods: Sequence[str], weights: str) -> Table:
    """Time methods with their audit beside a plain forward pass at the same batch."""
    model = load_model(name, device="cpu", weights=weights)
    clip = torch.randn(batch, *grey_input(model.spec).shape[1:], generator=torch.Generator().manual_seed(0))
    forward = partial(plain_forward, model.module, clip)
    works: dict[str, Work] = {"plain forward": forward, "plain forward again": forward}
    if needs_layer(methods):
        layer = layer or str(model.spec.layer)
        works["explain"] = partial(explainer(model, layer, methods), clip)
    else:  # of a transformer: each has a pass of its own
        layer = layer or "its patches"
        works |= {method: partial(vidcam.explain, model.module, clip, methods=method) for method in methods}
    rows = interleaved(works, runs, units=batch)
    for row in rows.values():
        row.more["processor ratio"] = f"{row.processor / rows['plain forward'].processor:.3f}"
    return Table(f"{name} at {layer}, batch {batch}", f"Seconds for one clip. Methods: {', '.join(methods)}.", rows)


def memory(name: str, runs: int) -> Table:
    """Measure the peak memory of processes that make three maps, or three forward passes, of one clip."""
    works = ("forward", "vidcam", *(tool.name for tool in installed_peers()))
    peaks = {work: quartiles([peak_of(work, name, variables=COMPACT) for _ in range(runs)]) for work in works}
    reference = peaks["forward"][1]
    rows = {
        work: Row(ratio=(low / reference, median / reference, high / reference), more={"peak in MB": round(median)})
        for work, (low, median, high) in peaks.items()
    }
    target = Target("vidcam over forward", rows["vidcam"].ratio[1], 1.15)
    note = f"Peak of a process with its libraries and weights; one clip, vidcam: all cheap maps. Processes: {runs}."
    return Table(f"{name}: peak memory", note, rows, (target,))


def memory_work(entry: str, name: str) -> Work:
    """The work of one process of `memory`, without a second copy of the weights."""
    model, layer = load_model(name, device="cpu", weights="random"), LAYERS[name][0]
    clip = torch.randn(1, 3, *model.spec.input_size)
    if entry == "vidcam":
        return partial(vidcam.explain, faster(model, layer), clip, layer=layer, methods=tuple(PAIR_METHODS), target=0)
    module = model.module.to(memory_format=torch.contiguous_format)
    if entry == "forward":
        return partial(plain_forward, module, clip)
    return partial(TOOLS[entry].prepare(module, layer, TOOLS[entry].methods[0], 0), clip)
