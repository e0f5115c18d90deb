# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The SDK as others get it: installed, moved, and found where it is then."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.util import BUILD


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of an installed tree that was moved after it was installed."""
    folder = tmp_path_factory.mktemp("installed")
    command = ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", folder / "first"]
    subprocess.run(command, check=True, capture_output=True)
    (prefix,) = (path.parent.parent for path in (folder / "first").rglob("bin/vmigen"))
    return prefix.rename(folder / "elsewhere")
