"""A Ray cluster: the one that RAY_ADDRESS names or that runs on this machine, else one that is started here."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vidcam.errors import InputError
from vidcam.system.telemetry import disable_usage_reports

MOST_ATTEMPTS = 3
"""What is no longer tried when workers died at it so often."""

_STORE_BYTES = 200 << 20
"""Object store of a cluster that is started here. It holds rows and paths, no pixels."""


def import_ray() -> Any:
    """Import Ray and Ray Data, with usage reports switched off.

    Raises:
        InputError: Ray is not installed.
    """
    disable_usage_reports()
    try:
        importlib.import_module("ray.data")
    except ModuleNotFoundError as exc:
        raise InputError("--engine ray needs Ray, which is missing: pip install 'vidcam[ray]'") from exc
    return importlib.import_module("ray")


def room_for_actors(ray: Any, *, threads: int, is_gpu: bool) -> int:
    """Return how many actors the cluster has room for; each has a GPU, or as many cores as threads.

    Raises:
        InputError: it has too few cores, or no GPU.
    """
    what, needs = ("GPU", 1) if is_gpu else ("CPU", threads)
    has = ray.cluster_resources().get(what, 0)
    if has < needs:
        raise InputError(f"the Ray cluster has {has:g} {what}s, an actor needs {needs}; pass a smaller --threads")
    return int(has // needs)


def actor_resources(threads: int, *, is_gpu: bool) -> dict[str, int]:
    """Return what an actor reserves, as arguments of Ray."""
    return {"num_cpus": 0 if is_gpu else threads, "num_gpus": 1 if is_gpu else 0}


@contextmanager
def cluster(ray: Any) -> Iterator[None]:
    """Connect to a cluster; one that is started here ends with the block."""
    is_own = not ray.is_initialized()
    if is_own:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        local = {"address": "local", "include_dashboard": False, "object_store_memory": _STORE_BYTES, **quiet}
        address = os.environ.get("RAY_ADDRESS", "auto")
        try:
            ray.init(**local) if address == "local" else ray.init(address=address, **quiet)
        except ConnectionError:
            ray.init(**local)
    context = ray.data.DataContext.get_current()
    former = context.enable_progress_bars, context.execution_options.preserve_order
    context.enable_progress_bars, context.execution_options.preserve_order = False, True
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.execution_options.preserve_order = former
        if is_own:
            ray.shutdown()
