"""What the device script found, as a Markdown page."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torchvision

from vidcam import __version__


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: what is checked.
        figure: what was measured.
        passed: whether it is as it must be.
    """

    name: str
    figure: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Speed:
    """One timing.

    Attributes:
        network: name.
        batch: clips at once.
        precision: fp32, TF32 or bf16.
        work: what was timed.
        milliseconds: median for one clip; None if the work failed.
        ratio: over a plain forward pass of the same network, batch and precision.
    """

    network: str
    batch: int
    precision: str
    work: str
    milliseconds: float | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """All of a run."""

    environment: Mapping[str, str]
    checks: tuple[Check, ...]
    speeds: tuple[Speed, ...]
    seconds: float

    def entry(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def environment(device: torch.device) -> dict[str, str]:
    """The device and the versions."""
    name = platform.machine() if device.type == "cpu" else str(torch.get_device_module(device).get_device_name(device))
    return {
        "device": f"{device.type}, {name}",
        "vidcam": __version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def markdown(report: Report) -> str:
    """The page."""
    versions = ", ".join(f"{name} {version}" for name, version in report.environment.items() if name != "device")
    lines = [
        f"# vidcam on {report.environment['device']}",
        "",
        f"{versions}; {report.seconds:.0f} s.",
        "",
        "| check | figure | |",
        "|---|---|---|",
        *(f"| {check.name} | {check.figure} | {'ok' if check.passed else '**failed**'} |" for check in report.checks),
        "",
        "Median time of a clip, and its ratio to a plain forward pass of the same batch and precision.",
        "",
        "| network | batch | precision | work | ms | ratio |",
        "|---|---|---|---|---|---|",
        *(
            f"| {speed.network} | {speed.batch} | {speed.precision} | {speed.work} | {_figure(speed.milliseconds)} "
            f"| {_figure(speed.ratio)} |"
            for speed in report.speeds
        ),
    ]
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
