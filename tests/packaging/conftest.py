# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The SDK as others get it: installed, moved, and found where it is then."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ci.build import tree
from ci.util import ARCHITECTURES, ROOT


@pytest.fixture(scope="session")
def compiled() -> None:
    """What Python and Jinja2 keep beside the sources is there, as where the generator has been run."""
    small = ROOT / "tests/codegen/small"
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [
                sys.executable, "-m", "vmigen", "generate", "--spec", small / "vmi.yaml",
                "--backends", small / "backends/bare", "--out", out,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "codegen"), "PYTHONDONTWRITEBYTECODE": ""},
            check=True, capture_output=True,
        )  # fmt: skip
    assert list((ROOT / "codegen").rglob("__pycache__/*.cache"))


@pytest.fixture(scope="session")
def installed(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of an installed tree of all architectures that was moved after it was installed."""
    folder = tmp_path_factory.mktemp("installed")
    for arch in ARCHITECTURES:
        command = ["meson", "install", "-C", tree(arch), "--no-rebuild", "--quiet"]
        subprocess.run([*command, "--destdir", folder / "first"], check=True, capture_output=True)
    (prefix,) = (path.parent.parent for path in (folder / "first").rglob("bin/vmigen"))
    return prefix.rename(folder / "elsewhere")
