# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Two processes on x86-64 hardware, by the calls that are to enter the specification."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci.util import tied
from tests.process_model import PASSED, build

PASS = 0x10 << 1 | 1
"""QEMU's exit status for what the kernel writes to isa-debug-exit."""


def test_two_processes() -> None:
    kernel = build("native", Path(__file__).with_name("process_model"))
    command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "64", "-nodefaults", "-no-user-config",
               "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel),
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, preexec_fn=tied()
    )
    assert PASSED in done.stdout, done.stdout + done.stderr
    assert done.returncode == PASS
    assert done.stdout.count("process 0") == done.stdout.count("process 1") == 3
