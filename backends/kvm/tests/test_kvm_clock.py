# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The KVM library's clock against a KVM that is played by kvm_clock.c."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ci.util import BUILD, ROOT

SOURCE = Path(__file__).with_name("kvm_clock.c")
CHECKS = re.findall(r"^    CHECK\((\w+)\),$", SOURCE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each check said."""
    program = tmp_path_factory.mktemp("clock") / "clock"
    command = ["gcc", "-m32", "-march=i686", "-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie",
               "-fno-stack-protector", "-mgeneral-regs-only", "-nostdlib", "-static", "-Wall", "-Wextra",
               "-Werror", f"-I{BUILD / 'include'}", f"-I{ROOT / 'backends'}", f"-I{ROOT / 'runtime'}",
               "-o", str(program), str(SOURCE)]  # fmt: skip
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}"
    lines = [re.fullmatch(r"(?:not )?ok (\w+)(?:: (.*))?", line) for line in done.stdout.splitlines()]
    return {line[1]: line[2] or "" for line in lines if line}


@pytest.mark.parametrize("check", CHECKS)
def test_clock(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
