# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Loaders of the tests: what stands between QEMU's and a kernel. Each is one file that carries the kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = [
    *("-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-nostdlib", "-static", "-mgeneral-regs-only"),
    *("-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"),
    *("-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror", "-Wl,--build-id=none", "-Wl,-z,noexecstack"),
]
LOADERS = {
    "limine": ["-m64", "-mno-red-zone", "-Wl,--no-warn-rwx-segments"],
    "above": ["-m32", "-march=i686"],
}


def carry(name: str, kernel: Path, folder: Path) -> Path:
    """The loader NAME with a kernel in it, as QEMU's -kernel takes it."""
    built = folder / f"{name}-{kernel.name}"
    files = [HERE / f"{name}.S", HERE / f"{name}.c"]
    command = ["gcc", *LOADERS[name], *OPTIONS, f'-DKERNEL="{kernel}"', f"-Wl,-T,{HERE}/{name}.ld"]
    subprocess.run([*command, "-o", built, *files], check=True)
    return built
