# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""One update of a page table, as `./vmi exits` tells it exit by exit."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci.exits import Exit
from ci.page_update import Code, Step, frames, steps

SOURCE = """
    .text
    .globl load
    .type load, @function
load:
    mov %rax, %cr3
    vmmcall
    ret
    .size load, . - load
"""


def test_steps(tmp_path: Path) -> None:
    """Each with its instruction or its hypercall; what is the host's own is none."""
    kernel = tmp_path / "kernel.elf"
    subprocess.run(
        ["gcc", "-nostdlib", "-static", "-Wl,-Ttext=0xffffffff80001000", "-Wl,-e,load", "-x", "assembler",
         "-o", kernel, "-"], input=SOURCE.encode(), check=True,
    )  # fmt: skip
    at = 0xFFFFFFFF80001000
    left = [
        Exit(0, "write_cr3", at), Exit(0, "interrupt", at), Exit(0, "hypercall", at + 3),
        Exit(0, "hypercall", number=1), Exit(0, "hypercall", number=99), Exit(0, "page fault", 0x400000),
    ]  # fmt: skip
    assert steps(left, Code(kernel), {1: "mmu_update"}) == [
        Step("write_cr3", "movq %rax, %cr3", "load"),
        Step("hypercall", "vmmcall", "load"),
        Step("hypercall", "mmu_update", ""),
        Step("hypercall", "hypercall 99", ""),
        Step("page fault", "", ""),
    ]


def test_frames() -> None:
    said = "# bench nothing\n# update page 7: frame 14, page 4: frame 15\n# update page 7: frame 1\n"
    assert frames(said) == [(7, 14), (4, 15)]
    assert frames("# bench\n") == []
