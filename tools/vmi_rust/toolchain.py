# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Which Rust compiler is used: one that the sources of its own core are there for.

Core's sources are for the compiler of their version only. Debian has them in the package rust-src, rustup in
the component rust-src; a machine may have several compilers and the sources of one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OLDEST = (1, 59)
"""The first with `asm!` (release notes of Rust 1.59)."""

HOW = "on Debian: apt install rustc rust-src; with rustup: rustup component add rust-src"


class RustError(Exception):
    """Something a person can mend, in one line."""

    status = 1


class Misuse(RustError):
    """A command line that is wrong."""

    status = 2


@dataclass(frozen=True)
class Toolchain:
    """A compiler with the sources of its core."""

    rustc: str
    release: str
    version: str
    library: Path

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version."""
        return number(self.release)

    @property
    def cargo(self) -> str:
        """The cargo beside the compiler, else the one in PATH."""
        beside = Path(self.rustc).with_name("cargo")
        found = str(beside) if beside.is_file() else shutil.which("cargo")
        if not found:
            raise RustError("cargo is not here; on Debian: apt install cargo")
        return found


def environment() -> dict[str, str]:
    """For every compiler that is run: core is made of unstable features, which a stable compiler takes with
    this alone (The rustc book, RUSTC_BOOTSTRAP)."""
    return {**os.environ, "RUSTC_BOOTSTRAP": "1"}


def number(release: str) -> tuple[int, int]:
    """Major and minor of a release such as 1.63.0 or 1.96.0-nightly."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def ask(rustc: str, *arguments: str) -> str:
    """What a compiler answers; empty if it cannot be run."""
    try:
        done = subprocess.run(
            [rustc, *arguments], capture_output=True, text=True, env=environment(), timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def candidates() -> list[str]:
    """Compilers of this machine, in the order of PATH; Debian's last where PATH lacks it."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    paths = [os.path.join(folder, "rustc") for folder in folders if folder]
    return [path for path in dict.fromkeys(paths) if os.access(path, os.X_OK) and os.path.isfile(path)]


def sources(rustc: str, release: str) -> Path | None:
    """The folder `library` of this compiler's own sources."""
    sysroot = ask(rustc, "--print", "sysroot").strip()
    places = [Path(f"/usr/src/rustc-{release}/library")]
    if sysroot:
        places.insert(0, Path(sysroot) / "lib/rustlib/src/rust/library")
    return next((place for place in places if (place / "core/src/lib.rs").is_file()), None)


def look_at(rustc: str) -> Toolchain | str:
    """A compiler with its sources, or why it is none."""
    version = ask(rustc, "-vV")
    found = re.search(r"^release: (\S+)$", version, re.MULTILINE)
    if not found:
        return f"{rustc} does not run"
    release = found[1]
    if number(release) < OLDEST:
        return f"{rustc} {release} is older than {OLDEST[0]}.{OLDEST[1]}, the first with asm!"
    library = sources(rustc, release)
    if library is None:
        return f"{rustc} {release} has no sources of core"
    return Toolchain(rustc, release, version, library)


def choose(paths: Iterable[str]) -> tuple[Toolchain, list[str]]:
    """The first of these that can be used, and why those before it cannot."""
    passed: list[str] = []
    for path in paths:
        found = look_at(path)
        if isinstance(found, Toolchain):
            return found, passed
        passed.append(found)
    raise RustError(
        f"no Rust compiler with the sources of its core ({'; '.join(passed) or 'no rustc'}); {HOW}"
    )
