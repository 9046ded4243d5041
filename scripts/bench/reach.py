"""How much of the library one call passes through: distinct files and functions that are entered; and its statements.

A profile function is set with `sys.setprofile` (this thread) and `threading.setprofile` (those started later). It is
told of each call of a Python function, and notes the code object if its file lies in vidcam/, models/ or pipelines/.
Counted are functions and methods alone: code that is a function's (CO_OPTIMIZED, which bodies of modules and classes
lack) and has a name (no comprehension, lambda or generator expression). What is called while a module's body runs is
left out, unless it is called again later. Other processes are not seen.
"""

from __future__ import annotations

import ast
import inspect
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import click

from scripts.bench.processes import ROOT

LIBRARY = ("vidcam", "models", "pipelines")
GROUPS = {"library": LIBRARY, "scripts": ("scripts",), "tests": ("tests",)}
PLACES = tuple(f"{ROOT / folder}/" for folder in LIBRARY)


class Reach:
    """Code objects of the library that were entered after its modules were imported."""

    def __init__(self) -> None:
        self.entered: set[CodeType] = set()

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """A profile function."""
        code = frame.f_code
        is_known = event != "call" or code in self.entered or not code.co_filename.startswith(PLACES)
        if not is_known and code.co_flags & inspect.CO_OPTIMIZED and not _is_importing(frame):
            self.entered.add(code)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what is called inside."""
        threading.setprofile(self.note)
        sys.setprofile(self.note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @property
    def named(self) -> list[CodeType]:
        """Functions and methods, by place."""
        found = [code for code in self.entered if not code.co_name.startswith("<")]
        return sorted(found, key=lambda code: (code.co_filename, code.co_firstlineno))


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(PLACES):
            return True
        frame = frame.f_back
    return False


@click.command()
@click.option("--model", default="i3d", show_default=True, help="Of explain and score.")
@click.option("--list", "listed", is_flag=True, help="Every function that is entered.")
def reach(*, model: str, listed: bool) -> None:
    """Files and functions that explain, render, score and vidcam.explain enter; statements of the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        for name, call in _calls(Path(folder), model):
            found = Reach()
            with found.watch():
                call()
            click.echo(f"{name}: {len({code.co_filename for code in found.named})} files, {len(found.named)} functions")
            for code in found.named if listed else ():
                click.echo(f"  {Path(code.co_filename).relative_to(ROOT)}:{code.co_firstlineno} {code.co_qualname}")
    for group, folders in GROUPS.items():
        _count(group, [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))])


def _calls(folder: Path, model: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name and work, in the order in which one needs what the other made."""
    import torch

    import vidcam
    from scripts.bench.videos import make_set
    from vidcam.cli.app import main

    manifest, out = make_set(folder, 2), folder / "out"
    video = folder / "video0.mp4"
    yield "explain", lambda: main(["explain", str(video), "-o", str(out), "--model", model])
    (saved,) = out.glob("*.npz")
    yield "render", lambda: main(["render", str(saved), "-o", str(folder / "again.mp4")])
    yield "score", lambda: main(["score", str(manifest), "-o", str(folder / "scores"), "--model", model])
    parts = [torch.nn.Conv3d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool3d(1)]
    network = torch.nn.Sequential(*parts, torch.nn.Flatten(), torch.nn.Linear(8, 5))
    clip = torch.rand(2, 3, 8, 16, 16)
    yield "vidcam.explain", lambda: vidcam.explain(network, clip, methods=("gradcam++",), layer="1")


def _count(group: str, paths: list[Path]) -> None:
    texts = [path.read_text("utf-8") for path in paths]
    statements = sum(isinstance(node, ast.stmt) for text in texts for node in ast.walk(ast.parse(text)))
    lines = sum(text.count("\n") for text in texts)
    click.echo(f"{group}: {statements} statements, {len(paths)} files, {lines} lines")
    for folder, number in sorted(Counter(str(path.parent.relative_to(ROOT)) for path in paths).items()):
        click.echo(f"  {folder}: {number} files")
