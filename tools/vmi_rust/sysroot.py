# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Core, alloc and the crate vmi for a kernel's target, compiled once for a compiler and kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .target import TARGETS, render
from .toolchain import RustError, Toolchain, environment

BUILTINS = Path(__file__).with_name("builtins.rs")
OFFSET_FROM = (1, 65)
"""Before it, constants cannot subtract pointers without a feature gate (release notes of Rust 1.65)."""


@dataclass(frozen=True)
class Sysroot:
    """Where it is, and the target file in it."""

    folder: Path
    target: Path

    def options(self) -> list[str]:
        """For the compiler: compile for the kernel's target, with this core."""
        return ["-Zunstable-options", f"--sysroot={self.folder}", f"--target={self.target}", "-Cpanic=abort"]


def cache() -> Path:
    """Where the SDK keeps what it has made; `VMI_CACHE` overrides it."""
    named = os.environ.get("VMI_CACHE")
    if named:
        return Path(named).expanduser().absolute() / "rust"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vmi-sdk/rust"


def configuration(toolchain: Toolchain) -> list[str]:
    """What the crate vmi is told of the compiler."""
    return ["--cfg=vmi_const_offset_from"] if toolchain.number < OFFSET_FROM else []


def _edition(manifest: Path, text: str) -> str:
    found = re.search(r'^edition = "(\d+)"$', text, re.MULTILINE)
    if not found:
        raise RustError(f"{manifest} names no edition: the sources of core are damaged")
    return found[1]


def _compile(toolchain: Toolchain, sysroot: Sysroot, name: str, source: Path, *options: str) -> None:
    out = sysroot.folder / "lib/rustlib" / sysroot.target.stem / "lib"
    command = [
        toolchain.rustc, *sysroot.options(), "--crate-type=rlib", f"--crate-name={name}", "-Copt-level=3",
        "-Ccodegen-units=1", "-Cembed-bitcode=yes", "-Cdebuginfo=0", "--cap-lints=allow", f"--out-dir={out}",
        # No path of this machine in what panics say.
        f"--remap-path-prefix={source.parent.parent}={name}", *options, str(source),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-20:])
        raise RustError(f"{toolchain.rustc} {toolchain.release} cannot compile {source}:\n{last}")


def _fill(toolchain: Toolchain, sysroot: Sysroot, crate: Path) -> None:
    (sysroot.folder / "lib/rustlib" / sysroot.target.stem / "lib").mkdir(parents=True)
    for name in ("core", "compiler_builtins", "alloc"):
        if name == "compiler_builtins":
            _compile(toolchain, sysroot, name, BUILTINS, "--edition=2021")
            continue
        manifest = toolchain.library / name / "Cargo.toml"
        edition = _edition(manifest, manifest.read_text())
        _compile(toolchain, sysroot, name, toolchain.library / name / "src/lib.rs", f"--edition={edition}")
    _compile(toolchain, sysroot, "vmi", crate, "--edition=2021", *configuration(toolchain))


def sysroot(
    toolchain: Toolchain, arch: str, crate: Path, folder: Path, tell: Callable[[str], object]
) -> Sysroot:
    """The libraries for this compiler and architecture, compiled if they are not there, which is told."""
    target = render(toolchain.rustc, arch)
    library = toolchain.library / "core/src/lib.rs"
    parts = [toolchain.version, str(toolchain.library), str(library.stat().st_mtime_ns), target]
    parts += [path.read_text() for path in (crate, BUILTINS, Path(__file__))]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    place = folder / f"{arch}-{toolchain.release}-{key}"
    found = Sysroot(place, place / f"{TARGETS[arch].name}.json")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.is_dir():
                tell(f"compiling core and alloc for {arch} kernels, once; kept in {place}")
                with tempfile.TemporaryDirectory(dir=folder, prefix=".new.") as temporary:
                    new = Sysroot(Path(temporary) / "new", Path(temporary) / "new" / found.target.name)
                    new.folder.mkdir()
                    new.target.write_text(target)
                    _fill(toolchain, new, crate)
                    new.folder.rename(place)
    except OSError as error:
        raise RustError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return found
