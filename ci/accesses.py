# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Accesses of an emulated machine's processors to devices' registers, one by one, as QEMU's own trace has
them (events memory_region_ops_read and memory_region_ops_write). Accesses to configuration space are to
ports, and are other regions'.

A guest marks an instant by a write to port 0x80, which shows codes and does nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "ioport80"
"""QEMU's name of that port."""
DEVICES = ("virtio-", "msix-", "nvme", "ahci", "e1000", "pvscsi", "vmxnet3")
"""How names of registers of disks and networks begin."""

_LINE = re.compile(
    r"memory_region_ops_(read|write) cpu \d+ mr 0x\w+ addr 0x\w+ value 0x(\w+) size \d+ name '([^']+)'"
)


@dataclass(frozen=True, slots=True)
class Access:
    write: bool
    region: str
    value: int

    @property
    def devices(self) -> bool:
        return self.region.startswith(DEVICES)

    @property
    def mark(self) -> int | None:
        return self.value if self.write and self.region == MARK else None


def arguments(file: Path) -> str:
    """QEMU's, for a trace in that file."""
    return f"-trace memory_region_ops_read -trace memory_region_ops_write -D {file}"


def read(file: Path) -> list[Access]:
    return [
        Access(kind == "write", region, int(value, 16))
        for kind, value, region in _LINE.findall(file.read_text(errors="replace"))
    ]


def by_region(accesses: Iterable[Access]) -> Counter[str]:
    """Accesses to registers of devices, by region and way."""
    return Counter(f"{'write' if each.write else 'read'} {each.region}" for each in accesses if each.devices)


def between(accesses: Sequence[Access], count: int) -> list[list[Access]]:
    """What lies between the last `count` pairs of marks; ValueError if there are fewer."""
    places = [place for place, each in enumerate(accesses) if each.mark is not None][-2 * count :]
    if len(places) < 2 * count:
        raise ValueError(f"expected {2 * count} marks, found {len(places)}")
    return [list(accesses[start + 1 : end]) for start, end in zip(places[::2], places[1::2], strict=True)]


def rounds(accesses: Sequence[Access], begin: int, round_: int) -> list[list[list[Access]]]:
    """For each mark `begin`, what lies between one mark `round_` and the next."""
    found: list[list[list[Access]]] = []
    started: int | None = None
    for place, each in enumerate(accesses):
        if each.mark == begin:
            found.append([])
            started = None
        elif each.mark == round_ and found:
            if started is not None:
                found[-1].append(list(accesses[started + 1 : place]))
            started = place
    return found
