from __future__ import annotations

import dataclasses
import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.results.test_explanation import assert_same, audit
from vidcam.errors import InputError, MediaError, NameNotFoundError, ShapeError
from vidcam.geometry import Geometry
from vidcam.maps import normalise, upsample_volume
from vidcam.media import Seconds
from vidcam.results.explanation import Explanation, select
from vidcam.results.origin import Origin
from vidcam.results.timeline import Timeline
from vidcam.results.video import CHUNK, Film, film_bounds, load_film

METHODS = ("gradcam", "gradcam++")
IDENTITY = Geometry((24, 32), (24, 32), (24, 32), 0, 0)
CROPPED = Geometry((90, 160), (28, 50), (24, 32), 2, 9)
PTS: Seconds = np.arange(192, dtype=np.float64) * 0.04  # three chunks of moments
assert PTS.size == 3 * CHUNK


def line(count: int) -> Timeline:
    starts: Seconds = np.arange(count, dtype=np.float64) * 0.64
    return Timeline(starts, starts + 1.28, starts[:, None] + 0.08 * np.arange(16))


def explanation(clips: int, seed: int = 0, *, foil: bool = False) -> Explanation:
    rng = np.random.default_rng(seed)
    return Explanation(
        volumes={name: rng.random((clips, 2, 3, 4)).astype(np.float32) for name in METHODS},
        logits=np.random.default_rng(99).normal(size=(clips, 5)).astype(np.float32),
        target=np.full(clips, seed),
        foil=np.full(clips, 4) if foil else None,
        layer="Mixed_5c",
        input_size=(16, 24, 32),
        alpha={"gradcam++": audit(clips, seed)},
        alpha_exact=(True, None, False)[seed % 3],
    )


def film(count: int = 11, targets: int = 1, geometry: Geometry = IDENTITY, seconds: NDArray[np.float64] = PTS) -> Film:
    made = tuple(explanation(count, seed, foil=seed == 1) for seed in range(targets))
    return Film(
        source="clip.mp4",
        model="i3d",
        geometry=geometry,
        timeline=line(count),
        labels=tuple(f"label {seed}, ü" for seed in range(targets)),
        explanations=made,
        bounds=tuple(film_bounds(each, line(count), seconds) for each in made),
    )


def test_bounds_are_those_of_the_whole_film_at_once() -> None:
    made, timeline = explanation(11), line(11)
    bounds = film_bounds(made, timeline, PTS)
    for name in METHODS:
        whole = upsample_volume(timeline.blend(made.volume(name), PTS), (24, 32))
        assert bounds[name] == pytest.approx((float(whole.min()), float(whole.max())), rel=1e-6)
        assert all(type(bound) is float for bound in bounds[name])


def test_heat_fills_the_scale_once_over_the_film() -> None:
    made = film()
    for name in METHODS:
        heat = made.heat(name, PTS)
        assert heat.shape == (192, 24, 32)
        assert heat.dtype == np.float32
        assert heat.min() >= 0
        assert heat.max() == pytest.approx(1, abs=1e-6)
        assert heat.min() == pytest.approx(0, abs=1e-6)
        assert (heat.max(axis=(1, 2)) < 0.99).any()  # no frame is stretched by itself


def test_heat_of_one_window_is_that_of_the_explanation() -> None:
    made = film(1, seconds=line(1).frame_seconds[0])
    heat = made.heat("gradcam", made.timeline.frame_seconds[0])
    np.testing.assert_allclose(heat, made.explanations[0].heat("gradcam")[0], rtol=0, atol=1e-5)


def test_raw_is_the_blend_and_heat_its_min_max() -> None:
    made = film(targets=2)
    seconds = np.array([0.3, 1.0, 4.44])
    raw = made.raw("gradcam++", seconds, target=1)
    np.testing.assert_array_equal(raw, made.timeline.blend(made.explanations[1].volume("gradcam++"), seconds))
    low, high = made.bounds[1]["gradcam++"]
    expected = (upsample_volume(raw, (24, 32)) - low) / (high - low)
    np.testing.assert_allclose(made.heat("gradcam++", seconds, target=1), expected, atol=1e-6)
    assert not np.allclose(made.heat("gradcam++", seconds, target=0), expected)


