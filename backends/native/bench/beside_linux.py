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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile
from ruamel.yaml import YAML

from ci import accesses, beside_linux
from ci.bench import CALL, WORKLOAD
from ci.beside_linux import DEVICES, Row, number
from ci.build import kernels
from ci.rig import DISK_DEVICE, NET_DEVICE, Disk, Guest, Net, Outcome, Rig
from ci.util import ARCHITECTURES, RESULTS, ROOT, Progress, UserError

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
DEVICE_NAMES = tuple(each.name for each in DEVICES)
DEVICE_GOALS = {"disk_1": 1, "disk_32": 0.1, "send_1": 1, "send_64": 0.1, "echo_1": 1, "echo_64": 0.1}
"""How many accesses to registers a request or packet may take at most: one tells the device."""
INSTRUCTION_GOALS = {
    "disk_1": 2000, "disk_32": 1000, "send_1": 1500, "send_64": 1000, "echo_1": 3000, "echo_64": 2000,
}  # fmt: skip
"""And how many instructions."""
AT_ONCE = "ioeventfd=off"
"""Of QEMU's devices: else a write that tells one is no access of its trace's, and several may be one."""
LINUX_COSTS = "linux_costs.yaml"
"""Beside a backend's benchmarks: what Linux takes with devices of a PC, as measured."""
STEADY = ("disk_1", "disk_32", "send_1", "echo_1")
"""Operations whose numbers hardly differ from run to run: how many of many packets come at once is the other
side's doing."""
DRIFT = 0.1
"""By how much of itself a number of that list may differ from what is measured."""
REASONED = 1.25
"""So many times what Linux takes the library may take where there is a reason."""
MARKS = beside_linux.marks(Path(__file__).parent)
"""Of Linux's program: of a begin and of a round."""
DEVICE_ROUNDS = 32
REASONS = {
    "page_fault": "4,096 are its REP STOSB, of which QEMU counts each byte; Linux clears 8 bytes at a time",
    "move_1024": "each entry is looked up from the root; mremap goes along the tables",
}
"""Why the library takes more instructions than Linux, by operation, if it does."""


