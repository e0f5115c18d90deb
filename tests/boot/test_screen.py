# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A PC with a screen under a BIOS: what the console has is on it, and its keyboard is read."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import ktap, machines
from ci.build import kernels
from ci.console import text
from ci.util import ARCHITECTURES, tied

from ..guests import places
from .screen import PICTURES, VGA_COLUMNS, Monitor, Picture, photographed, shows
from .test_own_kernel import compiled

PC = ("-machine", "pc,vmport=off", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none",
      "-vga", "std", "-no-reboot", "-no-shutdown")  # fmt: skip
DEADLINE = 120

each = pytest.mark.parametrize("arch", ARCHITECTURES)


@contextlib.contextmanager
def machine(arch: str, *options: str | Path) -> Iterator[tuple[Monitor, subprocess.Popen[bytes]]]:
    """A PC with a screen, and its monitor; it is ended afterwards."""
    monitor = Monitor()
    command = [f"qemu-system-{arch}", *PC, *monitor.options, *options]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=tied())
    try:
        yield monitor, running
    finally:
        running.kill()
        running.wait()
        monitor.close()


@each
def test_text_is_on_the_screen(arch: str, tmp_path: Path) -> None:
    """In VGA's text mode, which the loader says nothing of; the same as on the serial port."""
    kernel = kernels("sample", arch)[places(arch)[0].backend]
    serial, picture = tmp_path / "serial", PICTURES / f"bios-{arch}.ppm"
    options = ("-serial", f"file:{serial}", "-kernel", kernel, "-append", "checks=console")
    with machine(arch, *options) as (monitor, running):
        photographed(monitor, picture, DEADLINE)
        running.wait(DEADLINE)
    console = text(serial.read_bytes())
    cpu = "qemu32" if arch == ARCHITECTURES[0] else "qemu64"
    machines.note("pc, a screen", cpu, "SeaBIOS", arch, machines.verdict(console, "pass"))
    assert ktap.parse(console).failures() == []
    assert shows(picture, console, VGA_COLUMNS) == []


TYPIST = """
#include <vmi/vmi.h>

#define VECTOR  0x41
#define REQUEST (0x200 + VECTOR / 32 * 16)
#define DEBUG   0xe9

void kernel_main(const struct vmi_boot_info *boot);

/* Says each character that is typed on the screen and, for whoever types, by a port; Enter ends it. */
void kernel_main(const struct vmi_boot_info *boot)
{
    int32_t event = vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR);
    char typed = 0;

    (void)boot;
    vmi_console_write("typed: ", 7);
    if (event < 0 || vmi_event_unmask((uint32_t)event) != VMI_OK)
        vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_FAIL);
    vmi_outb('>', DEBUG);
    while (!(vmi_apic_read(REQUEST) >> VECTOR % 32 & 1))
        ;
    while (typed != '\\r') {
        if (vmi_console_read(&typed, 1) != 1)
            continue;
        vmi_console_write(&typed, 1);
        vmi_outb((uint8_t)typed, DEBUG);
    }
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
"""


@each
def test_keyboard_is_read(arch: str, tmp_path: Path) -> None:
    """By a machine without a serial port: its event is the console's."""
    kernel = compiled(TYPIST, places(arch)[0].backend, tmp_path, arch)
    picture = PICTURES / f"keyboard-{arch}.ppm"
    options = ("-serial", "none", "-debugcon", "stdio", "-kernel", kernel)
    with machine(arch, *options) as (monitor, running):
        assert running.stdout
        monitor.connect(DEADLINE)
        assert running.stdout.read(1) == b">"
        for key, said in (("v", b"v"), ("m", b"m"), ("i", b"i"), ("minus", b"-"), ("6", b"6")):
            monitor.key(key)
            assert running.stdout.read(1) == said
        monitor.key("ret")
        monitor.wait("SHUTDOWN")
        monitor.picture(picture)
    shown = [row for row in Picture.of(picture, VGA_COLUMNS).text() if row]
    assert shown[0][1:] == "yped: vmi-6", "the cursor is on the first one"
