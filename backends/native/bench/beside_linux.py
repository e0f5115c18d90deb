# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions per operation: the sample kernel's workloads, linked and bound, beside those of Linux
(ci/beside_linux.py) on the same PC, whose time-stamp counter counts instructions (`-icount shift=0`)."""

from __future__ import annotations

from pathlib import Path

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
"""Not of two CPUs: where instructions are counted, QEMU does not get Linux beyond the start of its first one
if there is a second (7.2, -smp 2)."""
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
