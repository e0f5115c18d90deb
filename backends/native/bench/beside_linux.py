# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions per operation: the sample kernel's workloads, linked and bound, beside those of Linux
(ci/beside_linux.py) on the same PC, whose time-stamp counter counts instructions (`-icount shift=0`).

With that QEMU does not get Linux beyond the start of its first CPU if there is a second (7.2, -smp 2). So
Linux's IPI is counted otherwise, by a plugin of the translator (instruction_counter.c): the instructions of
both CPUs, which take turns as they do there (`thread=single`), between the same two readings of the
time-stamp counter."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile

from ci import beside_linux
from ci.bench import CALL, WORKLOAD
from ci.beside_linux import Row
from ci.build import kernels
from ci.rig import Guest, Outcome, Rig
from ci.util import ARCHITECTURES, UserError

BACKEND = "native"
ARCH = ARCHITECTURES[1]
DEADLINE = 240.0
CONSOLE_BYTES = 65536
WORKLOADS = (
    "nothing", "clock_read", "system_call", "page_fault", "context_switch", "map_unmap_1024", "move_1024",
    "process_create_exit", "timer_tick", "console_64k",
)  # fmt: skip
"""Of one CPU."""
OF_TWO = ("nothing", "ipi_round_trip")
"""Of two, which the plugin counts."""
READINGS_AT = "ticks_at"
"""The program's section with the addresses at which it reads the time-stamp counter."""
PLUGIN_SOURCE = Path(__file__).with_name("instruction_counter.c")
QEMU_PLUGIN = "-plugin {plugin},out={out},{places}"
PLUGIN_VERSIONS = ((9, 2), (0, 1))
"""From which QEMU on which version of the plugins' interface is taken (QEMU, plugins/plugin.h)."""
REASONS = {
    "page_fault": "4,096 are its REP STOSB, of which QEMU counts each byte; Linux clears 8 bytes at a time",
    "move_1024": "each entry is looked up from the root; mremap goes along the tables",
}
"""Why the library takes more instructions than Linux, by operation, if it does."""


def linux_guest(rig: Rig, linux: Path, image: Path) -> Guest:
    return Guest(
        linux, "workloads-linux", beside_linux.command_line("ttyS0 tsc=reliable no_timer_check", WORKLOADS),
        memory_mib=256, deadline=DEADLINE,
        options={**rig.instruction_counter, "cpu": "qemu64"}, modules=((image, ""),),
    )  # fmt: skip


def build_counter(folder: Path, qemu: str) -> Path:
    """The plugin for a version of QEMU, in a folder."""
    plugin = folder / "instruction_counter.so"
    major = int(qemu.split(".")[0])
    version = next(version for since, version in PLUGIN_VERSIONS if major >= since)
    command = ["gcc", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-DPLUGIN_VERSION={version}",
               "-o", str(plugin), str(PLUGIN_SOURCE)]  # fmt: skip
    subprocess.run(command, check=True)
    return plugin


def readings_at(program: Path) -> list[int]:
    """Where the program reads the time-stamp counter."""
    with program.open("rb") as file:
        section = ELFFile(file).get_section_by_name(READINGS_AT)
        data = section.data() if section else b""
    if not data:
        raise UserError(f"{program} has no section {READINGS_AT}")
    return [int.from_bytes(data[place : place + 8], "little") for place in range(0, len(data), 8)]


def counted_guest(linux: Path, image: Path, plugin: Path, program: Path, out: Path) -> Guest:
    """Linux with two CPUs, for OF_TWO; `out` gets a line for each reading of the time-stamp counter."""
    places = ",".join(f"at={place:x}" for place in readings_at(program))
    counted = QEMU_PLUGIN.format(plugin=plugin, out=out, places=places)
    options = {"cpu": "qemu64", "accel": "tcg,thread=single", "qemu": counted}
    return Guest(
        linux, "ipi-linux", beside_linux.command_line("ttyS0", OF_TWO), cpus=2, memory_mib=256,
        deadline=DEADLINE, options=options, modules=((image, ""),),
    )  # fmt: skip


def of_two(outcome: Outcome, readings: Sequence[int]) -> tuple[float, float]:
    """Instructions of an IPI's round, in the cheapest and in the median one, less those of a round in which
    nothing is done; UserError if readings are missing. A workload reads at its begin, and twice a round:
    behind the operation, and behind what is not counted. The first round of each is left out, for amid the
    first of all counting begins."""
    said = re.findall(r"^# workload (\w+) rounds=(\d+)\r?$", outcome.console, re.MULTILINE)
    expected = sum(1 + 2 * int(rounds) for _, rounds in said)
    if tuple(name for name, _ in said) != OF_TWO or len(readings) != expected:
        raise UserError(
            f"{outcome.guest.name}: {outcome.end}; its workloads are {said}, and {len(readings)} readings of "
            f"the time-stamp counter were seen, not {expected}; log: {outcome.log}"
        )
    taken, at = {}, 0
    for name, rounds in said:
        spans = [readings[place + 1] - readings[place] for place in range(at + 2, at + 2 * int(rounds), 2)]
        taken[name] = min(spans), statistics.median(spans)
        at += 1 + 2 * int(rounds)
    bare, (least, median) = taken["nothing"][0], taken["ipi_round_trip"]
    return least - bare, median - bare


def library_guest(rig: Rig, bench: str, cpus: int) -> Guest:
    return Guest(kernels("bench-bound", ARCH)[BACKEND], f"{bench}-library", f"bench={bench}", cpus=cpus,
                 deadline=DEADLINE, options=rig.instruction_counter)  # fmt: skip


def of_library(calls: Outcome, workloads: Outcome) -> dict[str, float]:
    """Instructions per round."""
    for outcome in (calls, workloads):
        if not outcome.clean:
            raise UserError(f"{outcome.guest.name}: {outcome.end}; log: {outcome.log}")
    found = {name: int(ticks) / int(rounds) for name, rounds, ticks, _ in WORKLOAD.findall(workloads.console)}
    found["clock_read"] = float(dict(CALL.findall(calls.console))["ClockNanoseconds"])
    found["console_byte"] = found.pop("console_64k") / CONSOLE_BYTES
    return found


def of_linux(outcome: Outcome) -> dict[str, tuple[float, float]]:
    """Instructions per round, in the cheapest and in the median one."""
    found = beside_linux.ticks(outcome.console, WORKLOADS)
    found["console_byte"] = found.pop("console_64k")
    return found


def beside(rows: list[Row], version: str) -> list[str]:
    """Lines of the table."""
    title = f"instructions per operation beside Linux {version}, x86-64 on the same PC"
    return beside_linux.beside(rows, title)
