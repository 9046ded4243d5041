"""Rules of the house that can be read from the source: short files, short functions, one class of a name."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("vidcam", "models", "pipelines")
MOST_LINES, MOST_BODY_LINES = 350, 40

FILES = [path for folder in (*LIBRARY, "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def long_functions(source: str) -> list[str]:
    """Names of the functions with a longer body than the house allows."""
    functions = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if body_lines(function) > MOST_BODY_LINES]


def test_files_and_functions_are_short() -> None:
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in FILES}
    assert len(sources) > 400
    assert [name for name, source in sources.items() if source.count("\n") > MOST_LINES] == []
    assert [f"{name}: {function}" for name, source in sources.items() for function in long_functions(source)] == []


def test_files_of_tests_are_short() -> None:
    assert len(TESTS) > 400
    assert [str(path) for path in TESTS if path.read_text("utf-8").count("\n") > MOST_LINES] == []


def test_a_long_function_is_found() -> None:
    body = "    x = 1\n" * (MOST_BODY_LINES + 1)
    assert long_functions(f'def short():\n    """{"line" * 9}"""\n    x = 1\n\ndef long():\n{body}') == ["long"]


def test_no_two_public_classes_have_one_name() -> None:
    counts = Counter(name for folder in LIBRARY for name in _public_classes(ROOT / folder))
    assert [name for name, count in counts.items() if count > 1] == []


def _public_classes(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name


def test_no_file_repeats_the_name_of_its_package() -> None:
    folders = [path for name in LIBRARY for path in (ROOT / name).rglob("*") if path.is_dir()]
    assert len(folders) > 20
    files = [file for folder in folders for file in folder.glob("*.py") if file.stem.startswith(f"{folder.name}_")]
    assert files == []
