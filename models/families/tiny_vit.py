"""tiny_vit and tiny_vit_cls: small vision transformers for the grating set, shipped with vidcam.

As ViViT with joint attention (arXiv:2103.15691): each tubelet of 4 frames and 8 × 8 pixels becomes a token, a learned
position is added, and blocks with a norm before each part follow. The input is (N, 3, 16, 64, 64), the tokens are on a
grid of 4 × 8 × 8 cells. The head of `tiny_vit` reads the mean of the tokens, the head of `tiny_vit_cls` a class token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.errors import ShapeError
from vidcam.models.specs import TINY_VIT_SPEC

TUBELET = (4, 8, 8)
"""Frames, rows and columns of a token."""

WIDTH, HEADS, DEPTH = 48, 4, 2


class TinyAttention(nn.Module):
    """Self-attention of all tokens, with the fused kernel of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, L, D) to (N, L, D)."""
        query, key, value = self.qkv(tokens).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return output


class TinyBlock(nn.Module):
    """Attention, then two linear layers with a GELU; each has a norm before it and a shortcut around it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(WIDTH), TinyAttention(), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, L, D) to (N, L, D)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        output: Tensor = tokens + self.mlp(self.norm2(tokens))
        return output


class TinyViT(nn.Module):
    """Network from clips (N, 3, 16, 64, 64) to logits (N, K).

    Args:
        depth: number of blocks.
        has_class_token: whether the head reads a class token, which comes before the others.
    """

    def __init__(self, *, depth: int = DEPTH, has_class_token: bool = False) -> None:
        super().__init__()
        sizes = zip(TINY_VIT_SPEC.input_size, TUBELET, strict=True)
        self.grid = tuple(length // side for length, side in sizes)
        frames, rows, columns = self.grid
        self.patch_embed = nn.Conv3d(3, WIDTH, TUBELET, TUBELET)
        self.positions = nn.Parameter(0.02 * torch.randn(1, frames * rows * columns, WIDTH))
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH)) if has_class_token else None
        self.blocks = nn.Sequential(*(TinyBlock() for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TINY_VIT_SPEC.classes)

    def forward(self, clip: Tensor) -> Tensor:
        """Compute the logits of a batch of clips.

        Raises:
            ShapeError: the input is not (N, 3, 16, 64, 64).
        """
        expected = (3, *TINY_VIT_SPEC.input_size)
        if clip.ndim != 5 or clip.shape[1:] != expected:
            raise ShapeError(f"TinyViT takes clips (N, {', '.join(map(str, expected))}), got {tuple(clip.shape)}")
        tokens = self.patch_embed(clip).flatten(2).transpose(1, 2) + self.positions
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.norm(self.blocks(tokens))
        logits: Tensor = self.head(tokens.mean(dim=1) if self.class_token is None else tokens[:, 0])
        return logits
