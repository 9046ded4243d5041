"""Who may import whom, read from the imports themselves; an arrow that is not in the picture fails.

    errors ◄ axes, arguments, labels, media, fill, maps, geometry, spec, sampling, preprocess, devices, motion   leaves
    foreign                                                                       a leaf: errors of a user's own code
    errors ◄ system                                                               every effect on the machine
    leaves, system ◄ results ◄ {cam, video, render, metrics}                      none of these four imports another
    leaves, system ◄ models                                                       torch, but not cam, video, metrics
    all of these ◄ pipelines ◄ cli ◄ __main__           `vidcam/__init__` names all; nobody imports its names
    pipelines.render works without torch

Exceptions: `Explanation` and `VideoExplanation` draw themselves in a notebook, and import what draws. `vidcam.motion`
names the benchmark, which runs networks; it is imported when it is first used.
Imports inside functions and under TYPE_CHECKING count. The picture changes by a decision: here, in the same commit.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LEAVES = {
    "errors": set[str](),
    "axes": set[str](),
    "foreign": set[str](),
    "arguments": set[str](),
    "labels": set[str](),
    "media": set[str](),
    "fill": set[str](),
    "maps": set[str](),
    "geometry": {"maps"},
    "spec": {"axes", "geometry"},
    "sampling": {"media"},
    "devices": set[str](),
    "preprocess": {"devices", "fill", "geometry", "media", "spec"},
    "motion": {"motion"},  # a leaf of several files, which import each other
}
BASE = {*LEAVES, "system"}
CORE = ("cam", "video", "render", "metrics")
INSIDE = {*BASE, "results", *CORE, "models"}

ALLOWED = {
    **{leaf: {"errors", *others} for leaf, others in LEAVES.items()},
    "system": {"errors", "system"},
    "results": {*BASE, "results"},
    **{part: {*BASE, "results", part} for part in CORE},
    "models": {*BASE, "models"},
    "pipelines": {*INSIDE, "pipelines"},
    "cli": {*INSIDE, "pipelines", "cli"},
    "__main__": {"cli", "system"},
    "__init__": {*INSIDE, "pipelines"},
}
EXCEPTIONS = {
    ("vidcam.results.explanation", "vidcam.render.notebook"),
    ("vidcam.results.video", "vidcam.pipelines.render.page"),
    ("vidcam.motion", "vidcam.pipelines.study.benchmark"),
}
EAGER_ROOT_NAMES = {"__version__"}  # a constant of the root, there before anything is imported

TORCH, MEDIA = {"torch", "torchvision"}, {"av", "decord"}
FOREIGN = {
    **dict.fromkeys(("__main__", "__init__", "cli", "system", "results", "render", *LEAVES), TORCH | MEDIA),
    **dict.fromkeys(("devices", "preprocess", "cam", "metrics", "models", "pipelines"), MEDIA),
    "video": TORCH,
}


def part_of(module: str) -> str:
    """'vidcam.cam.record' → 'cam'; the root itself is '__init__'."""
    return module.split(".")[1] if "." in module else "__init__"


def imported(source: str, module: str, *, is_package: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every import in the source as (absolute module, names taken from it)."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            parts = [*base, *(node.module.split(".") if node.module else [])]
            yield ".".join(parts), tuple(alias.name for alias in node.names)


def targets(target: str, names: tuple[str, ...], known: Collection[str]) -> Iterator[str]:
    """The modules that an import reaches; 'vidcam:name' stands for a name of the root that is no module."""
    if target != "vidcam":
        yield target
        return
    for name in names or ("",):
        yield f"vidcam.{name}" if f"vidcam.{name}" in known else f"vidcam:{name}"


def violations(source: str, module: str, known: Collection[str], *, is_package: bool = False) -> list[str]:
    """Sentences about the imports of one module that are not in the picture."""
    own, found = part_of(module), []
    if own not in ALLOWED:
        return [f"{module} has no place in the picture"]
    for target, names in imported(source, module, is_package=is_package):
        top = target.partition(".")[0]
        if top in FOREIGN[own]:
            found.append(f"{module} imports {target}")
        if top in {"models", "pipelines"}:
            found.append(f"{module} imports a bare {target}")
        if top != "vidcam":
            continue
        for reached in targets(target, names, known):
            if reached.startswith("vidcam:"):
                if reached.partition(":")[2] not in EAGER_ROOT_NAMES:
                    found.append(f"{module} imports {reached} from the root")
            elif part_of(reached) not in ALLOWED[own] and (module, reached) not in EXCEPTIONS:
                found.append(f"{module} imports {reached}")
    return found


def modules() -> dict[str, Path]:
    """Module name → file, of everything that is installed."""
    homes = {"vidcam": ROOT / "vidcam", "vidcam.models": ROOT / "models", "vidcam.pipelines": ROOT / "pipelines"}
    found = {}
    for name, home in homes.items():
        for path in sorted(home.rglob("*.py")):
            inner = path.relative_to(home).with_suffix("").parts
            found[".".join((name, *(part for part in inner if part != "__init__")))] = path
    return found


MODULES = modules()


def test_every_import_is_in_the_picture() -> None:
    assert len(MODULES) > 300
    found = []
    for module, path in MODULES.items():
        is_package = path.name == "__init__.py"
        found += violations(path.read_text(encoding="utf-8"), module, MODULES, is_package=is_package)
    assert found == []


PLANTED = [
    ("vidcam.cam.record", "import av", "vidcam.cam.record imports av"),
    ("vidcam.cam.record", "import vidcam.video.reader", "vidcam.cam.record imports vidcam.video.reader"),
    ("vidcam.cam.record", "from vidcam.video.reader import probe", "vidcam.cam.record imports vidcam.video.reader"),
    ("vidcam.cam.record", "from ..metrics import drop", "vidcam.cam.record imports vidcam.metrics"),
    ("vidcam.cam.record", "from .. import metrics", "vidcam.cam.record imports vidcam.metrics"),
    ("vidcam.metrics.drop", "def f():\n    from vidcam import models", "vidcam.metrics.drop imports vidcam.models"),
    ("vidcam.metrics.drop", "from vidcam import explain", "vidcam.metrics.drop imports vidcam:explain from the root"),
    ("vidcam.metrics.drop", "import vidcam", "vidcam.metrics.drop imports vidcam: from the root"),
    ("vidcam.render.sheet", "import torch.nn", "vidcam.render.sheet imports torch.nn"),
    (
        "vidcam.render.sheet",
        "from vidcam.results.video import Video; import vidcam.cam",
        "vidcam.render.sheet imports vidcam.cam",
    ),
    ("vidcam.video.reader", "from torch import Tensor", "vidcam.video.reader imports torch"),
    ("vidcam.maps", "from vidcam.geometry import Geometry", "vidcam.maps imports vidcam.geometry"),
    ("vidcam.errors", "if TYPE_CHECKING:\n    from vidcam.maps import Floats", "vidcam.errors imports vidcam.maps"),
    ("vidcam.models.families.i3d", "from vidcam.cam import layers", "vidcam.models.families.i3d imports vidcam.cam"),
    (
        "vidcam.models.families.i3d",
        "from models.model import Model",
        "vidcam.models.families.i3d imports a bare models.model",
    ),
    (
        "vidcam.pipelines.explain.explainer",
        "from vidcam.cli.app import main",
        "vidcam.pipelines.explain.explainer imports vidcam.cli.app",
    ),
    ("vidcam.pipelines.explain.explainer", "import decord", "vidcam.pipelines.explain.explainer imports decord"),
    ("vidcam.novelty", "import json", "vidcam.novelty has no place in the picture"),
]


@pytest.mark.parametrize(("module", "source", "sentence"), PLANTED)
def test_a_planted_violation_is_found(module: str, source: str, sentence: str) -> None:
    known = {"vidcam.cam", "vidcam.metrics", "vidcam.models", "vidcam.cli.app"}
    assert violations(source, module, known) == [sentence]


def test_what_is_in_the_picture_is_not_reported() -> None:
    source = "import json\nfrom vidcam.errors import InputError\nfrom vidcam import cam, __version__\nimport torch"
    assert violations(source, "vidcam.pipelines.explain.explainer", {"vidcam.cam"}) == []
    assert violations("from . import record\nfrom .record import Tape", "vidcam.cam", (), is_package=True) == []


TORCHLESS = {*LEAVES, "system", "results", "render", "video", "cli", "__init__"} - {"preprocess"}
WITHOUT_TORCH = [name for name in MODULES if part_of(name) in TORCHLESS]
WITHOUT_TORCH += [name for name in MODULES if name.startswith("vidcam.pipelines.render")]


@pytest.mark.slow
def test_render_video_the_leaves_and_the_command_line_work_without_torch() -> None:
    program = (
        f"import importlib, sys\nfor name in {WITHOUT_TORCH!r}:\n"
        "    importlib.import_module(name)\n    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_leaves_need_neither_matplotlib_nor_pillow_nor_pyav() -> None:
    leaves = [name for name in MODULES if part_of(name) in {*LEAVES, "system", "results"}]
    program = (
        f"import importlib, sys\nfor name in {leaves!r}:\n    importlib.import_module(name)\n"
        "assert not {'matplotlib', 'PIL', 'av'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
