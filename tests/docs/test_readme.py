# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The README does what it says: its kernel, its commands and its error message are tried as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from porting_walk import walk

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
    """Two calls are given one ordinal in a copy of the specification. On which lines they are, what changes
    above them says."""
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
    told, wanted = (re.sub(r"(vmi\.yaml:|line )\d+", r"\1N", text.strip()) for text in (done.stderr, shown))
    assert told == wanted


def test_commands_say_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "vmi").symlink_to(ROOT / "vmi")
    assert "```console" in README
    assert walk(README, tmp_path) == README


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy of the tree, no clone")
def test_diff_that_is_given_as_an_example_works() -> None:
    """Its revisions are there in every clone."""
    (words,) = re.findall(r"trees or files: \./vmi (diff .*)", README)
    command = [ROOT / "vmi", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.splitlines()[-1].startswith("vmi diff: ")


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
