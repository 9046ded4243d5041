"""`scripts/benchmark results`: vidcam beside other tools, from one command to `benchmarks/`.

Runs in .venv-peers, the environment of pinned tools that `scripts/benchmark peers` uses. Each case is a process of its
own; what it gives goes into `benchmarks/results.json` at once, from which `RESULTS.md` and `scaling.png` are made. A
run with `--only` replaces those cases and leaves the others.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from benchmark_peers import PINS, ROOT, SCRIPTS, environment, prepare_environment, python
from results_report import draw_scaling, results_markdown

HOME = ROOT / "benchmarks"
CASES = (
    "forward",
    "maps",
    "earlier",
    "batches",
    "dear",
    "agreement",
    "exactness",
    "memory",
    "random",
    "render",
    "score",
    "film-30s",
    "film-10min",
    "scaling",
    "cuda",
)
NETWORKS = ("r3d_18", "i3d")
ENTRIES = {
    "plain forward": "forward",
    "vidcam, cheap maps": "vidcam",
    "torchcam": "torchcam",
    "grad-cam": "grad-cam",
    "captum": "captum",
}
"""Row of the table of memory → argument."""

KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2000000000"}
"""Freed memory is kept for all tools alike, as `vidcam.system.memory` does for the command line; not for peaks."""

OURS = ("av", "numpy", "torch", "torchvision")


@click.command()
@click.option(
    "--only", "names", multiple=True, type=click.Choice(CASES), default=CASES, help="Repeatable; default all."
)
@click.option(
    "--network", "networks", multiple=True, default=NETWORKS, show_default=True, help="tiny_r3d: a rehearsal."
)
@click.option("--runs", type=int, help="Rounds of every case; default as many as each needs.")
@click.option("--out", type=click.Path(path_type=Path), default=HOME, show_default="benchmarks/")
def results(names: tuple[str, ...], networks: tuple[str, ...], runs: int | None, out: Path) -> None:
    """Run the cases and write RESULTS.md, results.json and scaling.png; about 25 minutes on two idle cores."""
    prepare_environment()
    out.mkdir(exist_ok=True)
    stated = out / "results.json"
    document: dict[str, Any] = json.loads(stated.read_text("utf-8")) if stated.exists() else {"cases": {}}
    document |= {"machine": machine(), "versions": versions()}
    for name in names:
        click.echo(f"benchmark: {name}", err=True)
        started, load = time.monotonic(), os.getloadavg()[0]
        tables = _measured(name, networks, runs)
        seconds = round(time.monotonic() - started)
        facts = {"seconds": seconds, "load_before": round(load, 1), "keeps_freed_memory": name != "memory"}
        document["cases"][name] = {"tables": tables} | facts
        stated.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (out / "RESULTS.md").write_text(results_markdown(document, CASES), "utf-8")
        if name == "scaling":
            draw_scaling(tables, out / "scaling.png")
    click.echo(str(out / "RESULTS.md"))


def _measured(name: str, networks: Sequence[str], runs: int | None) -> Any:
    if name == "memory":
        return [_memory(network, runs or 3) for network in networks]
    rounds = [f"--network={network}" for network in networks] + ([] if runs is None else [f"--runs={runs}"])
    return _figures(*([name] if name == "scaling" else ["case", name]), *rounds)


def _memory(network: str, runs: int) -> dict[str, Any]:
    """Peaks of processes; the table is put together as the other cases put theirs."""
    from results_timing import Row, Table, Target, quartiles

    peaks = {
        name: [_figures("peak", network, entry, tidy=True) for _ in range(runs)] for name, entry in ENTRIES.items()
    }
    first, rows = quartiles(peaks["plain forward"])[1], {}
    for name, found in peaks.items():
        low, median, high = quartiles(found)
        more = {"peak in MB": round(median)}
        rows[name] = Row((0.0, 0.0, 0.0), 0.0, (low / first, median / first, high / first), more)
    value = rows["vidcam, cheap maps"].ratio[1]
    target = Target(f"{network}: peak memory of an explanation over a plain forward pass", value, 1.2)
    note = "Of a process, with what it imports and the weights; one clip."
    return Table(f"{network}: peak memory", note, rows, [target], runs).document()


def _figures(*arguments: str, tidy: bool = False) -> Any:
    command = [python(), str(SCRIPTS / "results_run.py"), *arguments]
    variables = environment(tidy=tidy) | ({} if tidy else KEPT)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    return json.loads(done.stdout.splitlines()[-1])  # medcam prints


def machine() -> dict[str, Any]:
    """What was measured on; no names of anybody's."""
    import torch

    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def versions() -> dict[str, str]:
    """Of vidcam and of all tools."""
    pinned = (line.partition(";")[0].strip().partition("==") for line in PINS.read_text("utf-8").splitlines())
    wanted = ("grad-cam", "torchcam", "captum", "medcam", "signal-grad-cam", "torchcodec", "decord", "moviepy")
    others = {name: number for name, _, number in pinned if name in wanted}
    return {"vidcam": version("vidcam")} | {name: version(name) for name in OURS} | others
