# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi run`: a kernel of anybody's, judged by how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import kernels
from ci.util import ROOT

NAME = next(iter(backends()))


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "vmi", "run", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_kernel_that_passes() -> None:
    done = run(NAME, kernels("hello")[NAME])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Hello from ring 0, linked with the library for {NAME}\n"


def test_kernel_that_fails_says_why() -> None:
    done = run(NAME, kernels("sample")[NAME], "--append", "checks=boot test=fail")
    assert done.returncode == 1
    assert "not ok" in done.stdout
    assert "test.fail" in done.stderr
    assert "exit status 0x11" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(("nowhere", "k.elf"), "no configuration nowhere"), ((NAME, "k.elf"), "no kernel k.elf")],
)
def test_misuse(words: tuple[str, str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"vmi: {said}")
