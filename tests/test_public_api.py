"""What `import vidcam` offers: sorted, lazy, documented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vidcam

ROOT = Path(__file__).resolve().parents[1]


def test_the_names_are_sorted_and_single() -> None:
    assert list(vidcam.__all__) == sorted(set(vidcam.__all__))


@pytest.mark.parametrize("name", vidcam.__all__)
def test_every_name_resolves_to_something_documented(name: str) -> None:
    thing = getattr(vidcam, name)
    assert name in dir(vidcam)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        assert thing.__name__ == name
        assert thing.__module__.startswith("vidcam.")
        documentation = inspect.getdoc(thing) if not inspect.isclass(thing) else thing.__doc__
        assert documentation
        assert not documentation.startswith(f"{name}("), "the docstring that a dataclass gives itself"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vidcam' has no attribute 'explian'"):
        vidcam.explian  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "import vidcam, vidcam.cli.app",
        "import vidcam; vidcam.VidcamError, vidcam.load, dir(vidcam)",
        "from vidcam.cli.app import main; assert main(['--help']) == 0",
        "from vidcam.cli.app import main; assert main(['--version']) == 0",
        "from vidcam.cli.app import main; assert main(['explain', '--help']) == 0",
        "from vidcam.cli.app import main; assert main(['score', '--help']) == 0",
        "from vidcam.cli.app import main; assert main(['no-such-command']) == 2",
    ],
)
def test_no_torch_is_loaded_before_it_is_needed(program: str) -> None:
    program = f"import sys\n{program}\nassert not {{'torch', 'av', 'matplotlib', 'PIL'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_stated_alike_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited is not None
    assert vidcam.__version__ == project == cited[1]
