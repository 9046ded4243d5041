"""The input of `vidcam demo`: a real clip and I3D, or, offline, a synthetic clip and a small model of the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidcam.devices import resolve_device
from vidcam.errors import OutputError, WeightsError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.sample import sample_clip
from vidcam.motion.clip import make_clip
from vidcam.motion.paths import LABELS
from vidcam.pipelines.explain.outputs import require_folder
from vidcam.pipelines.study.motion_set import write_video
from vidcam.system.atomic import folder_errors
from vidcam.system.exchange import claimed_path
from vidcam.system.progress import Progress, silent

OFFLINE_MODEL = "tiny_r3d"

SYNTHETIC_CLIP = "made-clip.mp4"
_LABEL = LABELS.index("circle clockwise")
_SEED = 13
_PIXEL_PX = 4  # the video is 256 × 256, for people


@dataclass(frozen=True, slots=True, eq=False)
class DemoInput:
    """The model and the video of the demo.

    Attributes:
        model: the model.
        video: path of the video.
        note: the reason for the offline demo if it was not requested; else empty.
    """

    model: Model
    video: Path
    note: str = ""


def demo_input(out: Path, *, offline: bool, device: str = "auto", progress: Progress = silent) -> DemoInput:
    """Download the real clip and I3D once; offline, or if that fails, make a synthetic clip.

    Args:
        out: folder for the synthetic clip.
        offline: use neither the network nor the cache.
        device: 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'.
        progress: called during downloads.

    Raises:
        InputError: the device does not exist, or the folder cannot be written to.
    """
    resolve_device(device)
    require_folder(out)  # before any download
    if offline:
        return _offline_input(out, device)
    try:
        video = sample_clip(progress)
        return DemoInput(load_model("i3d", device=device, progress=progress), video)
    except (WeightsError, OutputError) as exc:
        return _offline_input(out, device, f"using {OFFLINE_MODEL} and a synthetic clip instead of I3D: {exc}")


def _offline_input(out: Path, device: str, note: str = "") -> DemoInput:
    """Load the small model, and write a video with three scenes of one motion: one, two and three actors."""
    with folder_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    model = load_model(OFFLINE_MODEL, device=device)
    clips = [make_clip(_SEED, _LABEL, actors=actors).frames for actors in (1, 2, 3)]
    with claimed_path(out / SYNTHETIC_CLIP, overwrite=True) as hidden:
        write_video(hidden, clips, scale=_PIXEL_PX)
    return DemoInput(model, out / SYNTHETIC_CLIP, note)
