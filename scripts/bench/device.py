"""Check vidcam on a device, and time it there: `python -m scripts.bench.device --device cuda -o table.md`.

Needs torch, torchvision, numpy and vidcam's core alone: no media library, no weights, no network. On a GPU it takes
under six minutes. `--device cpu --small` runs every line of it on small networks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from scripts.bench import device_checks, device_speed
from scripts.bench.device_report import Check, Report, Speed, environment, markdown

CHECKS: dict[str, Callable[[torch.device, bool], Iterator[Check]]] = {
    "exactness": device_checks.exactness,
    "precision": device_checks.precision_of_maps,
    "stages": device_checks.stages,
    "same bytes": device_checks.same_bytes,
    "recurrent head": device_checks.recurrent_head,
    "threads": device_checks.threads,
    "memory runs out": device_checks.halving,
    "synchronisations": device_checks.synchronisations,
    "peak memory": device_checks.peak_memory,
}

SPEEDS: dict[str, Callable[[torch.device, bool], Iterator[Speed]]] = {
    "maps": device_speed.maps,
    "peers": device_speed.peers,
    "end to end": device_speed.end_to_end,
}


def run(device: torch.device, *, is_small: bool, seconds: float = 360.0) -> Report:
    """Run all checks, then the timings as far as the time allows.

    Args:
        device: where the networks run.
        is_small: small networks and batches, to try the script itself.
        seconds: no further timing is begun after this time.
    """
    start = time.monotonic()
    checks = [check for make in CHECKS.values() for check in _guarded(make, device, is_small=is_small)]
    speeds = tuple(_timings(device, is_small=is_small, end=start + seconds))
    return Report(environment(device), tuple(checks), speeds, time.monotonic() - start)


def _timings(device: torch.device, *, is_small: bool, end: float) -> Iterator[Speed]:
    for make in SPEEDS.values():
        rows = make(device, is_small)
        while time.monotonic() < end and (row := next(rows, None)) is not None:
            yield row


def _guarded(
    make: Callable[[torch.device, bool], Iterator[Check]], device: torch.device, *, is_small: bool
) -> Iterator[Check]:
    """The checks of one kind; an error is a failed check, so that the others still run."""
    try:
        yield from make(device, is_small)
    except Exception as exc:
        yield Check(make.__name__, f"{type(exc).__name__}: {exc}".splitlines()[0], passed=False)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, cpu, mps or xpu (default: cuda)")
    parser.add_argument("--small", action="store_true", help="small networks: tries the script, says nothing of speed")
    parser.add_argument("--seconds", type=float, default=360.0, help="begin no further timing after this time")
    parser.add_argument("-o", "--out", type=Path, help="a .md file; the figures go beside it as .json")
    options = parser.parse_args(arguments)
    report = run(torch.device(options.device), is_small=options.small, seconds=options.seconds)
    text = markdown(report)
    sys.stdout.write(text)
    if options.out is not None:
        options.out.write_text(text, "utf-8")
        options.out.with_suffix(".json").write_text(json.dumps(report.entry(), indent=1), "utf-8")
    return 0 if all(check.passed for check in report.checks) else 1


if __name__ == "__main__":
    sys.exit(main())
