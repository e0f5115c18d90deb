# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls as they are seen from outside: a witness that does not depend on the guest.

One is QEMU's own exception log; ci/xentrace.py is another. With `-d int` QEMU under TCG logs every interrupt
and exception of the machine that it emulates, with the processor's state. A guest of a hypervisor that is
entered by a software interrupt leaves

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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ENTRY = re.compile(rb"^ *\d+: v=(\w\w) e=\w+ i=1 cpl=(\d) IP=(\w+):\w+ ")
UNSEEN = -1
_REGISTER = re.compile(rb"\b(E[A-Z]{2})=(\w{8})\b")


@dataclass(frozen=True)
class Hypercall:
    """One entry into the hypervisor, as it was when the guest made it."""

    number: int
    arguments: tuple[int, ...]
    """In the order of the argument registers; UNSEEN where the witness does not see one, as below."""
    privilege: int = UNSEEN
    selector: int = UNSEEN
    address: int = UNSEEN
    stack: int = UNSEEN
    processor: str = ""
    """Which of the hypervisor's, or of the guest's, as the witness tells them apart."""
    may_repeat: bool = False
    """Whether this may be the hypervisor going on with the one before, and the witness cannot tell."""


@dataclass(frozen=True)
class Mark:
    """An instant that the guest has marked (docs/architecture.md, "Guest output")."""

    value: int | None
    """None if the witness sees that it is a mark, and not which; the address behind the instruction where
    that is all it sees."""
    made_by: Hypercall | None = None
    """If it is a hypercall as well."""


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


def _marks(seen: Sequence[Hypercall | Mark], mark: int) -> list[int]:
    """Where the marks of a value stand; those of unknown value are taken for it."""
    return [
        number
        for number, each in enumerate(seen)
        if (each.value in (None, mark) if isinstance(each, Mark) else each.arguments[1] == mark)
    ]


def hypercalls(seen: Sequence[Hypercall | Mark]) -> list[Hypercall]:
    """The hypercalls alone, those that are marks included."""
    made = (each.made_by if isinstance(each, Mark) else each for each in seen)
    return [each for each in made if each]


def differences(seen: Sequence[Hypercall], counted: Mapping[int, int]) -> dict[int, str]:
    """By number where a guest's counts are not what was seen, those aside that may have been repeated."""
    every = Counter(each.number for each in seen)
    sure = Counter(each.number for each in seen if not each.may_repeat)
    return {
        number: f"counted {counted.get(number, 0)}, seen {every[number]}"
        for number in sorted({*every, *counted})
        if not sure[number] <= counted.get(number, 0) <= every[number]
    }


def before_mark(seen: Sequence[Hypercall | Mark], mark: int) -> list[Hypercall]:
    """What the guest made before it marked the instant of its counts (docs/architecture.md, "Guest
    output"), which is its last mark."""
    marks = _marks(seen, mark)
    return hypercalls(seen[: marks[-1]]) if marks else []


def between_marks(seen: Sequence[Hypercall | Mark], mark: int) -> list[int]:
    """How many hypercalls a guest made from the first mark to the second, from the third to the fourth, and
    so on."""
    marks = _marks(seen, mark)
    if marks and isinstance(last := seen[marks[-1]], Mark) and last.value is None:
        marks.pop()  # of unknown value, as all of them: the last is that of all counts
    return [
        len(hypercalls(seen[start + 1 : end])) for start, end in zip(marks[::2], marks[1::2], strict=True)
    ]


def of_workloads(seen: Sequence[Hypercall | Mark], mark: int) -> list[int]:
    """The hypercalls of each workload, in the order of the guest's lines `# workload` (docs/architecture.md,
    "Guest output"): those of a process that does nothing are taken off the first two."""
    process, calls, again, faults, *others = between_marks(seen, mark)
    if process != again:
        raise ValueError(f"a process that does nothing makes {process} hypercalls, and {again} the next time")
    return [calls - process, faults - again, *others]
