"""A damaged score folder is repaired or refused, never believed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.errors import OutputError
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.scored_clips import ScoredClips

OPTIONS = ScoreOptions(methods="gradcam", measures="drop", sanity=1)
PART = "part-00000000-00000006.parquet"


def run(manifest: Path, out: Path) -> ScoredClips:
    return score_set(manifest, out, OPTIONS, model=hidden_model())


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    run(write_set(folder, 6, broken={2}), folder / "out")
    return folder


@pytest.fixture
def copy(scored: Path, tmp_path: Path) -> Path:
    shutil.copytree(scored, tmp_path / "copy")
    return tmp_path / "copy"


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        pq.write_table(change(pq.read_table(path)), path)

    return rewrite


def replaced(name: str, values: Callable[[list[Any]], list[Any]]) -> Callable[[Path], None]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(name)
        column = pa.array(values(table[name].to_pylist()), table.schema.field(name).type)
        return table.set_column(index, table.schema.field(name), column)

    return rewritten(change)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(rewritten(lambda table: table.slice(0, 1)), id="one row"),
        pytest.param(rewritten(lambda table: table.slice(1)), id="without the first row"),
        pytest.param(rewritten(lambda table: table.filter(pc.field("clip") != 3)), id="without a clip"),
        pytest.param(rewritten(lambda table: pa.concat_tables([table, table.slice(0, 1)])), id="a clip twice"),
        pytest.param(rewritten(lambda table: table.drop_columns(["drop"])), id="without a column"),
        pytest.param(
            rewritten(lambda table: table.rename_columns([f"{name}_" for name in table.column_names])), id="other names"
        ),
        pytest.param(replaced("clip", lambda clips: [None, *clips[1:]]), id="a row of no clip"),
        pytest.param(replaced("path", lambda paths: ["other.mp4", *paths[1:]]), id="another set"),
        pytest.param(replaced("method", lambda names: ["other", *names[1:]]), id="another method"),
        pytest.param(replaced("status", lambda names: ["other", *names[1:]]), id="another status"),
        pytest.param(replaced("batch_size", lambda sizes: [-1, *sizes[1:]]), id="an impossible batch size"),
        *(
            pytest.param(replaced(name, lambda values: [None, *values[1:]]), id=f"a clip without {name}")
            for name in ("group", "class", "windows")
        ),
        pytest.param(lambda path: path.rename(path.with_name("part-00000000-00000005.parquet")), id="fewer clips"),
        pytest.param(lambda path: path.rename(path.with_name("part-00000000-00000007.parquet")), id="more clips"),
    ],
)
def test_a_part_that_is_not_of_its_clips_is_refused(damage: Callable[[Path], object], copy: Path) -> None:
    damage(copy / "out" / "scores" / PART)
    with pytest.raises(OutputError, match="pass --overwrite"):
        run(copy / "set.csv", copy / "out")


def test_more_clips_than_the_set_has_are_refused(copy: Path) -> None:
    part = copy / "out" / "scores" / PART
    more = pq.read_table(part)
    clips = pa.array([clip + 6 for clip in more["clip"].to_pylist()], pa.int64())
    pq.write_table(more.set_column(0, "clip", clips), part.with_name("part-00000006-00000012.parquet"))
    with pytest.raises(OutputError, match="has 12 clips, the set has 6; pass --overwrite"):
        run(copy / "set.csv", copy / "out")


def other_methods(text: str) -> str:
    return text.replace("gradcam", "x")


def one_layer_less(text: str) -> str:
    document = json.loads(text)
    return json.dumps(document | {"layers": document["layers"][1:]})


@pytest.mark.parametrize(
    "damage", [lambda _: "{", lambda _: "[" * 100_000, lambda _: "{}", one_layer_less, other_methods]
)
def test_a_damaged_sanity_check_is_made_again(damage: Callable[[str], str], copy: Path) -> None:
    path, report = copy / "out" / "scores" / "sanity.json", copy / "out" / "report.md"
    whole, former = path.read_text("utf-8"), report.read_text("utf-8")
    path.write_text(damage(whole))
    run(copy / "set.csv", copy / "out")
    assert report.read_text("utf-8") == former
    assert json.loads(path.read_text("utf-8")) == json.loads(whole)


@pytest.mark.parametrize("change", [{"schema": 1}, {"batch_size": 0}, {"provenance": [{}]}, {"seed": "1"}])
def test_foreign_settings_are_refused(change: dict[str, Any], copy: Path) -> None:
    path = copy / "out" / "scores" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change))
    with pytest.raises(OutputError, match="pass --overwrite"):
        run(copy / "set.csv", copy / "out")
