"""`results`: vidcam beside other tools, from one command to `benchmarks/`.

Runs in .venv-peers, the environment of pinned tools. Each case is a process of its own; what it gives goes into
`benchmarks/results.json` at once, from which `RESULTS.md` and `scaling.png` are made. A run with `--only` replaces
those cases and leaves the others.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from scripts.bench.processes import KEPT, PINS, PYTHON, ROOT, once, prepare_environment
from scripts.bench.report import draw_scaling, results_markdown
from scripts.bench.timing import Row, Table, Target, quartiles

ORDER = (
    *("forward", "maps", "earlier", "batches", "dear", "agreement", "exactness", "memory", "random", "render", "score"),
    *("video-30s", "video-10min", "scaling", "cuda"),
)
NETWORKS = ("r3d_18", "i3d")
ENTRIES = ("forward", "vidcam", "torchcam", "grad-cam", "captum", "medcam")
"""Rows of the table of memory."""

OURS = ("vidcam", "av", "numpy", "torch", "torchvision")
OTHERS = ("grad-cam", "torchcam", "captum", "medcam", "signal-grad-cam", "torchcodec", "decord", "moviepy")


@click.command()
@click.option(
    "--only", "names", multiple=True, type=click.Choice(ORDER), default=ORDER, help="Repeatable; default all."
)
@click.option("--network", "networks", multiple=True, default=NETWORKS, help="tiny_r3d: a rehearsal.")
@click.option("--runs", type=int, help="Rounds of every case; default as many as each needs.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "benchmarks", show_default="benchmarks/")
def results(names: tuple[str, ...], networks: tuple[str, ...], runs: int | None, out: Path) -> None:
    """Run the cases and write RESULTS.md, results.json and scaling.png; about 25 minutes on two idle cores."""
    prepare_environment()
    out.mkdir(exist_ok=True)
    stated = out / "results.json"
    document: dict[str, Any] = json.loads(stated.read_text("utf-8")) if stated.exists() else {"cases": {}}
    document |= {"machine": machine(), "versions": versions()}
    for name in names:
        click.echo(f"bench: {name}", err=True)
        started, load = time.monotonic(), os.getloadavg()[0]
        tables = _measured(name, networks, runs)
        seconds = round(time.monotonic() - started)
        facts = {"seconds": seconds, "load_before": round(load, 1), "keeps_freed_memory": name != "memory"}
        document["cases"][name] = {"tables": tables} | facts
        stated.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (out / "RESULTS.md").write_text(results_markdown(document, ORDER), "utf-8")
        if name == "scaling":
            draw_scaling(tables, out / "scaling.png")
    click.echo(str(out / "RESULTS.md"))


def _measured(name: str, networks: Sequence[str], runs: int | None) -> Any:
    if name == "memory":
        return [_memory(network, runs or 3) for network in networks]
    rounds = [f"--network={network}" for network in networks] + ([] if runs is None else [f"--runs={runs}"])
    return once("case", name, *rounds, variables=KEPT, python=PYTHON)


def _memory(network: str, runs: int) -> dict[str, Any]:
    """Peaks of processes."""
    peaks = {
        entry: quartiles([once("peak", network, entry, python=PYTHON)["megabytes"] for _ in range(runs)])
        for entry in ENTRIES
    }
    first = peaks["forward"][1]
    rows = {
        entry: Row(ratio=(low / first, median / first, high / first), more={"peak in MB": round(median)})
        for entry, (low, median, high) in peaks.items()
    }
    value = rows["vidcam"].ratio[1]
    target = Target(f"{network}: peak memory of an explanation over a plain forward pass", value, 1.2)
    note = "Of a process, with what it imports and the weights; one clip, vidcam: all cheap maps."
    return Table(f"{network}: peak memory", note, rows, [target], runs).document()


def machine() -> dict[str, Any]:
    """What was measured on; no names of anybody's."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of vidcam and of all tools."""
    pinned = (line.partition(";")[0].strip().partition("==") for line in PINS.read_text("utf-8").splitlines())
    return {name: version(name) for name in OURS} | {name: number for name, _, number in pinned if name in OTHERS}
