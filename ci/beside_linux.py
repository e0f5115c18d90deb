# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The sample kernel's workloads beside those of Linux, in the same rig and by the same measure.

Linux is the rigs' own kernel, as the distribution has it. Its first process is ci/linux_workloads.c, which a
backend's benchmark builds with a `mark.h` of its own. What Linux takes for a round differs a little from one
to the next, as ticks and other tasks come between, so it has its least and its median; the library is held to
the least.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import checked, initramfs, packages
from .bench import table
from .rig import CHANNEL_PATHS, Disk, LinuxRig, discover
from .util import ROOT, Progress, UserError

SOURCE = ROOT / "ci/linux_workloads.c"
SOURCES = (SOURCE, ROOT / "ci/linux_devices.c")
WORKLOAD_MARK = 0x57494D56
"""sample_kernel/report.h"""
DISK_BYTES = 1 << 22
"""Of the disk from which both read."""

VIRTIO_FILES = (
    "*/drivers/char/virtio_console.ko*", "*/drivers/block/virtio_blk.ko*", "*/drivers/net/virtio_net.ko*",
    "*/drivers/net/net_failover.ko*", "*/net/core/failover.ko*",
)  # fmt: skip
"""Linux's drivers of virtio's devices, which no rig takes."""
PC_FILES = (
    "*/drivers/nvme/host/nvme.ko*", "*/drivers/nvme/host/nvme-core.ko*", "*/drivers/ata/ahci.ko*",
    "*/drivers/ata/libahci.ko*", "*/drivers/ata/libata.ko*", "*/drivers/scsi/scsi_common.ko*",
    "*/drivers/scsi/scsi_mod.ko*", "*/drivers/scsi/sd_mod.ko*", "*/drivers/scsi/vmw_pvscsi.ko*",
    "*/block/t10-pi.ko*", "*/lib/crc-t10dif.ko*", "*/lib/crc64*.ko*", "*/crypto/crct10dif_*.ko*",
    "*/crypto/crc64*.ko*", "*/drivers/net/ethernet/intel/e1000/*", "*/drivers/net/ethernet/intel/e1000e/*",
    "*/drivers/net/vmxnet3/*", "*/drivers/ptp/ptp.ko*", "*/drivers/pps/pps_core.ko*",
)  # fmt: skip
"""Those of a PC's disks and networks, and what they need."""


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


DEVICES = (
    Operation("disk_1", "read of 4 KiB, 1 at a time"),
    Operation("disk_32", "read of 4 KiB, 32 at a time", times=32),
    Operation("send_1", "packet sent, 1 at a time", times=64),
    Operation("send_64", "packet sent, 64 at a time", times=64),
    Operation("echo_1", "packet sent and answered, 1 at a time"),
    Operation("echo_64", "packet sent and answered, 64 at a time", times=64),
)
"""Of a disk and a network. How much comes at once is the other side's doing, so all rounds count."""

OPERATIONS = (
    Operation("clock_read", "clock read"),
    Operation("system_call", "system call"),
    Operation("page_fault", "page fault, a page of zeroes"),
    Operation("context_switch", "context switch to another address space", 2, 2),
    Operation("map_unmap_1024", "1,024 pages mapped and unmapped", 2),
    Operation("move_1024", "the same, moved there and back (mremap)", 2, 1, "map_unmap_1024"),
    Operation("process_create_exit", "process: creation and end (fork, exit)"),
    Operation("timer_tick", "timer tick"),
    Operation("masked_tick", "timer tick, due while interrupts are masked"),
    Operation("end_of_interrupt", "end of an interrupt"),
    Operation("ipi", "IPI to an idle CPU, its sender alone", 1),
    Operation("ipi_round_trip", "IPI to an idle CPU, and its rest", 1),
    Operation("console_64k", "console, 64 KiB, 256 bytes at a time"),
    Operation("console_pages", "console, 64 KiB, 4 KiB at a time"),
    Operation("console_byte", "console, a byte, 256 at a time", 0, 65536),
    *DEVICES,
)


@dataclass(frozen=True)
class Row:
    operation: Operation
    library: float
    linux: float | None
    """In the round that had fewest, of devices in the mean; None if Linux does nothing that can be told from
    the rest."""
    usual: float | None
    """In the median round."""
    reason: str = ""
    """Why the library takes more than Linux, if it does."""

    @property
    def worse(self) -> bool:
        return self.linux is not None and self.library > self.linux


def modules(names: Sequence[str], files: Sequence[str], report: Progress) -> list[tuple[str, bytes]]:
    """Modules of the distribution's Linux, with those that they need, in the order in which they are to be
    loaded; `files` are tar patterns of those that no rig takes."""
    wanted = ("*/modules.builtin", *CHANNEL_PATHS, *files)
    selection = packages.Selection(
        ("linux-image-amd64",), ("linux-image-",), (("linux-image-[0-9]*", wanted),)
    )
    apt, chosen = packages.resolve(selection, report)
    trees = packages.unpack(apt, selection, chosen, report)
    return initramfs.modules(packages.linux_tree(trees), names)


def blank_disk(folder: Path) -> Disk:
    """For operations on devices, in a folder."""
    disk = Disk(folder / "disk")
    checked.blank([disk], DISK_BYTES)
    return disk


def marks(folder: Path) -> tuple[int, int]:
    """By what the program's begins and rounds are told, as the mark.h in that folder has it."""
    text = (folder / "mark.h").read_text()
    found = dict(re.findall(r"^#define MARK_(begin|round) +(0x\w+)$", text, re.MULTILINE))
    return int(found["begin"], 16), int(found["round"], 16)


