# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls per operation: the sample kernel's workloads beside those of Linux (ci/beside_linux.py), a PV
guest of the same rig, by Xen's own trace."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ci import beside_linux
from ci.beside_linux import DEVICES, WORKLOAD_MARK, Row
from ci.build import kernels
from ci.rig import Disk, Guest, LinuxRig, Net, Outcome
from ci.util import ARCHITECTURES, Progress, UserError
from ci.witness import Hypercall, Mark, between_marks, of_workloads

ARCH = ARCHITECTURES[1]
DEADLINE = 240.0
WORKLOADS = (
    "system_call", "page_fault", "context_switch", "map_unmap_1024", "move_1024", "process_create_exit",
    "timer_tick", "ipi_round_trip",
)  # fmt: skip
DRIVERS = (
    ("xen-blkfront", "xen-netfront"),
    ("*/drivers/block/xen-blkfront.ko*", "*/drivers/net/xen-netfront.ko*"),
)
"""Of disks and networks: names, and files that no rig takes."""
DEVICE_NAMES = tuple(each.name for each in DEVICES)
DEVICE_GOALS = {"disk_1": 3, "disk_32": 0.1, "send_1": 1, "send_64": 0.1, "echo_1": 3, "echo_64": 0.1}
"""How many hypercalls a request or packet may take at most: one tells the other side, one waits, and on
x86-64 one returns from the event."""
DEVICE_ROUNDS = 4
"""Of operations on devices. A guest that looks for the end of what it sends keeps dom0 from it until its turn
ends, where both have one processor."""
REASONS: Mapping[str, str] = {}
"""Why the library makes more hypercalls than Linux, if it does."""


def build(folder: Path, report: Progress) -> tuple[Path, dict[str, int]]:
    """An initial RAM file system of the program and of drivers, and where the program's marks are."""
    image = beside_linux.build(folder, Path(__file__).parent, beside_linux.modules(*DRIVERS, report))
    shown = subprocess.run(["nm", folder / "linux_workloads"], capture_output=True, text=True, check=True)
    found = re.findall(r"^(\w+) T mark_(\w+)_place$", shown.stdout, re.MULTILINE)
    return image, {name: int(address, 16) for address, name in found}


def linux_guest(rig: LinuxRig, image: Path, names: Sequence[str] = WORKLOADS) -> Guest:
    return Guest(
        rig.image.linux, "workloads-linux", beside_linux.command_line("hvc0", names), cpus=2,
        memory_mib=256, deadline=DEADLINE, options={"config": "pv64"}, modules=((image, ""),), witness=True,
    )  # fmt: skip


def linux_devices_guest(rig: LinuxRig, image: Path, disk: Disk) -> Guest:
    guest = linux_guest(rig, image, DEVICE_NAMES)
    return replace(guest, name="devices-linux", disks=(disk,), nets=(Net(),))


def devices_guest(arch: str, disk: Disk) -> Guest:
    """The library's."""
    append = f"bench=one op={','.join(DEVICE_NAMES)} rounds={DEVICE_ROUNDS}"
    config = "pv64" if arch == ARCH else "pv"
    return Guest(kernels("sample", arch)["xen"], f"devices-library-{arch}", append, deadline=DEADLINE,
                 options={"config": config}, witness=True, disks=(disk,), nets=(Net(),))  # fmt: skip


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


def of_devices(outcome: Outcome) -> dict[str, float]:
    """Hypercalls per request and packet of the library's guest, as the witness has them; UserError if the
    guest has counted others."""
    found = re.findall(r"^# bench (\w+) rounds=\d+ .* hypercalls=(\d+)", outcome.console, re.MULTILINE)
    seen = between_marks(_witness(outcome), WORKLOAD_MARK)
    counted = [int(hypercalls) for _, hypercalls in found]
    if seen != counted or [name for name, _ in found] != list(DEVICE_NAMES):
        raise UserError(f"the sample kernel counted {found} hypercalls, and the witness {seen}")
    return {
        each.name: made / (DEVICE_ROUNDS * each.times) for each, made in zip(DEVICES, counted, strict=True)
    }


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


def rows(library: Mapping[str, float], linux: Mapping[str, Sequence[int]]) -> list[Row]:
    """The operations of both."""
    spread = {
        name: (statistics.mean(made) if name in DEVICE_NAMES else min(made), statistics.median(made))
        for name, made in linux.items()
    }
    return beside_linux.rows(library, spread, REASONS)


def beside(rows: Sequence[Row], versions: str) -> list[str]:
    """Lines of the table."""
    title = f"hypercalls per operation beside {versions}, x86-64 PV guests of one Xen, by its own trace"
    return beside_linux.beside(rows, title)


def beside_devices(
    rows: Sequence[Row], arch: str, version: str, column: tuple[str, Mapping[str, str]]
) -> list[str]:
    """The same of operations on devices; of Linux in the mean."""
    title = f"hypercalls per request and packet, {arch} beside {version} (x86-64), PV guests of one Xen"
    return beside_linux.beside(rows, title, DEVICE_GOALS, which="mean", column=column)
