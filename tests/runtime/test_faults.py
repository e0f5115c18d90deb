# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Kernels that fault before they have an IDT of their own: the library says where, and ends with the status
of a panic. Here on a plain machine; in all rigs: tests/boot/test_own_kernel.py."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, tied

from ..boot.test_own_kernel import compiled

PANIC, PASS = 0x12 << 1 | 1, 0x10 << 1 | 1
RESET = 0
"""QEMU's status where the machine resets and is not to (-no-reboot)."""

KERNEL = """
#include <stdint.h>
#include <vmi/vmi.h>
void own_fault(void);
void own_fault(void)
{
    vmi_console_write("the kernel's own\\r\\n", 18);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
/* In place of the library's functions, where the kernel is linked with --wrap. */
void __wrap_vmi_console_write(void);
void __wrap_vmi_console_write(void)
{
    *(volatile int *)0x5678 = 1;
}
void __wrap_vmi_shutdown_reason(void);
void __wrap_vmi_shutdown_reason(void)
{
    *(volatile int *)0x9abc = 1;
}
void kernel_main(const struct vmi_boot_info *boot)
{
    static uint32_t idt[32][sizeof(uintptr_t) / 2];
    const struct vmi_dtr dtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    (void)boot, (void)dtr;
    %s;
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
"""
OWN_IDT = """
    idt[14][0] = boot->kernel_cs << 16 | ((uintptr_t)own_fault & 0xffff);
    idt[14][1] = ((uintptr_t)own_fault & 0xffff0000) | 0x8e00;
#ifdef __x86_64__
    idt[14][2] = 0xffffffff;
#endif
    vmi_set_idt(&dtr);
    *(volatile int *)0x1238 = 1
"""
SAID = "vmi: the kernel faulted before it had an IDT: "
FAULTS = {
    "write": ("*(volatile int *)0x1238 = 1", r"page fault at (0x\w+) of address 0x1238, error 0x2"),
    "read": ("*(volatile int *)0x1238", r"page fault at (0x\w+) of address 0x1238, error 0x0"),
    "invalid opcode": ('__asm__ volatile("ud2")', r"invalid opcode at (0x\w+)"),
    "breakpoint": ('__asm__ volatile("int3")', r"breakpoint at (0x\w+)"),
    "overflow": ('__asm__ volatile("int $4")', r"exception 0x4 at (0x\w+)"),
    "divide error": ('__asm__ volatile("div %0" : : "r"(0), "a"(1), "d"(0))', r"divide error at (0x\w+)"),
    "selector": (
        '__asm__ volatile("mov %0, %%fs" : : "r"(0x1230))',
        r"general protection fault at (0x\w+), error 0x1230",
    ),
    "vector without a gate": (
        '__asm__ volatile("int $0x30")',
        r"general protection fault at (0x\w+), error 0x\w+",
    ),
}


def linked(arch: str, text: str, folder: Path, *options: str) -> Path:
    return compiled(KERNEL % text, "native", folder, arch, *options)


def boot(arch: str, kernel: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [f"qemu-system-{arch}", "-accel", "tcg", "-m", "64", "-nodefaults", "-no-user-config", "-display",
         "none", "-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
         "-kernel", kernel, "-append", "vmi.debug_exit=0xf4"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False, preexec_fn=tied(),
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()


def place(kernel: Path, symbol: str) -> range:
    shown = subprocess.run(["nm", "-S", kernel], capture_output=True, text=True, check=True).stdout
    (found,) = [line.split() for line in shown.splitlines() if line.endswith(f" {symbol}")]
    return range(int(found[0], 16), int(found[0], 16) + int(found[1], 16))


each = pytest.mark.parametrize("arch", ARCHITECTURES)


@each
@pytest.mark.parametrize("fault", FAULTS)
def test_the_library_says_where(arch: str, fault: str, tmp_path: Path) -> None:
    text, expected = FAULTS[fault]
    kernel = linked(arch, text, tmp_path)
    status, (said,) = boot(arch, kernel)
    found = re.fullmatch(SAID + expected, said)
    assert found, said
    assert int(found[1], 16) in place(kernel, "kernel_main")
    assert status == PANIC


OTHER_BASE = """
    static uint64_t gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x40cf93000000ffff};
    const struct vmi_dtr other = {.limit = sizeof(gdt) - 1, .base = (uintptr_t)gdt};
    vmi_set_gdt(&other);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; movl $0, 0x1238" : : "r"(0x18) : "memory")
"""


def test_data_segments_may_be_others(tmp_path: Path) -> None:
    """On i386, where they matter: the fault is at 0x1238 behind the base of the kernel's own."""
    status, (said,) = boot(ARCHITECTURES[0], linked(ARCHITECTURES[0], OTHER_BASE, tmp_path))
    assert re.fullmatch(SAID + r"page fault at 0x\w+ of address 0x40001238, error 0x2", said)
    assert status == PANIC


@each
def test_a_console_that_is_given_a_wrong_address_can_be_written_to(arch: str, tmp_path: Path) -> None:
    """It has not taken its lock by then."""
    status, (said,) = boot(arch, linked(arch, "vmi_console_write((const char *)0x1238, 7)", tmp_path))
    assert re.fullmatch(SAID + r"page fault at 0x\w+ of address 0x1238, error 0x0", said)
    assert status == PANIC


@each
def test_the_kernels_idt_takes_its_place(arch: str, tmp_path: Path) -> None:
    assert boot(arch, linked(arch, OWN_IDT, tmp_path)) == (PASS, ["the kernel's own"])


@each
def test_a_fault_while_it_is_said_ends_with_the_status(arch: str, tmp_path: Path) -> None:
    kernel = linked(arch, FAULTS["write"][0], tmp_path, "-Wl,--wrap=vmi_console_write")
    assert boot(arch, kernel) == (PANIC, [])


@each
def test_a_fault_while_it_ends_resets_the_machine(arch: str, tmp_path: Path) -> None:
    wraps = ["-Wl,--wrap=vmi_console_write", "-Wl,--wrap=vmi_shutdown_reason"]
    assert boot(arch, linked(arch, FAULTS["write"][0], tmp_path, *wraps)) == (RESET, [])
