"""An explanation saved, loaded and shown: all of it comes back to the last bit, and other files are refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.nets import BrightnessNet, random_clip
from tests.results.test_explanation import assert_same
from vidcam.cam.explain import explain
from vidcam.errors import MediaError, OutputError
from vidcam.results.explanation import Explanation, Sink
from vidcam.results.io import load_explanation

METHODS = ("gradcam", "gradcam++", "gradcam++signed", "guided-gradcam")


@pytest.fixture(scope="module")
def made() -> Explanation:
    clip = random_clip(2, 3, 8, 32, 32).abs()
    return explain(BrightnessNet(), clip, layer="relu", methods=METHODS, target=0, foil=1)


def test_comes_back_to_the_last_bit(made: Explanation, tmp_path: Path) -> None:
    whole = replace(made, sink=Sink(((0, 1, 2), (1, 1, 1)), 30.5, 2.0), notes=("the layer was chosen", "ü"))
    whole.save(tmp_path / "a.npz")
    read = load_explanation(tmp_path / "a.npz")
    assert_same(read, whole)
    assert (read.sink, read.notes, list(read.guided)) == (whole.sink, whole.notes, ["guided-gradcam"])
    np.testing.assert_array_equal(read.guided["guided-gradcam"], whole.guided["guided-gradcam"], strict=True)
    np.testing.assert_array_equal(read.heat("gradcam++"), whole.heat("gradcam++"), strict=True)


def test_what_is_no_such_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", meta=np.array('{"kind": "other"}'))
    (tmp_path / "b.npz").write_text("no")
    for name in ("a", "b", "c"):
        with pytest.raises(MediaError, match=rf"{name}\.npz cannot be read as an explanation \(.*load_film"):
            load_explanation(tmp_path / f"{name}.npz")


def test_where_nothing_can_be_written(made: Explanation, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.npz cannot be written \(No such file or directory\), expected a folder"):
        made.save(tmp_path / "no" / "a.npz")


def test_shows_its_maps_in_a_notebook(made: Explanation) -> None:
    with Image.open(io.BytesIO(made._repr_png_() or b"")) as picture:
        assert picture.width == 1200
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50
    flat = replace(
        made,
        volumes={"gradcam": made.volumes["gradcam"][:, 0]},
        input_size=(32, 32),
        alpha={},
        guarded={},
        guided={},
    )
    assert flat._repr_png_() is not None
    assert replace(flat, volumes={})._repr_png_() is None
