"""Dataclasses to JSON and back, and errors for JSON that does not fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.system.json_files import as_plain, from_json, read_json, read_json_if_valid, to_json, write_json


@dataclass(frozen=True, slots=True)
class Inner:
    """A field that may be null."""

    value: float | None
    cells: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Outer:
    """All types of fields that documents use."""

    name: str
    inner: Inner
    by_name: Mapping[str, Inner] = field(default_factory=dict)
    kind: Literal["a", "b"] = "a"


DOCUMENT = Outer("ü\n", Inner(0.1, ((1, 2), (3, 4))), {"gradcam++": Inner(None)}, "b")


def test_write_and_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", DOCUMENT)
    assert read_json(tmp_path / "a.json", Outer) == DOCUMENT
    assert (tmp_path / "a.json").read_text("utf-8").endswith("}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_is_missing_or_of_another_kind_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json_if_valid(path, Outer) is None
    write_json(path, DOCUMENT)
    assert read_json_if_valid(path, Outer) == DOCUMENT
    assert read_json_if_valid(path, Inner) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64("nan")])
def test_nan_and_infinity_become_null(value: Any) -> None:
    assert to_json(Inner(value), indent=0) == '{"value":null,"cells":[]}'


def test_numpy_values_and_paths_become_plain() -> None:
    plain = as_plain({"a": np.float64(0.5), "b": np.arange(2), "c": Path("x/y"), "d": Inner(1.0)})
    assert plain == {"a": 0.5, "b": [0, 1], "c": "x/y", "d": {"value": 1.0, "cells": []}}
    with pytest.raises(TypeError, match="object cannot be written"):
        to_json({"a": object()})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "truncated"),
        ('{"name": "a"}', "inner"),
        ('{"name": 3, "inner": {"value": 1}}', "name"),
        ('{"name": "a", "inner": {"value": 1}, "kind": "c"}', "kind"),
        ('{"name": "a", "inner": {"value": 1, "cells": [[1, "x"]]}}', r"cells\[0\]\[1\]"),
        ("[" * 100_000, "deeply|array"),
        (b"\xff", "malformed|invalid"),
    ],
)
def test_the_error_names_what_does_not_fit(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(text, Outer)
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=r"a\.json is damaged or of another version"):
        read_json(path, Outer)


def test_unknown_keys_are_ignored() -> None:
    assert from_json('{"value": 2, "later": [1]}', Inner) == Inner(2.0)


def test_a_missing_file_has_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "nowhere.json", Outer)


def test_a_mapping_that_is_read_only_is_written_as_any_other() -> None:
    document = Outer("x", Inner(None), MappingProxyType({"a": Inner(0.5)}))
    assert from_json(to_json(document), Outer) == Outer("x", Inner(None), {"a": Inner(0.5)})
