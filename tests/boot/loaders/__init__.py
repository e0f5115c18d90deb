# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Loaders of the tests: what stands between QEMU's and a kernel. Each is one file that carries the kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
WARNINGS = ["-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror"]


def carry(name: str, kernel: Path, folder: Path, *more: str) -> Path:
    """The loader NAME with a kernel in it, as QEMU's -kernel takes it."""
    built = folder / f"{name}-{kernel.name}"
    subprocess.run(
        ["gcc", "-m64" if name == "limine" else "-m32", "-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-nostdlib", "-static",
         "-mno-red-zone" if name == "limine" else "-march=i686", "-mgeneral-regs-only", "-fno-stack-protector", "-fcf-protection=none",
         "-fno-asynchronous-unwind-tables", *WARNINGS, *more, f'-DKERNEL="{kernel}"', "-Wl,--build-id=none",
         "-Wl,-z,noexecstack", "-Wl,-T," + str(HERE / f"{name}.ld"), "-o", built,
         HERE / f"{name}.S", HERE / f"{name}.c"],
        check=True,
    )  # fmt: skip
    return built
