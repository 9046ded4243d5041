"""`scripts/benchmark peers`: vidcam beside grad-cam, torchcam, captum and medcam, in an environment of their own.

The environment is .venv-peers: the pinned packages of `peers.txt` and this checkout, with .venv's packages behind, so
that torch is the very same and not installed twice. Nothing of the tools becomes a dependency of vidcam.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import click

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
HOME = ROOT / ".venv-peers"
PINS = SCRIPTS / "peers.txt"
STAMP = HOME / "vidcam-peers"
CASES = {
    "r3d_18": "r3d_18 at layer4 (the last block), 3×16×112×112",
    "i3d": "I3D at Mixed_5c (the last block), 3×16×224×224",
    "i3d-earlier": "I3D at Mixed_4f, 3×16×224×224",
}


@click.group(invoke_without_command=True)
@click.pass_context
def peers(context: click.Context) -> None:
    """Agreement with an oracle, and cost, of vidcam and of other tools; without a subcommand both."""
    prepare_environment()
    if context.invoked_subcommand is None:
        context.invoke(agreement)
        context.invoke(cost)


@peers.command()
def agreement() -> None:
    """Correlation of each tool's maps with independently derived ones, on the same 5-D inputs."""
    subprocess.run([python(), str(SCRIPTS / "peers_agreement.py")], check=True, env=environment())


@peers.command()
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, default=list(CASES))
@click.option("--batch", default=1, show_default=True)
@click.option("--runs", default=15, show_default=True)
@click.option("--memory-runs", default=1, show_default=True)
def cost(cases: tuple[str, ...], batch: int, runs: int, memory_runs: int) -> None:
    """Time over a plain forward pass, and memory beyond it: all our cheap methods, and one of each other tool."""
    for case in cases:
        times = _figures("seconds", case, f"--batch={batch}", f"--runs={runs}")
        click.echo(f"### {CASES[case]}, batch {batch}\n\nForward {times['forward']:.3f} s; {runs} pairs a row.\n")
        click.echo("| | time / forward: median (quartiles) | processor time / forward | peak memory beyond forward |")
        click.echo("| --- | --- | --- | --- |")
        for entry, row in times["rows"].items():
            ratios = " | ".join(f"{one['median']:.3f} ({one['low']:.3f}–{one['high']:.3f})" for one in row)
            extra = sorted(_figures("memory", case, entry, f"--batch={batch}")["extra"] for _ in range(memory_runs))
            click.echo(f"| {entry} | {ratios} | {extra[len(extra) // 2]:.0f} MB |")
        click.echo(f"\nOur cheap methods here: {', '.join(times['methods'])}.\n")


def prepare_environment() -> None:
    """Makes .venv-peers unless it is there, made from the same pins and project file."""
    project = (ROOT / "pyproject.toml").read_bytes()
    wanted = hashlib.sha256(PINS.read_bytes() + project + f"{sys.version} {ROOT}".encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text("utf-8") == wanted:
        return
    click.echo("benchmark: installing other tools into .venv-peers (minutes, the first time)", err=True)
    venv.create(HOME, clear=True, symlinks=os.name != "nt")
    own = Path(sysconfig.get_path("purelib", vars={"base": str(HOME)}))
    _link_ffmpeg(HOME / "ffmpeg")
    (own / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python(), "install", "-q", "--disable-pip-version-check"]
    # What is seen through behind.pth is another environment's: never to be replaced, whatever is said of it there.
    pip += ["--ignore-installed", "--no-deps", "--no-build-isolation", "-r", str(PINS), "-e", str(ROOT)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"pip failed, run it again once the cause is gone:\n{done.stdout}{done.stderr}")
    STAMP.write_text(wanted, "utf-8")


def _link_ffmpeg(folder: Path) -> None:
    """PyAV's own FFmpeg under the names that torchcodec looks for: one FFmpeg for all, none of the system's needed."""
    import av

    folder.mkdir()
    libraries = Path(av.__file__).parent.parent / "av.libs"
    for path in libraries.glob("lib*.so.*"):
        name, _, version = path.name.partition(".so.")
        plain = name.partition("-")[0]
        if plain.startswith(("libav", "libsw")):
            (folder / f"{plain}.so.{version.partition('.')[0]}").symlink_to(path)
    (folder / "rest").symlink_to(libraries)


def _figures(*arguments: str) -> dict[str, Any]:
    command = [python(), str(SCRIPTS / "peers_cost.py"), *arguments]
    variables = environment(tidy=arguments[0] == "memory")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # medcam prints
    return found


def python() -> str:
    """Of the environment."""
    return str(HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def environment(*, tidy: bool = False) -> dict[str, str]:
    """`tidy`: one allocator arena and large blocks given back at once, so that a peak is what was in use; slower."""
    allocator = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"} if tidy else {}
    found = os.pathsep.join([str(HOME / "ffmpeg"), str(HOME / "ffmpeg" / "rest")])
    return os.environ | {"PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": found} | allocator
