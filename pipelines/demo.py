"""What `vidcam demo` shows: a real clip and I3D, or, without a network, a made clip and a model that is shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidcam.errors import OutputError, WeightsError
from vidcam.models.model import Model, resolve_device
from vidcam.models.registry import load_model
from vidcam.models.sample import sample_clip
from vidcam.motion.clip import make_clip
from vidcam.motion.paths import LABELS
from vidcam.pipelines.explain.outputs import require_folder
from vidcam.pipelines.study.motion_set import write_video
from vidcam.system.atomic import folder_errors
from vidcam.system.progress import Progress, silent

OFFLINE_MODEL = "tiny_r3d"

MADE_CLIP = "made-clip.mp4"
_LABEL = LABELS.index("circle clockwise")
_SEED = 13
_PIXEL_PX = 4  # the video is 256 × 256, for people


@dataclass(frozen=True, slots=True, eq=False)
class DemoInput:
    """A model, a video for it, and what there is to say of the choice; an empty sentence if nothing."""

    model: Model
    explanation: Path
    note: str = ""


def demo_input(out: Path, *, offline: bool, device: str = "auto", progress: Progress = silent) -> DemoInput:
    """The real clip and I3D, both fetched once; if they cannot be had, or are not wanted, what is made here.

    Args:
        out: folder for the made clip.
        offline: whether to do without a network and the cache.
        device: 'auto', 'cpu' or 'cuda:N'.
        progress: told of downloads.

    Raises:
        InputError: the device is not there, or the folder cannot be written to.
    """
    resolve_device(device)
    require_folder(out)  # before anything is fetched
    if offline:
        return _made(out, device)
    try:
        explanation = sample_clip(progress)
        return DemoInput(load_model("i3d", device=device, progress=progress), explanation)
    except (WeightsError, OutputError) as exc:
        return _made(out, device, f"{OFFLINE_MODEL} explains a made clip, as the real one or I3D cannot be had: {exc}")


def _made(out: Path, device: str, note: str = "") -> DemoInput:
    """Three scenes of one motion: one, two and three actors."""
    with folder_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    model = load_model(OFFLINE_MODEL, device=device)
    clips = [make_clip(_SEED, _LABEL, actors=actors).frames for actors in (1, 2, 3)]
    return DemoInput(model, write_video(out / MADE_CLIP, clips, scale=_PIXEL_PX), note)
