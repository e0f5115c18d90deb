# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A backend is its folder: without it the tree does not speak of it, builds and collects its tests.

Asked of the backends that nobody inherits from and that keep their tests in their folder.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci.backends import backends
from ci.lint import tracked
from ci.util import ROOT

ALONE = [
    name
    for name in backends()
    if name not in backends().values() and (ROOT / "backends" / name / "tests").is_dir()
]


@pytest.mark.parametrize("name", ALONE)
def test_nothing_else_names_it(name: str) -> None:
    title = re.search(r"^title: (.*)$", (ROOT / "backends" / name / "backend.yaml").read_text(), re.MULTILINE)
    assert title
    word = re.compile(rf"\b({re.escape(name)}|{re.escape(title[1])})\b", re.IGNORECASE)
    found = [
        f"{path}:{number}"
        for path in tracked()
        # Generated pages show what was there when they were made.
        if not path.startswith((f"backends/{name}/", "docs/"))
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if word.search(line)
    ]
    assert found == []


@pytest.mark.skipif(not ALONE, reason="no backend stands alone")
def test_the_rest_builds(tmp_path: Path) -> None:
    """Without all of them at once."""
    tree = tmp_path / "tree"
    for path in tracked():
        if path.split("/")[0] == "backends" and path.split("/")[1] in ALONE:
            continue
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tree / path, follow_symlinks=False)
    bin_folder = Path(sys.executable).parent
    for command in (
        [bin_folder / "meson", "setup", "--cross-file", "cross/i386-gcc.ini", "build"],
        [bin_folder / "ninja", "-C", "build"],
        [sys.executable, "-m", "pytest", "-q", "--collect-only"],
    ):
        done = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, timeout=300, check=False,
            env={"PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    built = {path.name for path in (tree / "build/backends").glob("*.a")}
    assert {f"libvmi-{name}.a" for name in backends() if name not in ALONE} <= built
    assert not {f"libvmi-{name}.a" for name in ALONE} & built
