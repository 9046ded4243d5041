"""The demo clip, a real video that is downloaded once.

It comes from the wheel `sports2d` 0.8.34 (BSD-3-Clause, David Pagnon and contributors): VP9, 1768 × 994, 30 frames per
second, 230 frames. A man balances on a roof and jumps off while a woman walks past. He is outside the centre crop for
half of the clip, and I3D is unsure, so the audit has something to report.
"""

from __future__ import annotations

from pathlib import Path

from vidcam.models.weights.cache import cache_folder, cache_write
from vidcam.models.weights.fetch import PackageFile, fetch_member
from vidcam.system.fingerprint import sha256
from vidcam.system.progress import Progress

SAMPLE = PackageFile(
    package="sports2d",
    version="0.8.34",
    kind="wheel",
    archive_sha256="733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
    member="Sports2D/Demo/demo.mp4",
    member_sha256="d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
    download_bytes=9_050_415,
    licence="BSD-3-Clause",
)


def sample_clip(progress: Progress | None = None) -> Path:
    """Return the path of the demo clip, `roof-jump.mp4` in the cache folder. Download it if it is missing or damaged.

    Raises:
        WeightsError: the clip is not cached and cannot be downloaded.
        OutputError: the cache folder is not writable.
    """
    path = cache_folder() / "roof-jump.mp4"
    if not path.is_file() or sha256(path) != SAMPLE.member_sha256:
        with cache_write(path) as temporary_path:
            fetch_member(SAMPLE, temporary_path, cache_path=path, progress=progress)
    return path
