# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The README does what it says: its kernel, its commands and its error message are tried as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_kernel_is_the_one_that_is_built() -> None:
    (kernel,) = blocks("c")
    assert kernel == (ROOT / "examples/hello/hello.c").read_text()


@pytest.mark.parametrize("commands", blocks("sh"), ids=["i386", "x86_64"])
def test_kernel_runs_by_the_commands_given(tmp_path: Path, commands: str) -> None:
    for name in ("build", "build-x86_64", "examples", "runtime"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (said,) = re.findall(r'\("(Hello from .*?)"\):', README)
    assert said in done.stdout


def test_mistake_is_reported_as_shown(tmp_path: Path) -> None:
    """Two calls are given one ordinal in a copy of the specification."""
    (shown,) = blocks("text")
    spec = (ROOT / "spec/vmi.yaml").read_text()
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec/vmi.yaml").write_text(spec.replace("ordinal: 17\n", "ordinal: 16\n"))
    done = subprocess.run(
        [sys.executable, "-m", "vmigen", "check", "--spec", "spec/vmi.yaml"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "codegen")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == shown.strip()


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
