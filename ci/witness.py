# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls as QEMU's own exception log sees them: a witness that does not depend on the guest.

With `-d int` QEMU under TCG logs every interrupt and exception of the machine it emulates. An i386 PV
guest of Xen enters the hypervisor by `int $0x82`, which is logged as

    12: v=82 e=0000 i=1 cpl=1 IP=e019:c0102256 pc=… SP=e021:… env->regs[R_EAX]=000000000000000c

with the privilege level it came from and, in EAX, the hypercall's number. Nothing else in the machine
uses that vector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ENTRY = re.compile(rb"^ *\d+: v=(\w\w) e=\w+ i=1 cpl=(\d) IP=(\w+):\w+ .*env->regs\[R_EAX\]=(\w+)")


@dataclass(frozen=True)
class Entry:
    """One software interrupt."""

    number: int
    privilege: int
    selector: int


def software_interrupts(log: Path, vector: int) -> list[Entry]:
    """The software interrupts through `vector`, in the order in which they happened."""
    needle = b"v=%02x" % vector
    entries = []
    with open(log, "rb") as file:
        for line in file:
            if needle in line:
                found = _ENTRY.match(line)
                if found and int(found[1], 16) == vector:
                    # The upper half of RAX is not the guest's: it runs in 32-bit mode.
                    entries.append(
                        Entry(int(found[4], 16) & 0xFFFFFFFF, int(found[2]), int(found[3], 16))
                    )
    return entries
