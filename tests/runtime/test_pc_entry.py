# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Entry of the PC libraries: both protocols, kinds of PC, and machines that are refused with a reason.

A PC library is one whose image has a multiboot header, so that QEMU loads it by itself.
"""

from __future__ import annotations

import functools
import os
import re
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import build, kernels
from ci.util import tied

HEADER = struct.pack("<3I", 0x1BADB002, 3, 0x100000000 - 0x1BADB002 - 3)
DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
PASS, REFUSED = 0x10 << 1 | 1, 0x13 << 1 | 1
PATIENCE = 300
"""Seconds after which a machine is ended, however busy this one is."""
MOMENT = 1
"""Seconds for a machine to end, of which a test says that it does not: if it did, it would do so at once."""


@functools.cache
def pc_libraries(kernel: str) -> dict[str, Path]:
    build()
    found = {name: path for name, path in kernels(kernel).items() if HEADER in path.read_bytes()[:8192]}
    assert found
    return found


def boot(
    kernel: Path, *machine: str, line: str = "vmi.debug_exit=0xf4", until: str = "\0"
) -> tuple[int, str]:
    """Exit status and console of a machine; -1 for one that had to be ended: a moment after `until` was on
    its console, or at last."""
    command = ["qemu-system-i386", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]
    command += ["-no-reboot", "-kernel", str(kernel), "-append", line, *DEBUG_EXIT, *machine]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=tied()
    ) as process:
        assert process.stdout and process.stderr
        last = threading.Timer(PATIENCE, process.kill)
        last.start()
        try:
            out = b""
            while until.encode() not in out and (more := os.read(process.stdout.fileno(), 65536)):
                out += more
            more, err = process.communicate(timeout=MOMENT if until.encode() in out else None)
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            more, err = process.communicate()
            status = -1
        last.cancel()
    return status, (err + out + more).decode(errors="replace")


def for_pvh(kernel: Path, folder: Path) -> Path:
    """The same image, which QEMU takes for multiboot no longer."""
    image = folder / kernel.name
    image.write_bytes(kernel.read_bytes().replace(HEADER, bytes(len(HEADER)), 1))
    return image


@pytest.mark.parametrize("protocol", ["multiboot", "pvh"])
def test_protocol(protocol: str, tmp_path: Path) -> None:
    for name, kernel in pc_libraries("sample").items():
        image = for_pvh(kernel, tmp_path) if protocol == "pvh" else kernel
        status, console = boot(image, "-smp", "2")
        assert status == PASS, console
        assert f"# boot backend={name} protocol={protocol} rpl=0 cpus=2 " in console


MACHINES = {
    "q35": ["-M", "q35", "-smp", "4", "-m", "300"],
    "microvm": ["-M", "microvm", "-smp", "2"],
    "more memory than the linear region": ["-m", "3G"],
    "little memory": ["-m", "8"],
    "32 CPUs": ["-smp", "32"],
    "no ACPI, hence the MP table": ["-M", "pc,acpi=off", "-smp", "2,sockets=2"],
    "no ACPI on a microVM": ["-M", "microvm,acpi=off", "-smp", "2"],
    "no I/O APIC, hence 8259s": ["-M", "isapc", "-cpu", "qemu32"],
    "every feature that QEMU has": ["-cpu", "max", "-smp", "2"],
    "instructions counted": ["-icount", "shift=0"],
}


@pytest.mark.parametrize("machine", MACHINES)
def test_machine(machine: str) -> None:
    """Kinds of PC, on the libraries that inherit from none: the others have these from them."""
    for name, kernel in pc_libraries("sample").items():
        if not backends()[name]:
            status, console = boot(kernel, *MACHINES[machine])
            assert status == PASS, console
            assert " fail=0 " in console
            cpus = dict(zip(MACHINES[machine][::2], MACHINES[machine][1::2], strict=True)).get("-smp", "1")
            assert f" cpus={cpus.partition(',')[0]} " in console


@pytest.mark.parametrize("machine", [[], ["-M", "isapc", "-cpu", "qemu32"], ["-M", "microvm,acpi=off"]])
def test_alarms_of_line_0(machine: list[str]) -> None:
    """By the I/O APIC and by the 8259s; the rigs' runs of the conformance kernel have the former only."""
    for name, kernel in pc_libraries("conformance").items():
        if not backends()[name]:
            status, console = boot(kernel, *machine, line="vmi.debug_exit=0xf4 checks=alarms.")
            assert status == PASS, console
            assert console.count("ok") >= 6 and not re.search(r"alarms\.\S+ # SKIP", console), console


LOADER = """
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    cld
    mov $kernel, %esi
    mov $0x100000, %edi
    mov $(kernel_end - kernel), %ecx
    rep movsb
    mov $left, %esi
    mov $WHERE, %edi
    mov $(left_end - left), %ecx
    rep movsb
    mov $0x2badb002, %eax
    mov $WHERE, %ebx
    mov $ENTRY, %ecx
    jmp *%ecx
    .data
kernel: .incbin "kernel.bin"
kernel_end:
left: .incbin "left.bin"
left_end:
"""
WHERE = 512 << 20
"""Where LOADER puts its structures."""


