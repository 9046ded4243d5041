"""Hostile files that are not media: results, manifests, weights, score folders, annotations; and what a user does.

`tests.helpers.fuzz` tells what becomes of one.
"""

from __future__ import annotations

import atexit
import io
import json
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from tests.helpers.clipsets import write_set
from tests.helpers.hostile_changes import BAD_VALUES, changed_array, changed_bytes, changed_json
from tests.helpers.hostile_images import use_annotations, write_annotations
from tests.helpers.nets import hidden_model
from tests.helpers.saved import save_hot
from vidcam.models.weights.state import load_weights_file
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.renderer import render_saved
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.samples import load_sample
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation

SCORING = ScoreOptions(methods="gradcam", measures="drop", sanity=1)


@lru_cache(maxsize=1)
def _folder() -> Path:
    """Whole files of each kind, made once for a process."""
    folder = Path(tempfile.mkdtemp(prefix="vidcam-hostile-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    save_hot(folder)
    write_set(folder / "set", 4, broken={2})
    score_set(folder / "set" / "set.csv", folder / "scored", SCORING, model=hidden_model())
    return folder


# ---- result files


def write_result(folder: Path, draw: random.Random) -> Path:
    """A saved explanation."""
    path = folder / "video.npz"
    shutil.copy(_folder() / "video.mp4", folder)
    content = (_folder() / "video.npz").read_bytes()
    kind = draw.choice(("bytes", "meta", "meta", "array", "array", "header"))
    if kind == "bytes":
        path.write_bytes(changed_bytes(content, draw))
        return path
    with np.load(io.BytesIO(content)) as arrays:
        members = {name: arrays[name] for name in arrays.files}
    if kind == "meta":
        members["meta"] = np.array(json.dumps(changed_json(json.loads(str(members["meta"])), draw)))
    elif kind == "array":
        name = draw.choice(list(members))
        with np.errstate(all="ignore"):
            try:
                members[name] = changed_array(members[name], draw)
            except (ValueError, IndexError, TypeError):  # text is no number, and meta has no axes
                members[name] = np.zeros(0)
    with zipfile.ZipFile(path, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        damaged = draw.choice(list(members))
        for name, array in members.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            is_damaged = kind == "header" and name == damaged
            archive.writestr(f"{name}.npy", _bad_header(buffer.getvalue(), draw) if is_damaged else buffer.getvalue())
    return path


def _bad_header(content: bytes, draw: random.Random) -> bytes:
    length = int.from_bytes(content[8:10], "little")
    return content[:10] + changed_bytes(content[10 : 10 + length], draw)[:length].ljust(length) + content[10 + length :]


def use_result(path: Path) -> None:
    """Load it, ask it everything, save it again and draw it."""
    result = load(path)
    explanations = result.explanations if isinstance(result, VideoExplanation) else (result,)
    for explanation in explanations:
        repr(explanation)
        for clip in range(min(len(explanation), 3)):
            explanation.audit(clip)
    result.save(path.with_name("again.npz"))
    if isinstance(result, VideoExplanation):
        method = next(iter(result.bounds))
        result.heat(method, np.array([0.0, 0.5]))
        render_saved(path, path.with_name("a.png"), RenderOptions(methods=method))


# ---- manifests


def write_manifest(folder: Path, draw: random.Random) -> Path:
    """A manifest in one of three formats, beside its videos."""
    for video in (_folder() / "set").glob("video*"):
        shutil.copy(video, folder)
    rows = [{"path": f"video{index}.mkv", "start": 0, "label": "red", "group": "a", "boxes": ""} for index in range(3)]
    ending = draw.choice(("csv", "jsonl", "parquet"))
    path = folder / f"set.{ending}"
    for _ in range(draw.choice((1, 2, 5))):
        rows[draw.randrange(3)][draw.choice(list(rows[0]))] = draw.choice(BAD_VALUES)
    if ending == "parquet":
        _write_parquet(path, rows, draw)
    else:
        lines = [json.dumps(row) for row in rows]
        if ending == "csv":
            lines = [",".join(rows[0]), *(",".join(json.dumps(str(cell)) for cell in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    if draw.random() < 0.3:
        path.write_bytes(changed_bytes(path.read_bytes(), draw))
    return path


def _write_parquet(path: Path, rows: list[dict[str, Any]], draw: random.Random) -> None:
    columns: dict[str, Any] = {}
    for name in rows[0]:
        cells = [row[name] for row in rows]
        try:
            columns[name] = pa.array(cells)
        except (pa.ArrowException, TypeError, OverflowError, ValueError):
            columns[name] = pa.array([str(cell) for cell in cells])
    if draw.random() < 0.3:
        unit = draw.choice(("s", "ms", "us", "ns"))
        moments = pa.array([0, 5, draw.choice((9 * 10**15, -9 * 10**15))], pa.int64())
        columns["label"] = moments.cast(pa.timestamp(unit))
    pq.write_table(pa.table(columns), path)


def use_manifest(path: Path) -> None:
    """Read its clips and decode each."""
    clips = read_clips(path, out=path.parent / "out")
    assert len(clips.digest) == 64
    spec = hidden_model().spec
    for entry in clips.entries:
        load_sample(entry, spec)


# ---- weights


def write_weights(folder: Path, draw: random.Random) -> Path:
    """Weights of a small network in one of four formats."""
    path = folder / "weights"
    state: dict[str, Any] = dict(hidden_model().module.state_dict())
    name = draw.choice(list(state))
    if draw.random() < 0.5:
        state[name] = draw.choice(_BAD_TENSORS)(state[name])
    form = draw.choice(("zip", "legacy", "safetensors", "keras"))
    try:
        _save_weights(path, form, state)
    except Exception:  # this format does not hold such a value
        _save_weights(path, form, dict(hidden_model().module.state_dict()))
    if draw.random() < 0.7:
        path.write_bytes(changed_bytes(path.read_bytes(), draw))
    elif form == "zip" and draw.random() < 0.5:
        with zipfile.ZipFile(path) as plain:
            members = {member: plain.read(member) for member in plain.namelist()}
        with zipfile.ZipFile(path, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as bomb:
            for member, content in members.items():
                bomb.writestr(member, bytes(1 << 24) if draw.random() < 0.2 else content)
    return path


_BAD_TENSORS: tuple[Callable[[Any], Any], ...] = (
    lambda tensor: tensor.to_sparse(),
    lambda tensor: tensor.to("meta"),
    lambda tensor: tensor.to(torch.complex64),
    lambda tensor: torch.zeros(()).expand(tensor.shape),
    lambda tensor: torch.zeros(1).expand(1 << 40),
    lambda tensor: tensor.double(),
    lambda tensor: tensor.to(torch.float8_e5m2),
    lambda tensor: tensor * float("nan"),
    lambda _: {"a": [1, 2, (3,)]},
    lambda _: "text",
    lambda _: 10**400,
)


def _save_weights(path: Path, form: str, state: dict[str, Any]) -> None:
    if form in ("safetensors", "keras") and any(tensor.numel() > 1 << 20 for tensor in state.values()):
        raise ValueError("an expanded tensor would be written whole")
    if form == "safetensors":
        save_file(state, path)
    elif form == "keras":
        import h5py

        with h5py.File(path, "w") as file:
            for name, tensor in state.items():
                file.create_dataset(name.replace(".", "/"), data=tensor.numpy(), compression="gzip")
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")


def use_weights(path: Path) -> None:
    """Load them into the network."""
    load_weights_file(hidden_model().module, path, name="tiny")


# ---- score folders


def write_scores(folder: Path, draw: random.Random) -> Path:
    """A scored set whose folder is damaged."""
    shutil.copytree(_folder() / "set", folder / "set")
    shutil.copytree(_folder() / "scored", folder / "scored")
    scores = folder / "scored" / "scores"
    path = draw.choice(sorted(scores.glob("[!.]*")))
    kind = draw.choice(("bytes", "inside", "inside", "inside", "gone", "renamed"))
    if kind == "bytes":
        path.write_bytes(changed_bytes(path.read_bytes(), draw))
    elif kind == "gone":
        path.unlink()
    elif kind == "renamed":
        path.rename(path.with_name(draw.choice(("part-00000000-00000003.parquet", "part-00000004-00000008.parquet"))))
    elif path.suffix == ".json":
        path.write_text(json.dumps(changed_json(json.loads(path.read_text("utf-8")), draw)), "utf-8")
    else:
        rows = pq.read_table(path).to_pylist()
        schema = pq.read_schema(path)
        rows[draw.randrange(len(rows))][draw.choice(schema.names[:14])] = draw.choice(("x", None, -1, True, 1e308))
        try:
            pq.write_table(pa.Table.from_pylist(rows[draw.randrange(2) :], schema=schema), path)
        except (pa.ArrowException, TypeError):
            pq.write_table(pa.Table.from_pylist([{"clip": 0}]), path)
    return folder / "scored"


def use_scores(path: Path) -> None:
    """Go on with the run: all clips must be in the table."""
    result = score_set(path.parent / "set" / "set.csv", path, SCORING, model=hidden_model())
    summary = result.summary
    assert (summary.clips, summary.n + summary.failed + summary.left_out) == (4, 4)
    assert len((path / "scores.csv").read_text("utf-8").splitlines()) >= 5


Write = Callable[[Path, random.Random], Path]
KINDS: Mapping[str, tuple[Write, Callable[[Path], None]]] = MappingProxyType(
    {
        "results": (write_result, use_result),
        "manifests": (write_manifest, use_manifest),
        "weights": (write_weights, use_weights),
        "scores": (write_scores, use_scores),
        "annotations": (write_annotations, use_annotations),
    }
)
"""Name → what writes a hostile file, and what a user does with it."""
