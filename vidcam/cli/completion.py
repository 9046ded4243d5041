"""Values that the shell completes: names of methods, models, styles, layers and labels. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

METHODS = (
    "neutral-gradcam",
    "gradcam",
    "gradcam+",
    "gradcam++",
    "gradcam++softmax",
    "gradcam++signed",
    "cam",
    "hirescam",
    "layercam",
    "integrated-gradients",
    "expected-gradients",
    "gradcam-ig",
    "neutral-gradcam-ig",
    "occlusion",
    "rise",
    "token-lrp",
    "attnlrp",
    "attention-cam",
    "rollout",
    "legrad",
    "guided-gradcam",
    "guided-gradcam+",
    "guided-gradcam++",
)
"""Names of `vidcam.cam.methods.ALL_METHODS`, which imports torch."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def one_of(*names: str) -> Complete:
    """Complete one of a few names."""
    return lambda _context, _parameter, typed: _items(names, typed)


def several_of(*names: str) -> Complete:
    """Complete the last of names that are separated by commas."""

    def complete(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        before, comma, last = typed.rpartition(",")
        left = [name for name in names if name not in before.split(",")]
        return [CompletionItem(f"{before}{comma}{item.value}") for item in _items(left, last)]

    return complete


def complete_model(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a built-in model, a prefix, or a folder behind 'hf:'."""
    from vidcam.models.prefixes import PREFIXES
    from vidcam.models.registry import model_entries

    if typed.startswith("hf:"):
        return [CompletionItem(f"hf:{folder}") for folder in _folders(typed.removeprefix("hf:"))]
    known = {entry.spec.name: entry.spec.dataset for entry in model_entries()}
    known |= {f"{name}:": prefix.models for name, prefix in PREFIXES.items()}
    return [CompletionItem(name, help=text) for name, text in known.items() if name.startswith(typed)]


def _folders(typed: str) -> list[str]:
    """List the folders whose path starts so."""
    parent, slash, start = typed.rpartition("/")
    parent += slash
    children = Path(parent).expanduser().iterdir() if Path(parent).expanduser().is_dir() else ()
    return sorted(f"{parent}{child.name}" for child in children if child.name.startswith(start) and child.is_dir())


def complete_layer(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the default layer of the model; the others are known only to the network itself."""
    from vidcam.models.registry import model_entries

    models = _models(context) or ["i3d"]
    return _items([e.spec.layer for e in model_entries() if e.spec.name in models and e.spec.layer], typed)


def complete_target(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete `per-window`, `above:`, and labels where they are known without torch."""
    from vidcam.motion import LABELS

    labels: Sequence[str] = LABELS if any(name.startswith("tiny_") for name in _models(context)) else ()
    return _items([*labels, "per-window", "above:"], typed)


def complete_style(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete a style of `vidcam render`."""
    from vidcam.pipelines.render.options import STYLES

    return _items(STYLES, typed)


def complete_colormap(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete a usual colour map; matplotlib has more."""
    return _items(("vidcam", "inferno", "magma", "viridis", "plasma", "cividis", "turbo", "gray"), typed)


def _models(context: click.Context) -> list[str]:
    """The models typed so far; `explain` takes several."""
    typed = context.params.get("model")
    return [typed] if isinstance(typed, str) else [str(name) for name in typed or ()]


def _items(names: Iterable[str], typed: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.casefold().startswith(typed.casefold())]