@dataclass(frozen=True)
class Pair:
    """A disk and a network of a PC."""

    name: str
    drivers: tuple[str, ...]
    """Linux's."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the guest; `qemu` is added to what else is said there, and {disk} in it is the disk's file."""
    disk: str = ""
    network: str = ""
    """As `Disk.device` and `Net.device` have them; those of the options if they are empty."""
    backend: str = BACKEND
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why the library takes more than Linux, by operation, if it does."""

    @property
    def word(self) -> str:
        """For names of files."""
        return self.name.replace(" and ", "-")


VIRTIO = Pair(
    "virtio", ("virtio-pci", "virtio-blk", "virtio-net"),
    options={"disk": f"{DISK_DEVICE},{AT_ONCE}", "net": f"{NET_DEVICE},{AT_ONCE}"},
)  # fmt: skip
PAIRS = (
    VIRTIO,
    Pair(
        "nvme and e1000",
        ("nvme", "e1000"),
        disk="nvme",
        network="e1000",
        reasons={"disk_32": "now and then 32 ends come in two parts, each told of; Linux's are one"},
    ),
    Pair("ahci and e1000e", ("ahci", "sd-mod", "e1000e"), disk="ahci", network="e1000e"),
)


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


# Disks and networks


@dataclass
class Figures:
    """Per request or packet, by operation."""

    instructions: dict[str, float] = field(default_factory=dict)
    """Without those of the time in which the processor rests."""
    accesses: dict[str, tuple[float, float]] = field(default_factory=dict)
    """To registers of devices, in the mean and in the median round."""
    words: dict[str, str] = field(default_factory=dict)
    """Which registers those of the mean are."""

    def add(self, name: str, instructions: int, rounds: Sequence[Counter[str]], each: int = 1) -> None:
        """Of all rounds; `each` of these are one of the list."""
        times = next(operation.times for operation in DEVICES if operation.name == name) * each
        every = sum(rounds, Counter())
        self.instructions[name] = instructions / len(rounds) / times
        totals = [made.total() / times for made in rounds]
        self.accesses[name] = statistics.mean(totals), statistics.median(totals)
        self.words[name] = ", ".join(
            f"{region} {number(count / len(rounds) / times)}" for region, count in sorted(every.items())
        )


def _traced(guest: Guest, rig: Rig, pair: Pair, disk: Disk, trace: Path) -> Guest:
    words = (rig.instruction_counter["qemu"], accesses.arguments(trace), pair.options.get("qemu", ""))
    options = {**guest.options, **pair.options, "qemu": " ".join(words).format(disk=disk.file).strip()}
    disks = () if "qemu" in pair.options else (replace(disk, device=pair.disk),)
    return replace(guest, options=options, disks=disks, nets=(Net(device=pair.network),))


def devices_guest(rig: Rig, arch: str, pair: Pair, disk: Disk, trace: Path) -> Guest:
    append = f"bench=one op={','.join(DEVICE_NAMES)} rounds={DEVICE_ROUNDS}"
    kernel = kernels("bench-bound", arch)[pair.backend]
    guest = Guest(kernel, f"{pair.word}-library-{arch}", append, deadline=DEADLINE)
    return _traced(guest, rig, pair, disk, trace)


def linux_devices_guest(rig: Rig, linux: Path, image: Path, pair: Pair, disk: Disk, trace: Path) -> Guest:
    line = beside_linux.command_line("ttyS0 tsc=reliable no_timer_check", DEVICE_NAMES)
    guest = linux_guest(rig, linux, image)
    return _traced(replace(guest, name=f"{pair.word}-linux", append=line), rig, pair, disk, trace)


def build_with_drivers(folder: Path, pair: Pair, report: Progress) -> Path:
    """Linux's initial RAM file system for devices."""
    files = beside_linux.VIRTIO_FILES if pair is VIRTIO else beside_linux.PC_FILES
    return beside_linux.build(
        folder, Path(__file__).parent, beside_linux.modules(pair.drivers, files, report)
    )


def of_devices(outcome: Outcome, trace: Path) -> Figures:
    """Of the library."""
    if not outcome.clean:
        raise UserError(f"{outcome.guest.name}: {outcome.end}; log: {outcome.log}")
    said = re.findall(
        r"^# bench (\w+) rounds=(\d+) .* all=(\d+) rested=(\d+) ", outcome.console, re.MULTILINE
    )
    if [name for name, *_ in said] != list(DEVICE_NAMES):
        raise UserError(f"the sample kernel measured {said}; expected {', '.join(DEVICE_NAMES)}")
    found = Figures()
    made = accesses.between(accesses.read(trace), len(said))
    for (name, rounds, every, rested), seen in zip(said, made, strict=True):
        found.add(name, int(every) - int(rested), [accesses.by_region(seen)], int(rounds))
    return found


def of_linux_devices(outcome: Outcome, trace: Path) -> Figures:
    """UserError if a round is missing. Of packets that are sent the instructions are those of giving them:
    Linux's program looks for their end without a rest."""

    def said(pattern: str) -> dict[str, int]:
        return {name: int(ticks) for name, ticks in re.findall(pattern, outcome.console, re.MULTILINE)}

    rounds = said(r"^# workload (\w+) rounds=(\d+)")
    every, rested = said(r"^# took (\w+) .* all=(\d+)"), said(r"^# rested (\w+) nanoseconds=(\d+)")
    gave = said(r"^# gave (\w+) ticks=(\d+)")
    made = accesses.rounds(accesses.read(trace), *MARKS)
    if list(rounds) != list(DEVICE_NAMES) or list(rounds.values()) != [len(each) for each in made]:
        raise UserError(f"Linux's rounds are {rounds}, and QEMU saw {[len(each) for each in made]}")
    found = Figures()
    for name, seen in zip(rounds, made, strict=True):
        instructions = gave[name] if name in gave else every[name] - rested[name]
        found.add(name, instructions, [accesses.by_region(each) for each in seen])
    return found


