# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's screen on video memory that native_screen.c plays, and its keyboard on a controller
that native_keyboard.c plays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ci.build import tree
from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

HERE = Path(__file__).parent
CHECKS = [(arch, part, check) for arch in ARCHITECTURES for part in ("screen", "keyboard")
          for check in played.checks(HERE / f"native_{part}.c")]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for arch in ARCHITECTURES:
        font = tree(arch) / "backends/native/native-font.c"
        for part, more in (("screen", [font]), ("keyboard", [])):
            said = played.results(HERE / f"native_{part}.c", tmp_path_factory.mktemp(part), *more, arch=arch)
            found |= {(arch, part, check): line for check, line in said.items()}
    return found


@pytest.mark.parametrize(("arch", "part", "check"), CHECKS)
def test_screen(results: dict[tuple[str, str, str], str], arch: str, part: str, check: str) -> None:
    assert results[arch, part, check] == ""


@pytest.mark.parametrize(
    ("content", "said"), [(b"no font", "found none"), (None, "No such file")], ids=["other", "missing"]
)
def test_what_is_no_font(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Is one line that says what to name instead, and nothing is written."""
    image = tmp_path / "vgabios.bin"
    if content is not None:
        image.write_bytes(content)
    done = subprocess.run(
        [sys.executable, ROOT / "backends/native/font.py", image, tmp_path / "font.c"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr and "-Dfont=FILE" in done.stderr
    assert not (tmp_path / "font.c").exists()
