"""Case `roofline`: the rate of a forward pass beside that of a large matrix product, the most that a machine gives."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from scripts.bench.maps import BATCH, Network
from scripts.bench.tables import Row, Table
from scripts.bench.timing import Work, interleaved, plain_forward, quartiles

_SIDE = 2048
_GIGA = 1e9


def roofline(name: str, runs: int) -> Table:
    """Time forward passes and matrix products of the same precision in turn, and compare their operations a second."""
    network = Network(name)
    clip = network.clip(BATCH)
    works, operations = dict[str, Work](), dict[str, float]()
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        square = torch.randn(_SIDE, _SIDE, generator=torch.Generator().manual_seed(0)).to(dtype)
        works[_product(precision)] = partial(torch.matmul, square, square)
        operations[_product(precision)] = 2 * _SIDE**3
    modules = {"plain eager, float32": network.plain, "exact copy, float32": network.copied()}
    for title, module in {**modules, "bf16 copy, bf16": network.copied("bf16")}.items():
        works[title], operations[title] = partial(plain_forward, module, clip), operations_of(network.plain, clip)
    times = interleaved(works, runs)
    rows = dict[str, Row]()
    for title, row in times.items():
        product = _product(title.rpartition(", ")[2])
        scale = operations[title] / operations[product]
        shares = [scale * most / mine for mine, most in zip(row.rounds, times[product].rounds, strict=True)]
        rate = {"Gflop": operations[title] / _GIGA, "Gflop a second": operations[title] / row.seconds[1] / _GIGA}
        rows[title] = Row(row.seconds, row.processor, quartiles(shares), dict[str, str | float](rate), row.rounds)
    note = f"Seconds for a batch of {BATCH}, and for matrices of {_SIDE} × {_SIDE}. Ratio: of the rate of the product."
    return Table(f"{name}: operations a second", note, rows)


def operations_of(network: nn.Module, clip: Tensor) -> float:
    """Operations of the convolutions and products of a forward pass; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        plain_forward(network, clip)
    return float(counter.get_total_flops())


def _product(precision: str) -> str:
    return f"matrix product, {precision}"
