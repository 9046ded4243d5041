from __future__ import annotations

import builtins
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidcam.errors import WeightsError
from vidcam.models.weights.untrusted import load_arrays

RECONSTRUCT: Callable[..., Any] = np.zeros(1).__reduce__()[0]  # type: ignore[assignment]


class Calls:
    """Pickles as a call of `function` with `arguments`, and optionally a state."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def pickled(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "some.ckpt"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i8", "u1", "?", "<f2"])
def test_round_trip(tmp_path: Path, dtype: str, protocol: int) -> None:
    content = {
        "a": {"b": np.arange(24).reshape(2, 3, 4).astype(dtype), "c": np.asfortranarray(np.eye(3, 5).astype(dtype))},
        "scalar": np.array(3).astype(dtype),
        "none": np.zeros((0, 4), dtype),
    }
    if protocol == 2:  # protocol 2 writes bytes as a call of _codecs.encode, which is not allowed
        with pytest.raises(WeightsError, match=r"contains code \(_codecs\.encode"):
            load_arrays(pickled(tmp_path, content, protocol))
        return
    arrays = load_arrays(pickled(tmp_path, content, protocol))
    assert list(arrays) == ["a/b", "a/c", "scalar", "none"]
    for name, expected in {"a/b": content["a"]["b"], "a/c": content["a"]["c"], "scalar": content["scalar"]}.items():  # type: ignore[index]
        assert arrays[name].dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(arrays[name], expected)
    assert arrays["none"].shape == (0, 4)


def test_reads_pickles_of_old_numpy(tmp_path: Path) -> None:
    path = pickled(tmp_path, {"a": np.arange(3.0)})
    new, old = b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray"
    path.write_bytes(path.read_bytes().replace(new, old))
    path.write_bytes(_without_frame_length(path.read_bytes()))
    np.testing.assert_array_equal(load_arrays(path)["a"], np.arange(3.0))


def _without_frame_length(data: bytes) -> bytes:
    """Remove the frame length, which is wrong after the replacement."""
    assert data[2:3] == b"\x95"
    return data[:2] + data[11:]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Calls(os.system, "touch owned"), r"(posix|nt)\.system"),
        (Calls(builtins.eval, "open('owned', 'w')"), r"builtins\.eval"),
        (Calls(getattr, "numpy", "load"), r"builtins\.getattr"),
        (Calls(np.load, "owned.npy"), r"numpy\.load"),
        (Calls(np.array, [1.0]), r"numpy\S*\.array"),
        (Calls(np.float32, 1.0), r"numpy\.float32"),
    ],
)
def test_refuses_every_other_global(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Calls, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=rf"the pickle contains code \(({name})\), .* do not use this file"):
        load_arrays(pickled(tmp_path, {"params": call}))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", r"numpy\.ndarray\.__init__"),
        (b"cnumpy\ndtype.__class__\n.", r"numpy\.dtype\.__class__"),
        (b"cnumpy.core.multiarray\nfromfile\n.", r"numpy\.core\.multiarray\.fromfile"),
        (b"cnumpy._core._core.multiarray\n_reconstruct\n.", r"numpy\._core\._core"),
    ],
)
def test_refuses_similar_names(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "some.ckpt"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=rf"the pickle contains code \({name}"):
        load_arrays(path)


def test_reconstruct_builds_only_ndarrays(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"contains code \(numpy\S*\.matrix"):
        load_arrays(pickled(tmp_path, {"a": Calls(RECONSTRUCT, np.matrix, (0,), b"b")}))


@pytest.mark.parametrize("dtype", ["O", "M8[s]", "S4", "U4", "c8", [("a", "<f4")]])
def test_refuses_arrays_that_are_not_numbers(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(WeightsError, match="array 'a' of the pickle is not of numbers"):
        load_arrays(pickled(tmp_path, {"a": np.zeros(3, dtype)}))


@pytest.mark.parametrize(
    "state",
    [
        (1, (1,), np.dtype("f4"), False, [1.0]),
        (1, (3,), np.dtype("f4"), False, b"short"),
        (1, (2**62, 4), np.dtype("f4"), False, b""),
        (1, (1,), "f4", False, b"1234"),
    ],
)
def test_refuses_an_inconsistent_state(tmp_path: Path, state: tuple[Any, ...]) -> None:
    with pytest.raises(WeightsError, match="cannot be read as a pickle of numpy arrays"):
        load_arrays(pickled(tmp_path, {"a": Calls(RECONSTRUCT, np.ndarray, (0,), b"b", state=state)}))


def test_refuses_persistent_ids(tmp_path: Path) -> None:
    class Persistent(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return "storage 7" if obj == "here" else None

    path = tmp_path / "some.ckpt"
    with path.open("wb") as stream:
        Persistent(stream, protocol=4).dump({"a": "here"})
    with pytest.raises(WeightsError, match="cannot be read as a pickle of numpy arrays"):
        load_arrays(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([np.zeros(1)], "has a list at 'its root'"),
        ({"a": {"b": 1.0}}, "has a float at 'a/b'"),
    ],
)
def test_refuses_anything_but_a_dict_of_arrays(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_arrays(pickled(tmp_path, content))


def test_refuses_a_dict_that_contains_itself(tmp_path: Path) -> None:
    recursive: dict[str, object] = {}
    recursive["a"] = recursive
    with pytest.raises(WeightsError, match="cannot be read as a pickle of numpy arrays"):
        load_arrays(pickled(tmp_path, recursive))


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f"])
def test_a_damaged_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "some.ckpt"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"some\.ckpt cannot be read as a pickle of numpy arrays \(.*\); download"):
        load_arrays(path)