def loaded_by(kernel: Path, left: bytes, folder: Path) -> Path:
    """A loader that starts the kernel with structures of its own: the multiboot information comes first."""
    image = kernel.read_bytes()
    (entry, headers), count = struct.unpack_from("<2I", image, 24), struct.unpack_from("<H", image, 44)[0]
    memory = bytearray()
    for number in range(count):
        kind, offset, _, address, size, whole = struct.unpack_from("<6I", image, headers + 32 * number)
        if kind == 1 and whole:
            memory.extend(bytes(max(0, address + whole - (1 << 20) - len(memory))))
            memory[address - (1 << 20) : address - (1 << 20) + size] = image[offset : offset + size]
    (folder / "kernel.bin").write_bytes(memory)
    (folder / "left.bin").write_bytes(left)
    (folder / "loader.S").write_text(LOADER)
    command = ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", f"-DWHERE={WHERE}",
               f"-DENTRY={entry - 0xC0000000}", "-Wl,-Ttext=0x4000000,--build-id=none,-z,noexecstack",
               "-o", "loader.elf", "loader.S"]  # fmt: skip
    subprocess.run(command, check=True, cwd=folder)
    return folder / "loader.elf"


def test_long_map_above_the_linear_region(tmp_path: Path) -> None:
    """A thousand ranges, in structures that lie at 512 MiB; with paging on, and where there is none."""
    mib = 1 << 20
    ranges = [(0, 0x9F000, 1), (mib, 255 * mib, 1), (WHERE, mib, 2)]
    ranges += [((1024 + 2 * at) * mib, mib, 4) for at in range(1000)]
    line = b"kernel vmi.debug_exit=0xf4 checks=boot\0"
    entries = b"".join(struct.pack("<IQQI", 20, *entry) for entry in ranges)
    words = [
        1 << 2 | 1 << 6,
        0,
        0,
        0,
        WHERE + 0x100,
        0,
        0,
        0,
        0,
        0,
        0,
        len(entries),
        WHERE + 0x1000,
        0,
        0,
        0,
        0,
    ]
    left = struct.pack("<17I", *words).ljust(0x100, b"\0") + line
    left = left.ljust(0x1000, b"\0") + entries
    for name, kernel in pc_libraries("sample").items():
        loader = loaded_by(kernel, left, tmp_path)
        status, console = boot(loader, "-m", "600")
        assert status == PASS, console
        assert f"# boot backend={name} protocol=multiboot" in console
        status, console = boot(loader, "-m", "600", "-cpu", "qemu32,-pae")
        assert status == REFUSED, console
        assert "vmi: cannot run: the processor has no PAE" in console


def test_module_that_fills_the_linear_region(tmp_path: Path) -> None:
    module = tmp_path / "module"
    with module.open("wb") as file:
        file.truncate(258 << 20)
    for kernel in pc_libraries("hello").values():
        status, console = boot(kernel, "-m", "600", "-initrd", str(module))
        assert status == REFUSED, console
        assert "vmi: cannot run: boot modules leave less than 1 MiB of the memory below 256 MiB" in console


REFUSALS = {
    "no PAE": (["-cpu", "qemu32,-pae"], "the processor has no PAE"),
    "no APIC": (["-cpu", "qemu32,-apic"], "the processor has no local APIC"),
    "no TSC": (["-cpu", "qemu32,-tsc"], "the processor has no time-stamp counter"),
    "no timer": (["-M", "microvm,pit=off,pic=off"], "there is neither a PIT nor an ACPI timer"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(case: str, tmp_path: Path) -> None:
    machine, reason = REFUSALS[case]
    for kernel in pc_libraries("hello").values():
        for image in (kernel, for_pvh(kernel, tmp_path)):
            status, console = boot(image, *machine)
            assert status == REFUSED, console
            assert f"vmi: cannot run: {reason}" in console
            assert "Hello" not in console


def test_option_that_makes_no_sense_is_refused() -> None:
    """There is no port to tell it by, so that the machine powers off."""
    for kernel in pc_libraries("hello").values():
        status, console = boot(kernel, line="vmi.debug_exit=f4")
        assert status == 0, console
        assert "vmi: cannot run: option vmi.debug_exit= wants a port number" in console


def test_processor_that_cannot_run_the_library_is_told_so() -> None:
    for kernel in pc_libraries("hello").values():
        status, console = boot(kernel, "-cpu", "486", until="older than the i686")
        assert status == -1  # halted, with the message
        assert "vmi: cannot run: the processor is older than the i686" in console


@pytest.mark.parametrize("cpu", ["486", "qemu32,-tsc"])
def test_refusal_that_nobody_reads_is_a_reset(cpu: str) -> None:
    """Without a UART and a power-off: some hypervisors take a halt for an end that went well."""
    for kernel in pc_libraries("hello").values():
        status, console = boot(kernel, "-M", "microvm,isa-serial=off,acpi=off", "-cpu", cpu, line="")
        assert (status, console) == (0, "")


def test_power_off_without_exit_port() -> None:
    for kernel in pc_libraries("hello").values():
        for machine in (["-M", "pc"], ["-M", "q35"], ["-M", "microvm"]):
            status, console = boot(kernel, *machine, line="")
            assert status == 0, console
            assert "Hello" in console and "vmi:" not in console
