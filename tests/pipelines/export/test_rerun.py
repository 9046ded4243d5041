"""The recording for rerun, read back by rerun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.saved import save_hot
from vidcam.errors import InputError
from vidcam.pipelines.export.rerun import require_rerun
from vidcam.pipelines.export.video import exported_video
from vidcam.pipelines.render.saved import open_saved
from vidcam.pipelines.report.writer import report
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import OPACITY, opacity_curve
from vidcam.system.progress import silent


def columns_of(path: Path) -> dict[tuple[str, str], Any]:
    """(Entity, component) → its values, as Python objects."""
    reader = pytest.importorskip("rerun.chunk", reason="needs rerun: pip install 'vidcam[rerun]'")
    found: dict[tuple[str, str], Any] = {}
    for chunk in reader.RrdReader(path).stream():
        batch = chunk.to_record_batch()
        for name in batch.schema.names:
            found[str(chunk.entity_path), name] = batch.column(name).to_pylist()
    return found


@pytest.mark.slow
def test_the_recording_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="needs rerun: pip install 'vidcam[rerun]'")
    saved = save_hot(tmp_path, sound=np.zeros(48_000, np.float32))
    written = report(saved, tmp_path / "video.rrd")
    assert written.notes == ()
    video, columns = exported_video(*open_saved(saved, None), progress=silent), columns_of(written.path)
    times = columns["/video", "video_time"]
    assert [time.total_seconds() for time in times] == pytest.approx(video.stamps, abs=1e-6)
    shown = np.array(columns["/video", "VideoFrameReference:timestamp"]).ravel() / 1e9
    assert np.diff(shown) == pytest.approx(np.diff(video.stamps), abs=1e-6)
    assert bytes(columns["/video", "AssetVideo:blob"][0][0]) == (tmp_path / "video.mp4").read_bytes()

    entity = "/video/running/gradcam"
    (_, heats), *_ = video.heats("gradcam", 0)
    pictures = np.array(columns[entity, "Image:buffer"], np.uint8).reshape(*heats.shape, 4)
    assert np.array_equal(pictures[..., :3], colour_table()[heats])
    assert pictures[..., 3] == pytest.approx(255 * opacity_curve(OPACITY)[heats], abs=0.5)
    assert columns[entity, "Transform3D:scale"][0][0] == pytest.approx([160 / 6, 128 / 5, 1.0])
    evidence = np.array(columns[f"{entity}/evidence", "Scalars:scalars"]).ravel()
    assert evidence == pytest.approx(video.explanation.evidence("gradcam", video.stamps))
    probability = np.array(columns["/video/running/probability", "Scalars:scalars"]).ravel()
    assert probability == pytest.approx(video.explanation.explanations[0].probability)


def test_a_video_that_rerun_does_not_play_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rerun", reason="needs rerun: pip install 'vidcam[rerun]'")
    monkeypatch.setattr("vidcam.pipelines.export.rerun.PLAYED", ())
    written = report(save_hot(tmp_path), tmp_path / "video.rrd")
    assert "not the video" in written.notes[0]
    assert ("/video/running/gradcam", "Image:buffer") in columns_of(written.path)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    with pytest.raises(InputError, match=r"vidcam\[rerun\]"):
        require_rerun()