def linux_costs(pair: Pair) -> dict[str, float]:
    """Accesses of Linux's to registers of these devices, by operation, as its list has them."""
    path = ROOT / "backends" / pair.backend / "bench" / LINUX_COSTS
    found = YAML(typ="safe").load(path)["accesses"].get(pair.name, {})
    if list(found) != list(DEVICE_NAMES):
        raise UserError(
            f"{path}: {pair.name} has {', '.join(found) or 'nothing'}; expected {', '.join(DEVICE_NAMES)}"
        )
    return dict(found)


def drifted(pair: Pair, linux: Figures) -> list[str]:
    """Where something else is measured than the list has, each in a line."""
    costs = linux_costs(pair)
    return [
        f"{LINUX_COSTS}: {pair.name}, {name}: {costs[name]:g} accesses, and {linux.accesses[name][0]:.4g} now"
        for name in STEADY
        if abs(costs[name] - linux.accesses[name][0]) > DRIFT * costs[name]
    ]


def worse(pair: Pair, library: Figures) -> list[str]:
    """Where the library takes more than the list says of Linux, or much more although there is a reason."""
    return [
        f"{name}: {library.accesses[name][0]:.4g} accesses, Linux {listed:g}"
        for name, listed in linux_costs(pair).items()
        if library.accesses[name][0] > listed * (REASONED if name in pair.reasons else 1)
    ]


def device_rows(library: Figures, linux: Figures, reasons: Mapping[str, str]) -> tuple[list[Row], list[Row]]:
    """Instructions, and accesses."""

    def made(ours: Mapping[str, float], theirs: Mapping[str, tuple[float, float]]) -> list[Row]:
        return [
            Row(each, ours[each.name], *theirs[each.name], reasons.get(each.name, "")) for each in DEVICES
        ]

    instructions = {name: (value, value) for name, value in linux.instructions.items()}
    return (
        made(library.instructions, instructions),
        made({name: mean for name, (mean, _) in library.accesses.items()}, linux.accesses),
    )


def beside_devices(
    rows: tuple[list[Row], list[Row]], library: Figures, linux: Figures, pair: Pair, arch: str, version: str
) -> list[str]:
    """Lines of one table of both."""
    instructions, made = rows
    title = (
        f"accesses to registers of {pair.name} per request and packet, {arch} beside Linux {version}, "
        "on the same PC"
    )
    cells = {each.operation.name: each for each in instructions}
    columns = {name: f"{number(each.library)}, Linux's {number(each.linux)}" for name, each in cells.items()}
    words = library.words, linux.words
    goals = DEVICE_GOALS if pair is VIRTIO else None
    return beside_linux.beside(made, title, goals, words, "mean", column=("instructions", columns))


def measure_linux(rig: Rig, pair: Pair, folder: Path, report: Progress) -> tuple[Figures, str]:
    """Linux with these devices, and its version; `folder` is for files of the run."""
    kernel, version = beside_linux.distribution_linux(report)
    image, trace = build_with_drivers(folder, pair, report), folder / "trace"
    disk = beside_linux.blank_disk(folder)
    with rig.session(RESULTS / "bench") as session:
        outcome = session.run(linux_devices_guest(rig, kernel, image, pair, disk, trace))
    return of_linux_devices(outcome, trace), version


def measure_library(rig: Rig, pair: Pair, arch: str, folder: Path) -> Figures:
    """The library with these devices."""
    trace, disk = folder / "trace", beside_linux.blank_disk(folder)
    with rig.session(RESULTS / "bench") as session:
        outcome = session.run(devices_guest(rig, arch, pair, disk, trace))
    return of_devices(outcome, trace)


def compare_devices(rig: Rig, pair: Pair, linux: Figures, version: str, arch: str, folder: Path) -> list[str]:
    """Prints the table of both; what does not hold, each in a line."""
    library = measure_library(rig, pair, arch, folder)
    both = device_rows(library, linux, pair.reasons)
    print("\n".join(beside_devices(both, library, linux, pair, arch, version)))
    return [
        f"{row.operation.title}: more than Linux"
        for made in both for row in made if row.worse and not row.reason
    ] + drifted(pair, linux)  # fmt: skip
