# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls per operation: the sample kernel's workloads beside those of Linux, a PV guest of the same rig,
by the same witness.

Linux is the rig's own kernel, as the distribution has it. Its first process is linux_workloads.c. What Linux
makes in a round differs a little from one round to the next, as ticks and other tasks come between, so it has
its least and its median; the library is held to the least.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci import initramfs
from ci.bench import table
from ci.build import kernels
from ci.rig import Guest, LinuxRig, Outcome
from ci.util import ARCHITECTURES, UserError
from ci.witness import Hypercall, Mark, of_workloads

ARCH = ARCHITECTURES[1]
SOURCE = Path(__file__).with_name("linux_workloads.c")
WORKLOAD_MARK = 0x57494D56
"""sample_kernel/report.h"""
DEADLINE = 240.0


@dataclass(frozen=True)
class Operation:
    """A workload, and what of a round of Linux's is to be compared."""

    name: str
    title: str
    system_calls: int = 0
    """That a round makes beside the operation, to have it done: they are taken off."""
    times: int = 1
    """How often a round has the operation."""
    beside: str = ""
    """Whose workload of the library it stands beside; the one of this name if it is empty."""
    worse: str = ""
    """Why the library makes more hypercalls than Linux, if it does."""


OPERATIONS = (
    Operation("system_call", "system call"),
    Operation("page_fault", "page fault, a page of zeroes"),
    Operation("context_switch", "context switch to another address space", 2, 2),
    Operation("map_unmap_1024", "1,024 pages mapped and unmapped", 2),
    Operation("move_1024", "the same, moved there and back (mremap)", 2, 1, "map_unmap_1024"),
    Operation("process_create_exit", "process: creation and end (fork, exit)"),
    Operation("timer_tick", "timer tick"),
    Operation("ipi_round_trip", "IPI to an idle CPU, and its rest", 1),
)


@dataclass(frozen=True)
class Row:
    operation: Operation
    library: float
    linux: float
    """In the round that had fewest."""
    usual: float
    """In the median round."""

    @property
    def worse(self) -> bool:
        return self.library > self.linux


def build(folder: Path) -> tuple[Path, dict[str, int]]:
    """An initial RAM file system of the program alone, and where its marks are."""
    program = folder / "linux_workloads"
    command = ["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)]
    subprocess.run(command, check=True)
    listed = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(\w+) T mark_(\w+)_place$", listed, re.MULTILINE)
    archive = initramfs.Archive()
    archive.program("/init", program)
    archive.device("/dev/console", 5, 1)
    archive.folder("/sys")
    image = folder / "linux.cpio"
    image.write_bytes(archive.finish())
    return image, {name: int(address, 16) for address, name in found}


def linux_guest(rig: LinuxRig, image: Path) -> Guest:
    return Guest(
        rig.image.linux, "workloads-linux", "console=hvc0 quiet mitigations=off", cpus=2, memory_mib=256,
        deadline=DEADLINE, options={"config": "pv64"}, modules=((image, ""),), witness=True,
    )  # fmt: skip


def library_guest() -> Guest:
    return Guest(kernels("sample", ARCH)["xen"], "workloads-library", "bench=workloads", cpus=2,
                 deadline=DEADLINE, options={"config": "pv64"}, witness=True)  # fmt: skip


def _witness(outcome: Outcome) -> Sequence[Hypercall | Mark]:
    if not outcome.clean or not outcome.witness:
        said = "; ".join(outcome.evidence.get("trace", ["there is no trace"]))
        raise UserError(f"{outcome.guest.name}: {outcome.end}; witness: {said}; log: {outcome.log}")
    return outcome.witness


def of_library(outcome: Outcome) -> dict[str, float]:
    """Hypercalls per round as the witness has them; UserError if the guest has counted others."""
    found = re.findall(r"^# bench (\w+) rounds=(\d+) .* hypercalls=(\d+)", outcome.console, re.MULTILINE)
    seen = of_workloads(_witness(outcome), WORKLOAD_MARK)
    counted = [int(hypercalls) for _, _, hypercalls in found]
    if seen != counted:
        raise UserError(f"the sample kernel counted {counted} hypercalls, and the witness {seen}")
    return {name: int(hypercalls) / int(rounds) for name, rounds, hypercalls in found}


def rounds(seen: Sequence[Hypercall | Mark], places: dict[str, int]) -> list[list[int]]:
    """For each workload of Linux's, how many hypercalls each round has."""
    found: list[list[int]] = []
    made: int | None = None
    for each in seen:
        if isinstance(each, Hypercall):
            made = None if made is None else made + 1
        elif each.value == places["begin"]:
            found.append([])
            made = None
        elif each.value == places["round"]:
            if made is not None and found:
                found[-1].append(made)
            made = 0
    return found


def of_linux(outcome: Outcome, places: dict[str, int]) -> dict[str, list[int]]:
    """Hypercalls of each round, by workload; UserError if the witness has missed one."""
    said = re.findall(r"^# workload (\w+) rounds=(\d+)", outcome.console, re.MULTILINE)
    found = rounds(_witness(outcome), places)
    if [int(number) for _, number in said] != [len(each) for each in found]:
        raise UserError(f"Linux's rounds are {said}, and the witness saw {[len(each) for each in found]}")
    return dict(zip((name for name, _ in said), found, strict=True))


def rows(library: dict[str, float], linux: dict[str, list[int]]) -> list[Row]:
    """The operations of both."""
    call = min(linux["system_call"])
    result = []
    for each in OPERATIONS:
        least, usual = (
            (hypercalls - each.system_calls * call) / each.times
            for hypercalls in (min(linux[each.name]), statistics.median(linux[each.name]))
        )
        result.append(Row(each, library[each.beside or each.name], least, usual))
    return result


def beside(rows: Sequence[Row], versions: str) -> list[str]:
    """Lines of the table, as ci/bench.py takes it over."""
    cells = [["operation", "library", "Linux, least", "Linux, median", "verdict"]]
    for each in rows:
        verdict = f"WORSE: {each.operation.worse or 'no reason is known'}" if each.worse else "no worse"
        numbers = (f"{value:.2f}".rstrip("0").rstrip(".") for value in (each.library, each.linux, each.usual))
        cells.append([each.operation.title, *numbers, verdict])
    title = f"hypercalls per operation beside {versions}, x86-64 PV guests of one Xen, by its own trace"
    return list(table(title, cells))
