"""What strangers name their files and classes does nothing to a terminal or a table."""

from __future__ import annotations

import sys

import pytest

from vidcam.cli.console import print_rows, print_text

NAME = "a\x07\u202e[/][red]:smile:"


def test_a_terminal_is_shown_no_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_text(f"{NAME}\nb")
    assert capsys.readouterr().out == f"{NAME}\nb\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_text(f"{NAME}\nb")
    assert capsys.readouterr().out == "a\\x07\\u202e[/][red]:smile:\nb\n"


def test_a_table_shows_names_as_they_are_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"class": NAME}], as_json=False)
    assert capsys.readouterr().out.splitlines()[1].strip() == "a\\x07\\u202e[/][red]:smile:"