def test_on_an_unscaled_source_the_heat_is_the_same() -> None:
    made = film(geometry=IDENTITY)
    for second in (0.0, 0.777, 5.0):
        np.testing.assert_allclose(
            made.source_heat("gradcam", second), made.heat("gradcam", np.array([second]))[0], rtol=0, atol=1e-5
        )


def test_source_heat_covers_the_view_and_agrees_where_pixels_meet() -> None:
    made = film(geometry=CROPPED)
    drawn = made.source_heat("gradcam", 2.0)
    rows, columns = CROPPED.view_slices()
    assert drawn.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    raw = made.raw("gradcam", np.array([2.0]))
    low, high = made.bounds[0]["gradcam"]
    fine = normalise(upsample_volume(raw, (24 * 40, 32 * 40)), low, high)[0]  # 40 samples an input pixel
    for y, x in [(0, 0), (40, 50), (drawn.shape[0] - 1, drawn.shape[1] - 1), (13, 71)]:
        model_y, model_x = CROPPED.to_model(rows.start + y + 0.5, columns.start + x + 0.5)
        assert drawn[y, x] == pytest.approx(fine[int(model_y * 40), int(model_x * 40)], abs=0.02)


def test_moments_that_no_window_saw_are_zero() -> None:
    made = film(2, seconds=PTS[:48])
    assert not made.raw("gradcam", np.array([-0.1, 1.92, 7.0])).any()
    assert not made.heat("gradcam", np.array([-0.1, 1.92, 7.0])).any()


def test_a_film_without_evidence_stays_zero() -> None:
    empty = dataclasses.replace(explanation(3), volumes={"gradcam": np.zeros((3, 2, 3, 4), np.float32)})
    bounds = film_bounds(empty, line(3), PTS[:60])
    assert bounds == {"gradcam": (0.0, 0.0)}
    made = Film("a", "m", IDENTITY, line(3), ("x",), (empty,), (bounds,))
    assert not made.heat("gradcam", PTS[:60]).any()
    assert not made.source_heat("gradcam", 0.5).any()
    assert not made.evidence("gradcam", PTS[:60]).any()


def test_evidence_is_the_mean_of_the_heat_however_long_the_film() -> None:
    made = film()
    evidence = made.evidence("gradcam", PTS)
    assert evidence.dtype == np.float64
    assert evidence.shape == (192,)
    alone = [float(made.heat("gradcam", np.array([second])).astype(np.float64).mean()) for second in PTS]
    np.testing.assert_allclose(evidence, alone, rtol=0, atol=1e-6)


def test_unknown_method() -> None:
    with pytest.raises(NameNotFoundError, match=r"method 'gradcam\+' not found; the nearest are 'gradcam"):
        film().raw("gradcam+", PTS)


@pytest.mark.parametrize(
    ("method", "seconds", "target", "sentence"),
    [
        ("gradcam+", [0.5], 0, r"method 'gradcam\+' not found; .*must be one of those that were asked for"),
        ("gradcam", [0.5], 2, r"target is 2, expected 0 to 1, the position of one of label 0, ü, label 1, ü"),
        ("gradcam", [0.5], -1, r"target is -1, expected 0 to 1"),
        ("gradcam", 0.5, 0, r"seconds must be \(S,\) and finite, got 0\.5; of one moment pass \[moment\]"),
        ("gradcam", [0.5, float("nan")], 0, r"seconds must be \(S,\) and finite, got \[0\.5, nan\]"),
    ],
)
def test_what_was_not_explained_is_refused_in_one_sentence(
    method: str, seconds: Any, target: int, sentence: str
) -> None:
    made = film(targets=2)
    for ask in (made.raw, made.heat):
        with pytest.raises(InputError, match=sentence):
            ask(method, seconds, target=target)


