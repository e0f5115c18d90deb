# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The virtio console of a plain PC, as QEMU has it: beside a serial port, and asked for by option."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from ci import ktap
from ci.build import build, kernels
from ci.conformance import console_data, digest, typed_file
from ci.rig import DEBUG_EXIT, QEMU_END, STATUS
from ci.util import tied

DEADLINE = 300
PORT = ("-device", "virtconsole,chardev=virtio")
DEVICE = ("-device", "virtio-serial-pci", *PORT)
"""With both interfaces."""
MODERN = ("-device", "virtio-serial-pci,disable-legacy=on", *PORT)
LEGACY = ("-device", "virtio-serial-pci,disable-modern=on", *PORT)
TYPED_KIB = 1024
EVENTS_MAX = TYPED_KIB * 2  # QEMU reads at most 4 KiB at once, and a buffer has 1 KiB
WRITTEN_KIB = 32  # what a pipe takes without a reader; QEMU drops the rest
ASKED = "vmi.console=virtio"


def boot(
    folder: Path, kernel: str, line: str, *machine: str, typed: Path | None = None
) -> tuple[str, str, str]:
    """The end, what came through the virtio console, and what by the serial port."""
    build()
    pipe = folder / "virtio"
    with contextlib.ExitStack() as stack:
        ends = {}
        for end in ("in", "out"):
            os.mkfifo(f"{pipe}.{end}")
            ends[end] = os.open(f"{pipe}.{end}", os.O_RDWR)
            stack.callback(os.close, ends[end])
        if typed:
            typist = stack.enter_context(subprocess.Popen(["cat", typed], stdout=ends["in"]))
            stack.callback(typist.kill)
        done = subprocess.run(
            ["qemu-system-i386", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
             "-smp", "2", "-m", "64", "-chardev", f"pipe,id=virtio,path={pipe}", *QEMU_END, *machine,
             "-kernel", str(kernels(kernel)["native"]), "-append", f"{DEBUG_EXIT} {line}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False,
            preexec_fn=tied(),
        )  # fmt: skip
        os.set_blocking(ends["out"], False)
        with contextlib.suppress(BlockingIOError):
            return STATUS[done.returncode >> 1], os.read(ends["out"], 1 << 16).decode(), done.stdout
        return STATUS[done.returncode >> 1], "", done.stdout


@pytest.mark.parametrize(("machine", "device"), [("pc", MODERN), ("q35", DEVICE)], ids=["pc", "q35"])
def test_every_check_passes(tmp_path: Path, machine: str, device: tuple[str, ...]) -> None:
    end, console, serial = boot(tmp_path, "sample", ASKED, "-M", machine, *device)
    report = ktap.parse(console)
    assert (end, report.failures(), serial) == ("pass", [], "")
    assert "console.event" in [test.name for test in report.tests if test.status == "pass"]


@pytest.mark.parametrize("how", ["by=event", ""])
@pytest.mark.parametrize(("machine", "device"), [("pc", LEGACY), ("q35", MODERN)], ids=["pc", "q35"])
def test_input_arrives(tmp_path: Path, machine: str, device: tuple[str, ...], how: str) -> None:
    """An event that is lost stops the kernel. One that is not ended comes again and again until the kernel
    has read; else each buffer makes one, or two where it comes while one is ended."""
    line = f"{ASKED} input={TYPED_KIB} {how}"
    end, console, serial = boot(
        tmp_path, "conformance", line, "-M", machine, *device, typed=typed_file(TYPED_KIB)
    )
    received = re.search(rf"^# input received={TYPED_KIB * 1024} wrong=0 events=(\d+)", console, re.MULTILINE)
    assert received, console
    assert (int(received[1]) > 0) == bool(how)
    assert int(received[1]) <= 2 * EVENTS_MAX
    assert (end, serial) == ("pass", "")


def test_output_arrives(tmp_path: Path) -> None:
    end, console, _ = boot(tmp_path, "conformance", f"{ASKED} console={WRITTEN_KIB}", *DEVICE)
    lines = [line for line in console.splitlines() if line.startswith("# data")]
    assert (end, digest(lines)) == ("pass", digest(console_data(WRITTEN_KIB)))


@pytest.mark.parametrize(
    ("line", "device"),
    [("", DEVICE), ("vmi.console=16550", DEVICE), (ASKED, ())],
    ids=["not asked for", "the other asked for", "not there"],
)
def test_serial_port_serves_otherwise(tmp_path: Path, line: str, device: tuple[str, ...]) -> None:
    end, console, serial = boot(tmp_path, "unpaged", line, *device)
    assert (end, console) == ("pass", "")
    assert ktap.parse(serial).failures() == []


def test_other_consoles_are_refused(tmp_path: Path) -> None:
    end, console, serial = boot(tmp_path, "unpaged", "vmi.console=vga", *DEVICE)
    assert (end, console) == ("refused", "")
    assert "vmi: cannot run: option vmi.console= wants 16550 or virtio" in serial
