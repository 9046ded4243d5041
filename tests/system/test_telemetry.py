"""Usage reports are switched off where the user has not decided."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vidcam.system.telemetry import SWITCHES, disable_usage_reports


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"DO_NOT_TRACK": "0", "OTHER": "x"}
    monkeypatch.setattr(os, "environ", environment)
    disable_usage_reports()
    assert environment == {**SWITCHES, "DO_NOT_TRACK": "0", "OTHER": "x"}


@pytest.mark.slow
def test_the_command_line_sets_them_before_it_is_imported() -> None:
    program = (
        "import os, sys, types\n"
        "import vidcam.__main__ as entry\n"
        "loaded = 'torch' in sys.modules\n"
        "app = sys.modules['vidcam.cli.app'] = types.ModuleType('app')\n"
        "app.program = lambda: print(os.environ['HF_HUB_DISABLE_TELEMETRY'], loaded)\n"
        "entry.program()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"
