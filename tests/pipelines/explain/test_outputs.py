"""Names, staging and the exchange of files; what is left behind when it fails."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vidcam.errors import OutputError
from vidcam.pipelines.explain.outputs import LONGEST_SLUG, choose_stem, slug, staging, stated_path, target_slugs


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("yoga", "yoga"),
        ("Arm Wrestling", "arm-wrestling"),
        ("catching or throwing frisbee", "catching-or-throwing-frisbee"),
        ("dark/thing", "dark-thing"),
        ("../../etc/passwd", "etc-passwd"),
        ("  -- A__b..C -- ", "a-b-c"),
        ("tap & 3D (2)", "tap-3d-2"),
        ("Straße", "strasse"),
        ("größe", "gr-sse"),
        ("太极", "class-7"),
        ("", "class-7"),
        ("---", "class-7"),
    ],
)
def test_slugs(label: str, expected: str) -> None:
    assert slug(label, 7) == expected


@pytest.mark.parametrize(
    ("targets", "contrast", "expected"),
    [
        ([("yoga", 1)], None, ["yoga"]),
        ([("tap & dance", 1), ("tap/dance", 0)], None, ["tap-dance-1", "tap-dance-0"]),
        ([("golf driving", 3)], ("golf putting", 5), ["golf-driving-vs-golf-putting"]),
        ([("yoga", 1), ("太极", 2)], ("class 2", 7), ["yoga-vs-class-2-7", "class-2-2-vs-class-2-7"]),
        ([("tap & dance", 1), ("yoga", 2)], ("tap/dance", 0), ["tap-dance-1-vs-tap-dance-0", "yoga-vs-tap-dance-0"]),
        (
            [("a" * 60 + "x", 1), ("a" * 60 + "y", 2)],
            ("b" * 60, 3),
            ["a" * 38 + f"-{index}-vs-" + "b" * 38 for index in (1, 2)],
        ),
    ],
)
def test_slugs_of_targets(
    targets: list[tuple[str, int]], contrast: tuple[str, int] | None, expected: list[str]
) -> None:
    assert target_slugs(targets, contrast) == expected
    assert max(map(len, expected)) <= LONGEST_SLUG + 4


def _document(folder: Path, stem: str, source: str, *files: str) -> None:
    (folder / f"{stem}.json").write_text(json.dumps({"source": {"path": source}, "files": [*files, f"{stem}.json"]}))


def test_a_free_stem_is_that_of_the_source(tmp_path: Path) -> None:
    assert choose_stem(tmp_path, Path("videos/one.two.mp4"), overwrite=False) == "one.two"
    assert choose_stem(tmp_path / "not yet", Path("a.mkv"), overwrite=True) == "a"


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_sources_of_a_stem_are_counted(overwrite: bool, tmp_path: Path) -> None:
    for stem, source in {"a": "x/a.mp4", "a-2": "y/a.mp4", "a-4": "z/a.mp4"}.items():
        _document(tmp_path, stem, source)
    assert choose_stem(tmp_path, tmp_path / "a.mp4", overwrite=overwrite) == "a-3"


def test_a_json_that_is_a_link_to_nowhere_is_another_source(tmp_path: Path) -> None:
    """Else its files would be found to be in the way once all is computed."""
    (tmp_path / "a.json").symlink_to("nowhere")
    assert choose_stem(tmp_path, tmp_path / "a.mp4", overwrite=False) == "a-2"


def test_the_same_source_is_replaced_only_when_asked_to(tmp_path: Path) -> None:
    _document(tmp_path, "a", "x/a.mp4")
    _document(tmp_path, "a-2", "y/a.mp4")
    source = tmp_path / "y" / ".." / "y" / "a.mp4"
    assert choose_stem(tmp_path, source, overwrite=True) == "a-2"
    with pytest.raises(
        OutputError,
        match=r"a-2\.json holds results of a\.mp4 already; pass --overwrite \(in Python overwrite=True\) to replace",
    ):
        choose_stem(tmp_path, source, overwrite=False)


def test_what_is_no_file_of_this_machine_goes_by_its_name(tmp_path: Path) -> None:
    _document(tmp_path, "a", "a.mp4")
    _document(tmp_path, "a-2", "memory://x/a.mp4")
    assert choose_stem(tmp_path, "memory://x/a.mp4", overwrite=True) == "a-2"
    assert choose_stem(tmp_path, "memory://y/a.mp4", overwrite=True) == "a-3"
    assert stated_path("memory://x/a.mp4", tmp_path) == "memory://x/a.mp4"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source": 1}', '{"source": {}}', "\x00"])
def test_a_json_of_somebody_elses_is_another_source(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    assert choose_stem(tmp_path, tmp_path / "a.mp4", overwrite=True) == "a-2"


# ---- staging


def _make(folder: Path, *names: str, overwrite: bool = False, text: str = "new", fails: bool = False) -> None:
    """Stage files; until they are moved, the folder shows none of them."""
    before = {path: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
    with staging(folder, "a", overwrite=overwrite) as stage:
        for name in names:
            if name.endswith(".json"):
                _document(stage, name.removesuffix(".json"), "../a.mp4", *[n for n in names if n != name])
            else:
                (stage / name).write_text(text)
        assert before == {path: path.read_bytes() for path in folder.iterdir() if path != stage.parent}
        assert stage.parent.name.startswith(".")
        if fails:
            raise KeyError("planted")


def _content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".json"}


def test_files_appear_when_all_are_there_and_the_json_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[str, bool]] = []
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        moved.append((self.name, target.parent == tmp_path / "x" / "out"))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    _make(tmp_path / "x" / "out", "a.json", "z.png", "b.mp4")
    assert moved == [("b.mp4", True), ("z.png", True), ("a.json", True)]
    assert sorted(path.name for path in (tmp_path / "x" / "out").iterdir()) == ["a.json", "b.mp4", "z.png"]


def test_what_is_not_made_again_is_deleted_with_overwrite(tmp_path: Path) -> None:
    _make(tmp_path, "a.json", "b.mp4", "c.mp4", text="old")
    (tmp_path / "mine.txt").write_text("mine")
    _make(tmp_path, "a.json", "c.mp4", "d.mp4", overwrite=True)
    assert _content(tmp_path) == {"c.mp4": "new", "d.mp4": "new", "mine.txt": "mine"}


def test_a_former_document_cannot_reach_outside_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _make(out, "a.json", "b.mp4")
    (tmp_path / "precious.txt").write_text("mine")
    _document(out, "a", "../a.mp4", "../precious.txt", str(tmp_path / "precious.txt"), "b.mp4")
    _make(out, "a.json", overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "mine"
    assert [path.name for path in out.iterdir()] == ["a.json"]


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_text("mine")
    message = r"b\.mp4 is in the way and is not from vidcam; move it, or choose another folder with -o"
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=message):
            _make(tmp_path, "a.json", "b.mp4", overwrite=overwrite)
        assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]
        assert _content(tmp_path) == {"b.mp4": "mine"}


def test_folders_that_were_made_are_removed_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="planted"):
        _make(tmp_path / "x" / "y" / "out", "b.mp4", fails=True)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_there_stay_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(KeyError, match="planted"):
        _make(tmp_path / "x" / "y" / "out", "b.mp4", fails=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]


def test_folders_with_files_of_others_stay_after_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "x" / "y" / "out"

    def interrupted() -> None:
        with staging(out, "a", overwrite=False) as stage:
            (stage / "b.mp4").write_text("new")
            (tmp_path / "x" / "theirs.txt").write_text("theirs")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["theirs.txt", "x"]


def test_a_failure_beside_an_existing_result_leaves_it_whole(tmp_path: Path) -> None:
    _make(tmp_path, "a.json", "b.mp4", text="old")
    with pytest.raises(KeyError, match="planted"):
        _make(tmp_path, "a.json", "b.mp4", overwrite=True, fails=True)
    assert _content(tmp_path) == {"b.mp4": "old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.mp4"]


@pytest.mark.parametrize("fails_at", range(6))
def test_a_move_that_fails_is_undone(fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three former files are put aside, three new ones moved in; whichever fails, all is as before."""
    _make(tmp_path, "a.json", "b.mp4", "c.mp4", text="old")
    document = (tmp_path / "a.json").read_text()
    real, count = Path.rename, iter(range(100))

    def rename(self: Path, target: Path) -> Path:
        if next(count) == fails_at:
            raise OSError(errno.EIO, "planted", str(self))
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(OutputError, match=r"cannot be written \(planted\); choose another folder"):
            _make(tmp_path, "a.json", "b.mp4", "d.mp4", overwrite=True)
    assert _content(tmp_path) == {"b.mp4": "old", "c.mp4": "old"}
    assert (tmp_path / "a.json").read_text() == document


def _refuse(code: int, name: str) -> Callable[..., None]:
    """A `Path.mkdir` that fails where the name of the folder begins so."""
    real = Path.mkdir

    def refuse(self: Path, *arguments: Any, **named: Any) -> None:
        if self.name.startswith(name):
            raise OSError(code, os.strerror(code), str(self))
        real(self, *arguments, **named)

    return refuse


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.EACCES, "Permission denied"), (errno.EROFS, "Read-only file system")]
)
@pytest.mark.parametrize("name", ["out", ".a.", "new", "old"])
def test_a_folder_that_cannot_be_written(
    name: str, code: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", _refuse(code, name))
        with pytest.raises(OutputError, match=rf"out cannot be written \({reason}\); choose another folder"):
            _make(tmp_path / "deep" / "out", "b.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_stem_that_another_run_writes_is_refused_at_once(tmp_path: Path) -> None:
    with staging(tmp_path, "a", overwrite=False):
        with pytest.raises(OutputError, match=r"another run is writing '.*a\.json'"):
            choose_stem(tmp_path, tmp_path / "a.mp4", overwrite=False)
        assert choose_stem(tmp_path, tmp_path / "b.mp4", overwrite=False) == "b"
