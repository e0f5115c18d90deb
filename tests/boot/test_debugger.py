# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""gdb on QEMU's stub: what it shows of a kernel that is stopped inside the library, and what tables say at
a moment that no kernel sees."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.build import tree
from ci.setup import provide
from ci.util import ARCHITECTURES, ROOT, tied

MACHINE = {"i386": ("-m32", "-march=i686"), "x86_64": ("-m64", "-mno-red-zone", "-mcmodel=kernel")}

KERNEL = """
#include <vmi/vmi.h>

/* Each has something on its stack, as callers have. */
static void __attribute__((noinline)) inner(volatile uint32_t *sink)
{
    uint32_t a, b, c, d;

    vmi_cpuid(0, 0, &a, &b, &c, &d);
    vmi_disable_interrupts();
    *sink += (uint32_t)vmi_get_cr0();
    *sink += (uint32_t)vmi_get_interrupt_mask();
    vmi_console_write(".", 1);
    vmi_flush_tlb(VMI_FLUSH_TLB);
    *sink += a + b + c + d;
}

static void __attribute__((noinline)) outer(void)
{
    volatile uint32_t sink = 1;

    inner(&sink);
    sink++;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    outer();
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
"""

OWN = ("inner", "outer", "kernel_main")
CALLS = ("cpuid", "disable_interrupts", "get_cr0", "get_interrupt_mask", "console_write", "flush_tlb")


def compiled(arch: str, folder: Path, text: str = KERNEL, library: str = "native") -> Path:
    """A kernel with debug information, linked with plain hardware's library or a flavour of it."""
    source, kernel = folder / "kernel.c", folder / "kernel.elf"
    source.write_text(text)
    subprocess.run(
        ["gcc", *MACHINE[arch], "-g", "-O1", "-fno-asynchronous-unwind-tables", "-ffreestanding", "-fno-pic",
         "-fno-stack-protector", "-mgeneral-regs-only", "-nostdlib", "-static", f"-I{tree(arch)}/include",
         f"-Wl,-T,{ROOT}/runtime/arch/{arch}/kernel.ld", "-Wl,--build-id=none", "-o", kernel, source,
         tree(arch) / f"backends/libvmi-{library}.a"],
        check=True,
    )  # fmt: skip
    return kernel


def debugged(arch: str, kernel: Path, commands: str, folder: Path) -> str:
    """What gdb prints, with the kernel held at the machine's first instruction when it begins."""
    if not shutil.which("gdb"):
        provide({"gdb": "gdb"})
    script, stub = folder / "commands.gdb", folder / "stub"
    script.write_text(f"set pagination off\nset confirm off\ntarget remote {stub}\n{commands}\nkill\nquit\n")
    machine = subprocess.Popen(
        [f"qemu-system-{arch}", "-machine", "pc", "-m", "64", "-nodefaults", "-display", "none", "-no-reboot",
         "-chardev", f"socket,id=stub,path={stub},server=on,wait=off", "-gdb", "chardev:stub", "-S",
         "-kernel", kernel],
        preexec_fn=tied(),
    )  # fmt: skip
    try:
        while not stub.exists():
            assert machine.poll() is None
        done = subprocess.run(
            ["gdb", "-nx", "-batch", "-x", script, kernel],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr
    finally:
        machine.kill()
        machine.wait()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_gdb_shows_who_called_the_library(tmp_path: Path, arch: str) -> None:
    """At an entry point's first instruction, and at the one behind it."""
    places = "\n".join(
        f"hbreak *vmi_{call}\ncontinue\nbacktrace\nstepi\nbacktrace\ndelete\n" for call in CALLS
    )
    said = debugged(
        arch, compiled(arch, tmp_path), f"hbreak kernel_main\ncontinue\ndelete\n{places}", tmp_path
    )
    traces = [trace for trace in said.split("#0 ")[1:] if "kernel_main" in trace][-2 * len(CALLS) :]
    assert len(traces) == 2 * len(CALLS), said
    for number, trace in enumerate(traces):
        frames = re.findall(r"(\w+) \(", trace)
        assert number % 2 or frames[0] == f"vmi_{CALLS[number // 2]}", trace
        assert [name for name in frames if name in OWN] == list(OWN), trace


def test_code_can_be_executed_by_tables_as_they_are_made(tmp_path: Path) -> None:
    """The image runs by the first directories until it has its own: only then may they forbid it, for the
    processor may look them up again at any time."""
    kernel = compiled("x86_64", tmp_path)
    commands = """
hbreak vmi__tables_begin
continue
delete
set $directories = (unsigned long *)&vmi__boot_directories
watch *((int *)$directories + 1)
continue
printf "nx %d\\n", *$directories >> 63
set $entry = ((unsigned long *)&vmi__boot_pointers_image)[510]
printf "own %d\\n", ($entry & 0xffffffff000) != (unsigned long)$directories - 0xffffffff80000000
"""
    said = debugged("x86_64", kernel, commands, tmp_path)
    assert "\nnx 1\n" in said and "\nown 1\n" in said, said
