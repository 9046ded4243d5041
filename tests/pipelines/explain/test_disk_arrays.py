"""Arrays in temporary files: equal to arrays in memory, and their memory can be released."""

from __future__ import annotations

import errno
import gc
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.loading import load_video
from tests.helpers.nets import pooled_model
from tests.helpers.saved import save_hot
from tests.pipelines.conftest import VideoMaker
from vidcam.pipelines.explain import disk_arrays as module
from vidcam.pipelines.explain.disk_arrays import SMALL_BYTES, DiskArrays
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.results.clip_arrays import map_arrays
from vidcam.results.video import VideoExplanation

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere everything stays in memory")

MEGABYTES = 64


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def filled(disk: DiskArrays, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array: NDArray[np.float32] = disk.empty(shape, np.float32)
    array[...] = np.arange(array.size, dtype=np.float32).reshape(shape)
    return array


@only_linux
def test_released_memory_is_read_again_from_the_file(tmp_path: Path) -> None:
    disk = DiskArrays(tmp_path)
    before = resident_megabytes()
    array = filled(disk, (MEGABYTES, 1 << 18))
    assert resident_megabytes() - before > 0.9 * MEGABYTES
    disk.release_memory()
    assert resident_megabytes() - before < 0.5 * MEGABYTES  # the rest is what arange took, if it was not given back
    array[3, 5] = -1.0
    disk.release_memory()
    assert array[3, 5] == -1.0
    assert array[-1, -1] == np.float32(array.size - 1)


@only_linux
def test_no_temporary_file_is_left_and_no_file_stays_open(tmp_path: Path) -> None:
    gc.collect()
    before = open_files()
    disk = DiskArrays(tmp_path)
    array = filled(disk, (4, SMALL_BYTES))
    assert not list(tmp_path.iterdir())
    assert open_files() == before + 1
    del array, disk
    gc.collect()
    assert open_files() == before


def test_small_arrays_and_those_without_a_folder_stay_in_memory(tmp_path: Path) -> None:
    assert DiskArrays(tmp_path).empty((SMALL_BYTES // 4 - 1,), np.float32).base is None
    assert DiskArrays().empty((SMALL_BYTES,), np.float32).base is None


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EFBIG, errno.EOPNOTSUPP])
def test_with_a_full_disk_arrays_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    disk = DiskArrays(tmp_path)
    array = filled(disk, (2, SMALL_BYTES))
    assert array.base is None
    disk.release_memory()
    assert array[1, 0] == SMALL_BYTES


def moved_to_disk(video: VideoExplanation, disk: DiskArrays) -> VideoExplanation:
    def moved(array: NDArray[Any]) -> NDArray[Any]:
        place = disk.empty(array.shape, array.dtype)
        place[...] = array
        return place

    explanations = tuple(map_arrays(explanation, moved) for explanation in video.explanations)
    return replace(video, explanations=explanations, forget=disk.release_memory)


@only_linux
def test_a_small_explanation_is_copied_to_memory_and_a_large_one_stays_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL_BYTES", 0)
    video, before = load_video(save_hot(tmp_path)), open_files()
    disk = DiskArrays(tmp_path)
    in_memory = disk.small_to_memory(moved_to_disk(video, disk))
    gc.collect()
    assert open_files() == before
    assert in_memory.forget is None
    for saved, copied in zip(video.explanations, in_memory.explanations, strict=True):
        for method in saved.methods:
            np.testing.assert_array_equal(saved.volumes[method], copied.volumes[method])
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    large = moved_to_disk(video, disk)
    assert disk.small_to_memory(large) is large


@only_linux
def test_files_are_the_same_with_maps_in_memory_and_on_disk(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, written, released = make_video(), [], []
    release_memory = DiskArrays.release_memory

    def count_and_release(disk: DiskArrays) -> None:
        released.append(len(disk._blocks))
        release_memory(disk)

    monkeypatch.setattr(DiskArrays, "release_memory", count_and_release)
    for folder, smallest in (("memory", 1 << 30), ("file", 0)):
        monkeypatch.setattr(module, "SMALL_BYTES", smallest)
        explain_video(source, tmp_path / folder, model=pooled_model(), batch_size=2)
        written.append({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert written[0] == written[1]
    assert {name[-4:] for name in written[0]} >= {".npz", ".mp4", ".png", "json"}
    assert max(released) > 0 == released[0]
