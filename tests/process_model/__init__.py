# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The process model of x86-64, tried before its calls are in the specification: one kernel, whose objects
are the same in every link, over the calls of a folder of a backend's tests (calls.h says what the model is).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci.util import BUILD, locked

HERE = Path(__file__).parent
SHARED = ("kernel.c", "entry.S")
PASSED = "process model: passed"
FLAGS = [
    "-m64", "-march=x86-64", "-mcmodel=kernel", "-mno-red-zone", "-mgeneral-regs-only", "-std=gnu11", "-O2",
    "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
    "-fcf-protection=none", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror", f"-I{HERE}",
]  # fmt: skip
LINK = [
    "-m64", "-nostdlib", "-static", f"-Wl,-T,{HERE / 'kernel.ld'}", "-Wl,--build-id=none",
    "-Wl,--no-warn-rwx-segments", "-Wl,-z,max-page-size=4096", "-Wl,-z,noexecstack",
]  # fmt: skip


def build(name: str, folder: Path) -> Path:
    """The kernel over the calls in a folder: process-model-NAME.elf, where rigs look for kernels."""
    out = BUILD / "tests"
    out.mkdir(parents=True, exist_ok=True)
    kernel = out / f"process-model-{name}.elf"
    with locked(out / "process-model.lock"):
        objects = []
        for source in [*(HERE / each for each in SHARED), folder / "calls.c", folder / "entry.S"]:
            kind = "kernel" if source.parent == HERE else name
            made = out / f"process-model-{kind}-{source.stem}.o"
            subprocess.run(["gcc", *FLAGS, "-c", source, "-o", made], check=True)
            objects.append(made)
        subprocess.run(["gcc", *LINK, "-o", kernel, *objects], check=True)
    return kernel
