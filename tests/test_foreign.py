"""What is said about an error of a user's own code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from vidcam.foreign import describe, is_of_module, place_of

HERE = Path(__file__)
LIBRARY = 'return json.loads("{")'


class Failing(nn.Module):
    """Raises what it is given, in a call of its own."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__()
        self.error = error

    def forward(self, clip: object) -> object:
        if self.error is not None:
            raise self.error
        return json.loads("{")


def raised(error: BaseException | None) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 – of any kind
        Failing(error)(None)
    return caught.value


def line(text: str) -> int:
    return next(n for n, found in enumerate(HERE.read_text("utf-8").splitlines(), 1) if found.strip() == text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("logits"), "KeyError: 'logits'"),
        (TypeError("\n two axes\n more"), "TypeError: two axes"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (RuntimeError(), "RuntimeError"),
        (ValueError("x" * 999), f"ValueError: {'x' * 200}"),
    ],
)
def test_an_error_is_named_with_its_line(
    error: Exception, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE.parent)
    assert describe(raised(error)) == f"{text} (test_foreign.py:{line('raise self.error')})"
    monkeypatch.chdir(tmp_path)
    assert describe(raised(error)) == f"{text} ({HERE}:{line('raise self.error')})"


def test_the_line_is_the_users_where_a_library_raised() -> None:
    assert place_of(raised(None)).endswith(f"test_foreign.py:{line(LIBRARY)}")


def test_an_error_outside_a_network_is_told_apart() -> None:
    assert is_of_module(raised(KeyError()))
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2).view(3)
    assert not is_of_module(caught.value)


def test_an_error_that_was_never_raised_has_no_line() -> None:
    assert describe(KeyError("a")) == "KeyError: 'a'"
