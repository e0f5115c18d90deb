# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Loaders of the tests: what stands between QEMU's and a kernel. Each is one file that carries the kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci.kernel import architecture
from ci.util import ARCHITECTURES

HERE = Path(__file__).parent
OPTIONS = [
    *("-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-nostdlib", "-static", "-mgeneral-regs-only"),
    *("-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"),
    *("-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror", "-Wl,--build-id=none", "-Wl,-z,noexecstack"),
]
BY_MULTIBOOT = ["-m32", "-march=i686"]
LOADERS = {
    "limine": ("limine", ["-m64", "-mno-red-zone", "-Wl,--no-warn-rwx-segments"]),
    "above": ("multiboot", BY_MULTIBOOT),
    "pending": ("multiboot", BY_MULTIBOOT),
}
"""NAME.c, with the assembly and the linker script that it is built with, and the compiler's options."""


def carry(name: str, kernel: Path, folder: Path) -> Path:
    """The loader NAME with a kernel in it, as QEMU's -kernel takes it."""
    built = folder / f"{name}-{kernel.name}"
    entry, options = LOADERS[name]
    files = [HERE / f"{entry}.S", HERE / f"{name}.c"]
    if architecture(kernel) == ARCHITECTURES[1]:
        options = [*options, "-DWIDE"]
    command = ["gcc", *options, *OPTIONS, f'-DKERNEL="{kernel}"', f"-Wl,-T,{HERE}/{entry}.ld"]
    subprocess.run([*command, "-o", built, *files], check=True)
    return built
