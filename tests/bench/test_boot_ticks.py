# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions from the loader's jump to the kernel's first line (`-icount shift=0`): where the frequency of
the TSC has to be measured, and where the library is told it. All libraries that start on a PC without their
hypervisor are held to the limits, on each architecture."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import tree
from ci.rig import COUNTING
from ci.util import ARCHITECTURES, tied

MEASURED, TOLD = 12_000_000, 2_000_000
"""What docs/benchmarks.md promises."""
NANOSECONDS = 1_000_000_000
"""Frequency of TSC and APIC timer in a machine whose instructions are counted, one a nanosecond."""
REFUSED = 0x13 << 1 | 1
ENTRY, CLOCK = "bench_entry", "vmi__native_tsc_init"
"""Where the count begins, and where a library of a PC finds the frequency."""
IMAGE_BASE = {"i386": 0xC0000000, "x86_64": 0xFFFFFFFF80000000}
"""What the linker adds to physical addresses, which are in use at the entry."""
RUNS = 20
TICKS = re.compile(r"^# bench boot rounds=1 ticks=(\d+) ", re.MULTILINE)


class Debugger:
    """Client of QEMU's stub for debuggers (the GDB manual, "Remote Protocol")."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")

    def ask(self, command: str) -> str:
        """Sends a command and returns the answer, which is acknowledged."""
        self.connection.sendall(f"${command}#{sum(command.encode()) & 0xFF:02x}".encode())
        while self.file.read(1) not in (b"$", b""):
            pass
        answer = bytearray()
        while (byte := self.file.read(1)) not in (b"#", b""):
            answer += byte
        if self.file.read(2):
            with suppress(BrokenPipeError):  # the machine may have ended with this answer
                self.connection.sendall(b"+")
        return answer.decode()

    def run_to(self, address: int) -> bool:
        """False if the machine has ended before."""
        assert self.ask(f"Z1,{address:x},1") == "OK"
        try:
            if not self.ask("c").startswith("T05"):
                return False
        except ConnectionError:
            return False
        assert self.ask(f"z1,{address:x},1") == "OK"
        return True

    def write(self, address: int, value: bytes) -> None:
        assert self.ask(f"M{address:x},{len(value):x}:{value.hex()}") == "OK"


@contextmanager
def machine(kernel: Path, arch: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    cpu = "qemu32" if arch == ARCHITECTURES[0] else "qemu64"
    command = [
        f"qemu-system-{arch}", *COUNTING, "-cpu", cpu, "-machine", "pc,vmport=off", "-m", "64",
        "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", kernel,
        "-append", "bench=boot vmi.debug_exit=0xf4", *options,
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=tied()
    ) as qemu:
        try:
            yield qemu
        finally:
            qemu.kill()


def ticks(qemu: subprocess.Popen[str]) -> int:
    """Of the kernel that runs; skips the test if its library needs its hypervisor."""
    console, _ = qemu.communicate(timeout=120)
    if qemu.returncode == REFUSED:
        pytest.skip(console.splitlines()[-1])
    found = TICKS.search(console)
    assert found, console
    return int(found[1])


def symbols(kernel: Path) -> dict[str, int]:
    shown = subprocess.run(["nm", kernel], capture_output=True, text=True, check=True).stdout
    return {name: int(at, 16) for at, _, name in (x.split() for x in shown.splitlines() if x[0] != " ")}


def kernel_of(arch: str, backend: str) -> Path:
    path = tree(arch) / f"sample_kernel/bench-{backend}.elf"
    if not path.is_file():
        pytest.skip(f"{backend} has no library for {arch}")
    if CLOCK not in symbols(path):
        pytest.skip(f"{backend} has a clock of its own")
    return path


each = pytest.mark.parametrize(("arch", "backend"), [(a, b) for a in ARCHITECTURES for b in backends()])


@each
def test_frequency_is_measured(arch: str, backend: str, tmp_path: Path) -> None:
    with machine(kernel_of(arch, backend), arch, tmp_path) as qemu:
        found = ticks(qemu)
    print(f"{arch} {backend} measured: {found}")
    assert found <= MEASURED


def told(kernel: Path, arch: str, folder: Path, where: str) -> int:
    """Ticks where the library has the frequency, as a hypervisor tells it; it is written when the kernel
    gets there."""
    base = IMAGE_BASE[arch] if where == ENTRY else 0
    at = {name: address - base for name, address in symbols(kernel).items()}
    waits = ["-chardev", "socket,id=stub,path=stub,server=on,wait=on", "-gdb", "chardev:stub", "-S"]
    (folder / "stub").unlink(missing_ok=True)
    with machine(kernel, arch, folder, *waits) as qemu, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        # The socket is there a moment before QEMU listens.
        while qemu.poll() is None:
            with suppress(FileNotFoundError, ConnectionRefusedError):
                connection.connect(str(folder / "stub"))
                break
            time.sleep(0.01)
        debugger = Debugger(connection)
        if debugger.run_to(at[where]):
            debugger.write(at["vmi__native_tsc_hz"], struct.pack("<Q", NANOSECONDS))
            debugger.write(at["vmi__native_apic_timer_hz"], struct.pack("<I", NANOSECONDS))
            assert debugger.ask("D") == "OK"
        return ticks(qemu)


@each
def test_frequency_is_told(arch: str, backend: str, tmp_path: Path) -> None:
    """While a machine goes on from a stop for the debugger, QEMU's clock goes on by the time that the host
    takes for it: the stop is in front of the count. A library that asks its hypervisor would lose what was
    written there, so it is stopped amid the count, and the least of some runs is what was counted."""
    kernel = kernel_of(arch, backend)
    found = told(kernel, arch, tmp_path, ENTRY)
    for _ in range(RUNS):
        if found > TOLD:
            found = told(kernel, arch, tmp_path, CLOCK)
    print(f"{arch} {backend} told: {found}")
    assert found <= TOLD