def test_prints_short() -> None:
    text = repr(film(targets=2))
    assert text.startswith("Film('clip.mp4', 11 windows, targets=['label 0, ü', 'label 1, ü'], Explanation(")
    assert len(text) < 250


def test_explanations_must_have_a_clip_for_each_window() -> None:
    made = film()
    with pytest.raises(ShapeError, match=r"explanations must have the 11 clips of the timeline, got \{3\}"):
        dataclasses.replace(made, explanations=(select(made.explanations[0], [0, 1, 2]),))
    with pytest.raises(ShapeError, match=r"the 11 clips of the timeline, got set\(\)"):
        dataclasses.replace(made, explanations=(), labels=(), bounds=())


@pytest.mark.parametrize("change", [{"labels": ()}, {"labels": ("a", "b")}, {"bounds": ()}])
def test_each_target_is_complete(change: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="each target needs a label, an explanation and bounds, got "):
        dataclasses.replace(film(), **change)


@pytest.mark.parametrize("targets", [1, 3])
def test_what_is_saved_comes_back_to_the_last_bit(tmp_path: Path, targets: int) -> None:
    made = film(targets=targets, geometry=CROPPED)
    made.save(tmp_path / "a.npz")
    read = load_film(tmp_path / "a.npz")
    assert (read.source, read.model, read.geometry, read.labels) == (made.source, made.model, CROPPED, made.labels)
    assert read.bounds == made.bounds
    for name in ("starts", "ends", "frame_seconds"):
        np.testing.assert_array_equal(getattr(read.timeline, name), getattr(made.timeline, name), strict=True)
    for ours, theirs in zip(read.explanations, made.explanations, strict=True):
        assert_same(ours, theirs)
    for target in range(targets):
        theirs_heat = made.heat("gradcam++", PTS[:9], target=target)
        np.testing.assert_array_equal(read.heat("gradcam++", PTS[:9], target=target), theirs_heat)


def test_double_precision_and_nan_audits_survive(tmp_path: Path) -> None:
    first = film().explanations[0]
    blank = dataclasses.replace(first.alpha["gradcam++"], agreement=np.full(11, np.nan))
    volumes = {name: volume.astype(np.float64) / 3 for name, volume in first.volumes.items()}
    precise = dataclasses.replace(first, volumes=volumes, alpha={"gradcam++": blank})
    dataclasses.replace(film(), explanations=(precise,)).save(tmp_path / "a.npz")
    assert_same(load_film(tmp_path / "a.npz").explanations[0], precise)


def test_the_same_film_is_the_same_file(tmp_path: Path) -> None:
    film(targets=2).save(tmp_path / "a.npz")
    film(targets=2).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_file_is_plain_arrays_and_json(tmp_path: Path) -> None:
    film(targets=2).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fibU" for name in arrays.files)
        meta = json.loads(str(arrays["meta"]))
    assert meta["schema"] == 1
    assert [entry["contrasted"] for entry in meta["targets"]] == [False, True]
    assert [entry["alpha_exact"] for entry in meta["targets"]] == [True, None]


def saved(**changes: NDArray[Any]) -> bytes:
    """A saved film, some of its arrays replaced."""
    with tempfile.TemporaryDirectory() as folder:
        film().save(Path(folder) / "film.npz")
        content = (Path(folder) / "film.npz").read_bytes()
    with np.load(io.BytesIO(content)) as arrays:
        everything: dict[str, Any] = {name: arrays[name] for name in arrays.files} | changes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **everything)
    return buffer.getvalue()


