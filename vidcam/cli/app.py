"""The command line: parse, call a pipeline, exit code.

Standard output is the result: the paths written, a table, or one JSON document with `--json`. All else, progress
included, goes to standard error. Exit code 0: done; 1: failed at run time, or some videos failed; 2: unusable input or
arguments; 130: interrupted. Pipelines, and with them torch, are imported inside the commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from vidcam import __version__
from vidcam.cli.console import say
from vidcam.cli.doctor import doctor
from vidcam.cli.exit_codes import DONE, FAILED, error_sentence, exit_code, starvation
from vidcam.cli.explain import demo, explain
from vidcam.cli.help import OrderedGroup
from vidcam.cli.lists import labels, layers, models
from vidcam.cli.render import render
from vidcam.cli.report import report
from vidcam.cli.score import score
from vidcam.cli.study import study
from vidcam.errors import VidcamError
from vidcam.system.signals import INTERRUPTED, INTERRUPTED_MESSAGE, InterruptHandler, interruptible


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    with interruptible() as interruption:
        return _run(arguments, interruption)


def program() -> NoReturn:
    """Run the command line as a process of its own; interrupted, it ends at once, whatever signals still come."""
    with interruptible() as interruption:
        code = _run(None, interruption)
        if code == INTERRUPTED:  # the interpreter waits for threads when it ends, and there a signal is a traceback
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None, interruption: InterruptHandler) -> int:
    if "" not in sys.path:  # a model of one's own lies in the current folder, as with python -m
        sys.path.insert(0, "")
    try:
        typed = list(sys.argv[1:] if arguments is None else arguments)
        code = commands.main(args=typed, prog_name="vidcam", standalone_mode=False, obj=tuple(typed))
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(INTERRUPTED_MESSAGE)
        return INTERRUPTED
    except (click.ClickException, VidcamError, OSError) as exc:
        if isinstance(exc, click.exceptions.NoArgsIsHelpError):
            exc.show()
        else:
            say(f"error: {error_sentence(exc)}")
        return exit_code(exc)
    except Exception as exc:
        if not interruption.is_interrupted:
            if (sentence := starvation(exc)) is None:
                raise
            say(f"error: {sentence}")
            return FAILED
        say(INTERRUPTED_MESSAGE)  # what an interruption in the middle of an import, or of foreign code, has become
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="vidcam")
def commands() -> None:
    """Where and when a video model looked, and whether the answer can be trusted.

    \b
    vidcam demo                        try it on a sample clip
    vidcam explain video.mp4 -o out    explain a video of your own
    vidcam COMMAND --help              see all options
    """  # noqa: D301 – click reads the \b as 'do not wrap'


for _command in (explain, render, report, score, study, models, layers, labels, demo, doctor):
    commands.add_command(_command)
