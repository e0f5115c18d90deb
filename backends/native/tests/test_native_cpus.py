# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Machines of many CPUs, by a small kernel (native_cpus.c) that starts, interrupts and ends each of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci import machines
from ci.build import build, tree
from ci.util import tied

PROJECT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("native_cpus.c")
COMMON = ["-O2", "-std=gnu11", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-mgeneral-regs-only",
          "-fcf-protection=none", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror"]  # fmt: skip
FLAGS = {
    "i386": ["-m32", "-march=i686"],
    "x86_64": ["-m64", "-march=x86-64", "-mcmodel=kernel", "-mno-red-zone"],
}
SCRIPT = {"i386": "runtime/arch/i386/kernel.ld", "x86_64": "runtime/arch/x86_64/kernel.ld"}
PASS = 0x10 << 1 | 1
STEPS = ["started", "interrupted", "flushed", "nmis", "ended"]


def boot(arch: str, cpus: int, folder: Path, *machine: str) -> tuple[int, list[str]]:
    """QEMU's exit status, and the lines of the console."""
    build(arch=arch)
    kernel = folder / "cpus.elf"
    library = tree(arch) / "backends/libvmi-native.a"
    subprocess.run(
        ["gcc", *FLAGS[arch], *COMMON, f"-I{tree(arch) / 'include'}", "-nostdlib", "-static",
         f"-Wl,-T,{PROJECT / SCRIPT[arch]}", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
         str(SOURCE), str(library), "-o", str(kernel)], check=True,
    )  # fmt: skip
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-m", "128", "-smp", str(cpus), "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
         "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-append", "vmi.debug_exit=0xf4",
         "-kernel", str(kernel), *machine],
        capture_output=True, text=True, timeout=550, check=False, preexec_fn=tied(),
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).replace("\r", "").split("\n")


@pytest.mark.parametrize(("arch", "cpus"), [("i386", 64), ("x86_64", 255)])
def test_all_cpus(arch: str, cpus: int, tmp_path: Path) -> None:
    """As many as an APIC of the first kind has names for, on two nodes of memory."""
    half = cpus // 2
    nodes = []
    for node, named in enumerate((f"0-{half - 1}", f"{half}-{cpus - 1}")):
        nodes += ["-object", f"memory-backend-ram,id=node{node},size=64M"]
        nodes += ["-numa", f"node,nodeid={node},memdev=node{node},cpus={named}"]
    status, said = boot(arch, cpus, tmp_path, "-M", "q35", *nodes)
    steps = [line for line in said if line in STEPS]
    judgement = ("runs" if status == PASS else "fails", f"each CPU {', '.join(steps)}")
    machines.note(f"q35, {cpus} CPUs", "qemu64", "SeaBIOS", arch, judgement)
    assert status == PASS, said
    assert f"cpus={cpus}" in said
    # The first node's memory has the PC's hole below 1 MiB.
    assert f"numa ranges=3 cpus_of_node_1={cpus - half} root=1" in said
    assert steps == STEPS
