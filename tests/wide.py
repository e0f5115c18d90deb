# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The x86-64 build, beside the i386 one of ci.build."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from ci.backends import backends
from ci.build import run
from ci.util import BUILD, ROOT, locked, remembered, write_if_changed

WIDE = BUILD.with_name(f"{BUILD.name}-x86_64")
ARCHITECTURES = ("i386", "x86_64")


@functools.cache
def wide_build() -> Path:
    """The build directory for x86-64, up to date."""
    with locked(WIDE / "tests.lock"):
        known, now = WIDE / "configured.json", {"backends": backends([], "x86_64")}
        if not (WIDE / "build.ninja").is_file():
            cross = ROOT / "cross/x86_64-gcc.ini"
            run(["meson", "setup", "--cross-file", str(cross), str(WIDE), str(ROOT)], "meson setup")
        elif remembered(known) != now:
            run(["meson", "setup", "--reconfigure", str(WIDE), str(ROOT)], "meson setup")
        write_if_changed(known, json.dumps(now))
        run(["ninja", "-C", str(WIDE)], "the build for x86-64")
        return WIDE


def wide_kernels(name: str) -> dict[str, Path]:
    """Its kernels called `name`, by backend. Their names differ from those for i386: a rig has both in one
    folder."""
    found = {}
    for backend in backends([], "x86_64"):
        for path in wide_build().glob(f"*/{name}-{backend}.elf"):
            found[backend] = path.with_name(f"x86_64-{path.name}")
            write_if_changed(found[backend], path.read_bytes())
    return found


def includes(arch: str) -> Path:
    """Where the generated headers are, <vmi/vmi.h> for example."""
    return (BUILD if arch == "i386" else wide_build()) / "include"