def build(folder: Path, marks: Path, drivers: Sequence[tuple[str, bytes]] = ()) -> Path:
    """An initial RAM file system of the program and of drivers that it loads (`modules`), in a folder;
    `marks` has the mark.h that it is compiled with. The program is left beside it, as `linux_workloads`."""
    program = folder / "linux_workloads"
    command = ["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", f"-I{marks}",
               "-o", str(program), *map(str, SOURCES)]  # fmt: skip
    subprocess.run(command, check=True)
    archive = initramfs.Archive()
    archive.program("/init", program)
    archive.device("/dev/console", 5, 1)
    archive.device("/dev/hvc0", 229, 0)
    archive.folder("/sys")
    archive.folder("/proc")
    for number, (name, data) in enumerate(drivers):
        archive.file(f"/modules/{number:02}-{name}.ko", data)
    image = folder / "linux.cpio"
    image.write_bytes(archive.finish())
    return image


def distribution_linux(report: Progress) -> tuple[Path, str]:
    """The Linux that rigs are made of, and its version; UserError if no backend has such a rig."""
    rig = next((each for each in discover(report).values() if isinstance(each, LinuxRig)), None)
    if rig is None:
        raise UserError("no backend's rig is made of a Linux, to be compared with")
    LinuxRig.prepare(rig)  # also where the rig itself would do without
    package = packages.linux_package(rig.image.versions)
    return rig.image.linux, rig.image.versions[package]


def command_line(console: str, names: Sequence[str]) -> str:
    """Linux's, for a console and for these workloads."""
    return f"console={console} quiet mitigations=off ipv6.disable=1 -- {' '.join(names)}"


def ticks(console: str, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Time-stamp ticks of each workload, least and median, less those of a round in which nothing is done
    (workload `nothing`); UserError if one is missing."""
    found = {
        name: (float(least), float(median))
        for name, least, median in re.findall(
            r"^# took (\w+) least=(\d+) median=(\d+)(?: all=\d+)?\r?$", console, re.MULTILINE
        )
    }
    if set(found) != set(names):
        raise UserError(f"Linux's workloads are {', '.join(found)}; expected {', '.join(names)}")
    bare = found.pop("nothing")[0]
    return {name: (least - bare, median - bare) for name, (least, median) in found.items()}


def rows(
    library: Mapping[str, float],
    linux: Mapping[str, tuple[float, float] | None],
    reasons: Mapping[str, str],
) -> list[Row]:
    """The operations that both have; of Linux least and median, and reasons by operation."""
    call = linux.get("system_call") or (0.0, 0.0)
    result = []
    for each in OPERATIONS:
        ours = each.beside or each.name
        if each.name in linux and ours in library:
            least, usual = (
                (taken - each.system_calls * call[0]) / each.times if taken is not None else None
                for taken in linux[each.name] or (None, None)
            )
            result.append(Row(each, library[ours], least, usual, reasons.get(each.name, "")))
    return result


def throughput(library: str, linux: str) -> tuple[str, dict[str, str]]:
    """Of operations on devices, the library's by that of Linux's median round, from both consoles: a column
    of a table."""
    ours = {
        name: int(ticks) / int(rounds)
        for name, rounds, ticks in re.findall(
            r"^# bench (\w+) rounds=(\d+) .* all=(\d+) ", library, re.MULTILINE
        )
    }
    theirs = dict(re.findall(r"^# took (\w+) least=\d+ median=(\d+)", linux, re.MULTILINE))
    return "throughput by Linux's", {
        name: number(int(theirs[name]) / ticks) for name, ticks in ours.items() if name in theirs and ticks
    }


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def beside(
    rows: Sequence[Row],
    title: str,
    goals: Mapping[str, float] | None = None,
    made_of: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
    which: str = "least",
    column: tuple[str, Mapping[str, str]] | None = None,
) -> list[str]:
    """Lines of the table, as ci/bench.py takes it over; a row that is worse than Linux's is marked and has
    its reason beside it, and one with a goal says whether it is met. `made_of` says in words what the
    library's numbers and Linux's first ones are made of, by operation, `which` what those first ones
    are, and `column` is a further one: its head, and cells by operation."""
    heads = ["library", f"Linux, {which}", "Linux, median"]
    if made_of:
        heads = ["library", "of these", f"Linux, {which}", "of them", "Linux, median"]
    if column:
        heads.append(column[0])
    cells = [["operation", *heads, "verdict"]]
    for each in rows:
        verdict = "no worse" if each.linux is not None else ""
        if each.worse:
            verdict = f"WORSE: {each.reason or 'no reason is known'}"
        if goals and (goal := goals.get(each.operation.name)) is not None:
            met = f"goal {number(goal)}" if each.library <= goal else f"MISSES its goal of {number(goal)}"
            verdict = "; ".join(filter(None, (met, verdict)))
        verdict = verdict or "not compared"
        numbers = [number(value) for value in (each.library, each.linux, each.usual)]
        if made_of:
            ours, theirs = (of.get(each.operation.name) or "-" for of in made_of)
            numbers = [numbers[0], ours, numbers[1], theirs, numbers[2]]
        if column:
            numbers.append(column[1].get(each.operation.name) or "-")
        cells.append([each.operation.title, *numbers, verdict])
    return list(table(title, cells))
