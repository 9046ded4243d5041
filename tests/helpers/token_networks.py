"""Small video transformers, and the relevance of their patch embedding by the rules, written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Kind = Literal["joint", "windowed", "divided", "pooled"]
Reading = Literal["class", "mean", "query"]

CELLS, WIDTH, HEADS, CLASSES = (2, 2, 3), 8, 2, 4
"""(t, h, w) of the patches, D, heads and K."""

LENGTH = CELLS[0] * CELLS[1] * CELLS[2]


def groups_of(kind: Kind) -> list[Tensor]:
    """For each attention of a block (L, L): whether token i attends to token j; of divided ones time, then space."""
    place = torch.arange(LENGTH)
    frame, cell = place // (CELLS[1] * CELLS[2]), place % (CELLS[1] * CELLS[2])
    column = place % CELLS[2]
    same = {"joint": [place * 0], "pooled": [place * 0], "windowed": [column], "divided": [cell, frame]}[kind]
    return [each[:, None] == each[None] for each in same]


def split(x: Tensor, axis: int, sizes: tuple[int, ...]) -> Tensor:
    """Split an axis into several."""
    axis %= x.ndim
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


class Attention(nn.Module):
    """Attention of several heads: fused or written out, within groups of tokens, or to pairs of pooled tokens."""

    def __init__(self, *, mask: Tensor, is_fused: bool, is_pooled: bool, bias: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=bias) for _ in range(4))
        self.mask: Tensor = mask
        self.is_fused, self.is_pooled = bool(is_fused), bool(is_pooled)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.heads(linear(x)) for linear in (self.q, self.k, self.v))
        if self.is_pooled:
            k, v = (split(each, 2, (-1, 2)).mean(dim=3) for each in (k, v))
        if self.is_fused:
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=self.allowed(k))
        else:
            scores = (q @ k.transpose(-2, -1)) * (WIDTH // HEADS) ** -0.5
            mixed = scores.masked_fill(~self.allowed(k), -torch.inf).softmax(dim=-1) @ v
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result

    def allowed(self, k: Tensor) -> Tensor:
        """(L, keys) of the scores."""
        return torch.ones(2 * k.shape[2], k.shape[2], dtype=torch.bool) if self.is_pooled else self.mask

    def heads(self, x: Tensor) -> Tensor:
        """(N, L, D) → (N, heads, L, d)."""
        return split(x, -1, (HEADS, WIDTH // HEADS)).transpose(1, 2)


class Block(nn.Module):
    """Attention and an MLP, each with its norm before it, or behind the sum."""

    def __init__(self, kind: Kind, *, extra: int, is_post: bool, is_fused: bool, bias: bool) -> None:
        super().__init__()
        masks = [functional.pad(mask, (extra, 0, extra, 0), value=True) for mask in groups_of(kind)]
        self.attentions = nn.ModuleList(
            Attention(mask=mask, is_fused=is_fused, is_pooled=kind == "pooled", bias=bias) for mask in masks
        )
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=bias) for _ in range(len(masks) + 1))
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH, bias=bias), nn.Linear(2 * WIDTH, WIDTH, bias=bias)
        self.is_post = is_post

    def mlp(self, x: Tensor) -> Tensor:
        result: Tensor = self.down(functional.gelu(self.up(x)))
        return result

    def forward(self, x: Tensor) -> Tensor:
        for norm, part in zip(self.norms, (*self.attentions, self.mlp), strict=True):
            x = norm(x + part(x)) if self.is_post else x + part(norm(x))
        return x


class TokenNetwork(nn.Module):
    """Patches of 1 × 2 × 2 pixels, two blocks, and a classifier of the class token, the mean or what a query reads."""

    def __init__(
        self,
        kind: Kind = "joint",
        reading: Reading = "mean",
        *,
        is_post: bool = False,
        is_fused: bool = True,
        bias: bool = True,
        has_positions: bool = True,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, WIDTH, (1, 2, 2), (1, 2, 2), bias=bias)
        extra = int(reading == "class")
        self.class_token = nn.Parameter(torch.randn(1, extra, WIDTH) * (bias or 0))
        self.positions = nn.Parameter(torch.randn(1, LENGTH, WIDTH) * has_positions)
        self.blocks = nn.ModuleList(
            Block(kind, extra=extra, is_post=is_post, is_fused=is_fused, bias=bias) for _ in range(2)
        )
        self.norm, self.head = nn.LayerNorm(WIDTH, bias=bias), nn.Linear(WIDTH, CLASSES, bias=bias)
        self.query = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.reading = reading

    def forward(self, clip: Tensor) -> Tensor:
        x = self.patches(clip).flatten(2).transpose(1, 2) + self.positions
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        read = {"class": self.first, "mean": self.mean, "query": self.asked}[self.reading](x)
        result: Tensor = self.head(read)
        return result

    def first(self, x: Tensor) -> Tensor:
        return x[:, 0]

    def mean(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)

    def asked(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(self.query.expand(len(x), -1, -1), x, x)[:, 0]


def clip_of(clips: int = 2, seed: int = 1) -> Tensor:
    """Clips of the patches' grid."""
    generator = torch.Generator().manual_seed(seed)
    size = (CELLS[0], 2 * CELLS[1], 2 * CELLS[2])
    return torch.randn(clips, 3, *size, generator=generator, dtype=torch.float64)


