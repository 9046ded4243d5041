"""Help: every option has a clause, sections in the order of need, quick."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from vidcam.cli.app import commands, main

OPTIONS = [
    (name, option)
    for name, command in commands.commands.items()
    for option in command.params
    if isinstance(option, click.Option)
]


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[f"{name} {o.opts[-1]}" for name, o in OPTIONS])
def test_every_option_is_explained(command: str, option: click.Option) -> None:
    assert option.help
    assert option.help.endswith(".")


@pytest.mark.parametrize("command", commands.commands)
def test_every_command_is_one_line_of_the_list(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    short = commands.commands[command].short_help
    assert short
    assert main(["--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"{command:<8} {short}".strip() in lines


def test_sections_come_in_the_order_of_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Result:", "What is explained:", "Model:", "Drawing:", "Details:", "Other:"]
    first = next(line for line in lines[lines.index("Result:") + 1 :] if line.strip())
    assert first.split()[:2] == ["-o,", "--out"]
    assert max(map(len, lines)) <= 110


def test_help_is_quick() -> None:
    """Counted in the processor's time, as others may use the machine too."""
    best = 10.0
    for _ in range(3):
        began = os.times()
        subprocess.run([sys.executable, "-m", "vidcam", "--help"], check=True, capture_output=True)
        ended = os.times()
        best = min(best, ended.children_user + ended.children_system - began.children_user - began.children_system)
    assert best < 0.5


def test_an_unwritable_standard_output_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    from vidcam.cli.exit_codes import FAILED, error_sentence, exit_code

    error = OSError(28, "No space left on device")
    assert error_sentence(error) == "I/O error: No space left on device"
    assert exit_code(error) == FAILED