def with_meta(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A saved film whose JSON was changed."""
    with np.load(io.BytesIO(saved())) as arrays:
        meta: dict[str, Any] = json.loads(str(arrays["meta"]))
    change(meta)
    return saved(meta=np.array(json.dumps(meta)))


def one_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def damaged() -> bytes:
    content = bytearray(saved())
    middle = len(content) // 3
    content[middle : middle + 40] = bytes(40)
    return bytes(content)


class Tripwire:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("something was unpickled",)


def pickled() -> bytes:
    return saved(starts=np.array([Tripwire()], dtype=object))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: b"hello", id="text"),
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: pickle.dumps(Tripwire()), id="a pickle"),
        pytest.param(pickled, id="a pickled array"),
        pytest.param(lambda: saved(meta=np.array("{")), id="broken json"),
        pytest.param(lambda: saved(frame_seconds=np.zeros(3)), id="wrong shape"),
        pytest.param(lambda: with_meta(lambda meta: meta.pop("targets")), id="no targets"),
        pytest.param(lambda: with_meta(lambda meta: meta.update(model=1, geometry={})), id="no geometry"),
        pytest.param(lambda: with_meta(lambda meta: meta["targets"][0]["methods"].append("x")), id="absent method"),
        pytest.param(lambda: saved()[:2000], id="cut short"),
        pytest.param(lambda: b"PK\x03\x04 hello", id="no archive"),
        pytest.param(damaged, id="damaged"),
        pytest.param(one_array, id="one array"),
        pytest.param(lambda: saved(meta=np.array("[]")), id="json of another kind"),
        pytest.param(lambda: with_meta(lambda meta: meta.update(geometry=None)), id="null geometry"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(tmp_path: Path, content: Callable[[], bytes]) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content())
    with pytest.raises(MediaError, match=r"a\.npz cannot be read as a saved explanation \(.*\); expected a \.npz that"):
        load_film(path)


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(with_meta(lambda meta: meta.update(schema=2)))
    with pytest.raises(MediaError, match="schema"):
        load_film(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(MediaError, match="cannot be read as a saved explanation"):
            load_film(path)


def test_each_target_is_drawn_on_its_own_scale() -> None:
    """The same maps a hundred times as large for the second target: on its own scale, they look the same."""
    first = explanation(4)
    volumes = {name: 100 * volume for name, volume in first.volumes.items()}
    both = (first, dataclasses.replace(first, volumes=volumes))
    moments = PTS[:80]
    made = Film(
        "a", "m", CROPPED, line(4), ("x", "y"), both, tuple(film_bounds(each, line(4), moments) for each in both)
    )
    for name in METHODS:
        assert made.bounds[1][name] == pytest.approx(tuple(100 * bound for bound in made.bounds[0][name]), rel=1e-5)
        for draw in (
            lambda target, name=name: made.heat(name, moments, target=target),
            lambda target, name=name: made.source_heat(name, 1.0, target=target),
            lambda target, name=name: made.evidence(name, moments, target=target),
        ):
            np.testing.assert_allclose(draw(1), draw(0), rtol=0, atol=1e-5)
        assert (
            made.source_heat(name, 1.0, target=1).mean() < 0.9
        )  # clipped with the bounds of the first, all would be 1


def test_the_film_it_was_made_of_and_the_labels_survive(tmp_path: Path) -> None:
    origin = Origin("../a.mp4", "ab" * 32, (0.0, 7.5), None, (1.0, 2.0, 3.0))
    dataclasses.replace(film(), origin=origin, class_labels={3: "座る", 0: "a"}).save(tmp_path / "a.npz")
    read = load_film(tmp_path / "a.npz")
    assert (read.origin, read.class_labels) == (origin, {0: "a", 3: "座る"})


def test_maps_that_were_saved_without_them_are_read(tmp_path: Path) -> None:
    film().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        content = dict(arrays)
    meta = json.loads(str(content["meta"]))
    del meta["origin"], meta["class_labels"]
    np.savez(tmp_path / "b.npz", **{**content, "meta": np.array(json.dumps(meta))})
    read = load_film(tmp_path / "b.npz")
    assert (read.origin, read.class_labels) == (None, {})