# ---- by hand

Back = Callable[[Tensor], Tensor]
"""Relevance of an operation's result → that of its input."""


class ByHand:
    """Relevance by the rules for values, R_i = Σ_j z_i w_ij / z_j · R_j, without any gradient.

    Args:
        is_softmax_constant: `token-lrp`, else `attnlrp`.
    """

    def __init__(self, network: TokenNetwork, *, is_softmax_constant: bool = True) -> None:
        self._network, self._is_constant = network, is_softmax_constant

    def relevance(self, clip: Tensor, target: int) -> Tensor:
        """Of the patches, (N, t, h, w)."""
        net = self._network
        patches = net.patches(clip).flatten(2).transpose(1, 2)
        x = torch.cat([net.class_token.expand(len(clip), -1, -1), patches + net.positions], dim=1)
        steps: list[Back] = []
        for block in net.blocks:
            assert isinstance(block, Block)
            for norm, part in zip(block.norms, (*block.attentions, block.mlp), strict=True):
                assert isinstance(norm, nn.LayerNorm)
                x, back = self._sublayer(block, norm, part, x)
                steps.append(back)
        y, back = self._norm(net.norm, x)
        steps.append(back)
        r = self._read(y, target)
        for back in reversed(steps):
            r = back(r)
        r = r[:, x.shape[1] - LENGTH :] * patches / (patches + net.positions)
        return split(r.sum(dim=2), 1, CELLS)

    def _sublayer(self, block: Block, norm: nn.LayerNorm, part: nn.Module, x: Tensor) -> tuple[Tensor, Back]:
        run = self._attention if isinstance(part, Attention) else self._mlp
        if block.is_post:
            y, back = run(part if isinstance(part, Attention) else block, x)  # type: ignore[arg-type]
            result, of_norm = self._norm(norm, x + y)
            return result, lambda r: self._sum_back(x, y, of_norm(r), back)
        normed, of_norm = self._norm(norm, x)
        y, back = run(part if isinstance(part, Attention) else block, normed)  # type: ignore[arg-type]
        return x + y, lambda r: self._sum_back(x, y, r, lambda q: of_norm(back(q)))

    def _sum_back(self, x: Tensor, y: Tensor, r: Tensor, back: Back) -> Tensor:
        return r * x / (x + y) + back(r * y / (x + y))

    def _norm(self, norm: nn.LayerNorm, x: Tensor) -> tuple[Tensor, Back]:
        factor = norm.weight / (x.var(dim=-1, correction=0, keepdim=True) + norm.eps).sqrt()
        y = (x - x.mean(dim=-1, keepdim=True)) * factor

        y = y + norm.bias if dict(norm.named_parameters()).get("bias") is not None else y

        def back(r: Tensor) -> Tensor:
            s = r / y * factor
            return x * (s - s.mean(dim=-1, keepdim=True))

        return y, back

    def _linear(self, linear: nn.Linear, x: Tensor) -> tuple[Tensor, Back]:
        y = linear(x)
        return y, lambda r: x * ((r / y) @ linear.weight)

    def _mlp(self, block: Block, x: Tensor) -> tuple[Tensor, Back]:
        up, first = self._linear(block.up, x)
        down, second = self._linear(block.down, functional.gelu(up))
        return down, lambda r: first(second(r))  # an activation passes relevance on as it is

    def _attention(self, part: Attention, x: Tensor) -> tuple[Tensor, Back]:
        (q, of_q), (k, of_k), (v, of_v) = (self._linear(linear, x) for linear in (part.q, part.k, part.v))
        heads = [part.heads(each) for each in (q, k, v)]
        pool = torch.eye(x.shape[1], dtype=x.dtype)
        pool = split(pool, 0, (-1, 2)).mean(dim=1) if part.is_pooled else pool
        keys, values = (torch.einsum("pj,nhjd->nhpd", pool, each) for each in heads[1:])
        scale = heads[0].shape[-1] ** -0.5
        scores = torch.einsum("nhid,nhjd->nhij", heads[0], keys) * scale
        attention = scores.masked_fill(~part.allowed(keys), -torch.inf).softmax(dim=-1)
        mixed = torch.einsum("nhij,nhjd->nhid", attention, values)
        y, of_out = self._linear(part.out, mixed.transpose(1, 2).flatten(2))

        def back(r: Tensor) -> Tensor:
            s = part.heads(of_out(r)) / mixed
            share = 1.0 if self._is_constant else 0.5
            of_values = share * torch.einsum("nhij,nhid->nhjd", attention, s)
            found = of_v(_flat(heads[2] * torch.einsum("pj,nhpd->nhjd", pool, of_values)))
            if self._is_constant:
                return found
            r_attention = share * attention * torch.einsum("nhid,nhjd->nhij", s, values)
            r_scores = scores * (r_attention - attention * r_attention.sum(dim=-1, keepdim=True))
            t = share * scale * r_scores / scores
            r_q = heads[0] * torch.einsum("nhij,nhjd->nhid", t, keys)
            r_k = heads[1] * torch.einsum("pj,nhpd->nhjd", pool, torch.einsum("nhij,nhid->nhjd", t, heads[0]))
            return found + of_q(_flat(r_q)) + of_k(_flat(r_k))

        return y, back

    def _read(self, y: Tensor, target: int) -> Tensor:
        """Relevance of the last tokens: of the logit, through the classifier and what it reads."""
        weight: Tensor = self._network.head.weight[target]
        if self._network.reading == "class":
            shares = torch.eye(y.shape[1], dtype=y.dtype)[0].expand(y.shape[:2])
        elif self._network.reading == "mean":
            shares = torch.full(y.shape[:2], 1 / y.shape[1], dtype=y.dtype)
        else:
            shares = (y @ self._network.query[0, 0] * WIDTH**-0.5).softmax(dim=-1)
            if not self._is_constant:
                return self._asked(y, shares, weight)
        return y * weight * shares[..., None]

    def _asked(self, y: Tensor, shares: Tensor, weight: Tensor) -> Tensor:
        """A query reads: half to the values, half to the shares, through their softmax; the query is a constant."""
        scores = y @ self._network.query[0, 0] * WIDTH**-0.5
        r_shares = 0.5 * shares * (y @ weight)
        r_scores = scores * (r_shares - shares * r_shares.sum(dim=-1, keepdim=True))
        keys: Tensor = y * self._network.query[0, 0] * WIDTH**-0.5 * (r_scores / scores)[..., None]
        values: Tensor = 0.5 * y * weight * shares[..., None]
        return values + keys


def _flat(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)
