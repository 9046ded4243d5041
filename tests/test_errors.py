from __future__ import annotations

import inspect
import re

import pytest

from vidcam import errors
from vidcam.errors import InputError, NameNotFoundError, RunError, VidcamError, name_not_found

CLASSES = {
    name: member
    for name, member in vars(errors).items()
    if inspect.isclass(member) and issubclass(member, VidcamError) and member.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, str]:
    """Read class → parent from the tree in the module's docstring."""
    parents: list[tuple[int, str]] = []
    tree = {}
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = re.match(r"^([ │├└─]*)([A-Z]\w*Error)\b", line)
        if match is None:
            continue
        depth = len(match[1])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        tree[match[2]] = parents[-1][1] if parents else "Exception"
        parents.append((depth, match[2]))
    return tree


def test_docstring_shows_the_real_tree() -> None:
    assert drawn_tree() == {name: member.__bases__[0].__name__ for name, member in CLASSES.items()}


def test_each_branch_has_its_own_exit_code() -> None:
    leaves = set(CLASSES) - {"VidcamError", "InputError", "RunError"}
    assert {issubclass(CLASSES[name], InputError) ^ issubclass(CLASSES[name], RunError) for name in leaves} == {True}


def test_unusable_input_is_a_value_error_and_a_failed_run_is_not() -> None:
    assert issubclass(InputError, ValueError)
    assert not issubclass(RunError, ValueError)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_has_a_docstring(name: str) -> None:
    assert (CLASSES[name].__doc__ or "").endswith(".")


KNOWN = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")


def test_unknown_name_names_the_nearest_first() -> None:
    text = str(name_not_found("method", "hirecam", KNOWN, "run `vidcam methods`"))
    assert text.startswith("method 'hirecam' not found; the nearest are 'hirescam', ")
    assert text.endswith("; run `vidcam methods`")


def test_suggests_at_most_three() -> None:
    text = str(name_not_found("method", "gradcam", [f"gradcam{i}" for i in range(9)], "h"))
    assert len(re.findall(r"'gradcam\d'", text)) == 3


def test_case_is_ignored_and_the_real_spelling_suggested() -> None:
    assert "the nearest are 'Mixed_5c'" in str(name_not_found("layer", "MIXED_5C", ["Mixed_5c", "Conv3d_1a"], "h"))


def test_part_of_a_long_name_is_suggested() -> None:
    known = ["playing didgeridoo in the street at night", "abseiling"]
    assert "the nearest are 'playing didgeridoo in the street at night'" in str(
        name_not_found("label", "DIDGE", known, "h")
    )


def test_hint_only_if_no_name_is_near() -> None:
    text = str(name_not_found("model", "zzzz", KNOWN, "run `vidcam models`"))
    assert text == "model 'zzzz' not found; run `vidcam models`"


def test_takes_any_iterable_once() -> None:
    assert "'layercam'" in str(name_not_found("method", "layercm", (name for name in KNOWN), "h"))


@pytest.mark.parametrize("name", ["", "'quoted'", "newline\n", "ß"])
def test_odd_names_are_shown_escaped(name: str) -> None:
    error = name_not_found("label", name, KNOWN, "h")
    assert isinstance(error, NameNotFoundError)
    assert repr(name) in str(error)
    assert "\n" not in str(error)
