# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the tree is, and which tools build and run it: for results that others are to repeat."""

from __future__ import annotations

import platform
import subprocess

from .util import ROOT


def first_line(*command: str) -> str:
    """What a tool says of its version; empty if it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def tree() -> str:
    """The commit, with a mark if files differ from it; empty outside git."""
    return first_line("git", "describe", "--always", "--dirty", "--tags")


def tools() -> dict[str, str]:
    """Versions of what is installed here, by name."""
    found = {
        "compiler": first_line("gcc", "--version"),
        "other compiler": first_line("clang", "--version"),
        "linker": first_line("ld", "--version"),
        "Meson": first_line("meson", "--version"),
        "QEMU": first_line("qemu-system-i386", "--version"),
        "Linux": platform.release(),
    }
    return {name: version for name, version in found.items() if version}
