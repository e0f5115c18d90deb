# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls as QEMU's own exception log sees them: a witness that does not depend on the guest.

With `-d int` QEMU under TCG logs every interrupt and exception of the machine that it emulates, with
the processor's state. A guest of a hypervisor that is entered by a software interrupt leaves

    12: v=82 e=0000 i=1 cpl=1 IP=e019:c0102256 pc=… SP=e021:… env->regs[R_EAX]=000000000000000c
    EAX=0000000c EBX=… ECX=… EDX=…
    ESI=… EDI=… EBP=… ESP=…
    …
    TR =e040 40819040 …

for each of its hypercalls: the privilege level it came from, its number and arguments, and, by the
task register, on which of the hypervisor's processors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ENTRY = re.compile(rb"^ *\d+: v=(\w\w) e=\w+ i=1 cpl=(\d) IP=(\w+):\w+ ")
_REGISTER = re.compile(rb"\b(E[A-Z]{2})=(\w{8})\b")


@dataclass(frozen=True)
class Hypercall:
    """One entry into the hypervisor, as it was when the guest made it."""

    number: int
    arguments: tuple[int, ...]
    """By i386 argument registers: ebx, ecx, edx, esi, edi."""
    privilege: int
    selector: int
    address: int
    stack: int
    processor: str
    """The task state segment's base, which is each processor's own."""


def software_interrupts(log: Path, vector: int) -> list[Hypercall]:
    """The software interrupts through `vector` from 32-bit code, in the order in which they happened."""
    needle = b"v=%02x" % vector
    found: list[Hypercall] = []
    with open(log, "rb") as file:
        for line in file:
            if needle not in line or not (entry := _ENTRY.match(line)) or int(entry[1], 16) != vector:
                continue
            registers: dict[str, int] = {}
            processor = ""
            for state in file:
                for name, value in _REGISTER.findall(state):
                    registers[name.decode()] = int(value, 16)
                if state.startswith(b"TR ="):
                    processor = state.split()[2].decode()
                    break
            if "EAX" not in registers:
                continue
            arguments = tuple(registers[name] for name in ("EBX", "ECX", "EDX", "ESI", "EDI"))
            found.append(
                Hypercall(registers["EAX"], arguments, int(entry[2]), int(entry[3], 16),
                          registers["EIP"], registers["ESP"], processor)
            )  # fmt: skip
    return found


def before_mark(hypercalls: list[Hypercall], mark: int) -> list[Hypercall]:
    """What the guest made before it marked the instant of its counts (docs/architecture.md, "Guest
    output"): the mark is the last hypercall whose second argument is `mark`."""
    for number in range(len(hypercalls) - 1, -1, -1):
        if hypercalls[number].arguments[1] == mark:
            return hypercalls[:number]
    return []


def between_marks(hypercalls: list[Hypercall], mark: int) -> list[int]:
    """How many hypercalls a guest made from the first mark to the second, from the third to the fourth, and
    so on."""
    marks = [number for number, each in enumerate(hypercalls) if each.arguments[1] == mark]
    return [end - start - 1 for start, end in zip(marks[::2], marks[1::2], strict=True)]
