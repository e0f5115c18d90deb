# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi core`: what gdb shows of guests that ended, or were halted, where there are core files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.build import kernels
from ci.core import core, halt, halted_guest, read
from ci.elf_core import write
from ci.kernel import look
from ci.rig import LinuxRig, Session
from ci.run import Wanted
from ci.setup import provide
from ci.util import ARCHITECTURES

from ..guests import Place, Rigs
from .test_debugger import compiled

KERNEL = """
#include <vmi/vmi.h>

volatile uint32_t forever = 1;

static void __attribute__((noinline)) inner(const char *volatile text, uint32_t length)
{
    vmi_console_write(text, length);
    while (forever)
        ;
}

static void __attribute__((noinline)) outer(uint32_t argument)
{
    inner("here\\r\\n", argument + 2);
    forever = argument;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    outer(4);
    forever = 2;
}
"""


def backtraces(kernel: Path, file: Path) -> dict[str, str]:
    """What gdb shows of each CPU, by its number."""
    if not shutil.which("gdb"):
        provide({"gdb": "gdb"})
    command = ["gdb", "-batch", "-nx", "-ex", "thread apply all backtrace", kernel, file]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^Thread (\d+) .*$", said, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


IN_RIGS = ("kvm-x86_64",)
"""Where core files in rigs are looked at each time."""


def seen(place: Place, session: Session, folder: Path) -> str:
    """What a core file of a kernel with two CPUs, one at work and one at rest, does not show."""
    kernel = kernels("sample", place.arch)[place.backend]
    wanted = Wanted("checks=cpus.start test=hang", cpus=2, deadline=240)
    memory = folder / "memory"
    guest = halted_guest(place.rig, place.configuration, str(place), look(kernel), wanted, memory)
    outcome = halt(session, guest, re.compile("^# test=hang"), folder, lambda _: None)
    if not memory.is_file():
        return f"{outcome.end}: {outcome.said_of_it(5)}"
    write(read(memory), place.arch, folder / "core")
    memory.unlink()
    shown = backtraces(kernel, folder / "core")
    return "" if "hang" in functions(shown["1"]) and "idle" in shown["2"] else str(shown)


def functions(backtrace: str) -> list[str]:
    return re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([\w.]+)(?:\[\w+\])? \(", backtrace, re.MULTILINE)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_kernel_with_debug_information_is_seen_from_end_to_end(tmp_path: Path, arch: str) -> None:
    kernel = compiled(arch, tmp_path, KERNEL)
    assert core("native", kernel, Wanted(deadline=60), "^here", tmp_path / "core") == 0
    (shown,) = backtraces(kernel, tmp_path / "core").values()
    assert functions(shown)[:3] == ["inner", "outer", "kernel_main"]
    assert '"here' in shown  # what is in its memory


@pytest.mark.every_architecture
def test_every_cpu_is_there(configuration: Place, rigs: Rigs, tmp_path: Path) -> None:
    """On plain QEMU, and in each rig once; elsewhere `./vmi test --long cores` looks."""
    if why := configuration.rig.no_core(configuration.arch):
        pytest.skip(why)
    if isinstance(configuration.rig, LinuxRig) and str(configuration) not in IN_RIGS:
        pytest.skip("./vmi test --long cores looks here")
    rigs.prepare(configuration)
    assert seen(configuration, rigs.session(configuration), tmp_path) == ""


def test_a_panic_is_kept_and_what_has_ended_by_itself(tmp_path: Path) -> None:
    """The machine stands still at its end."""
    kernel = kernels("sample")["native"]
    wanted = Wanted("checks=nothing test=panic", deadline=120)
    assert core("native", kernel, wanted, "", tmp_path / "core") == 0
    (shown,) = backtraces(kernel, tmp_path / "core").values()
    assert functions(shown)[0].startswith("vmi.")  # ending the machine, or waiting for its end
