# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits: what makes a guest leave for its hypervisor, one by one, as the hypervisor itself has noted it
(ci/kvmtrace.py, ci/xentrace.py).

A guest marks an instant by CPUID of a leaf that says which (docs/architecture.md, "Guest output"): CPUID
always leaves the guest.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

HOSTS = ("interrupt", "nmi")
"""Reasons that are the host's own interrupts: no operation of a guest causes them."""
NO_MEMORY = "npf"
"""A nested page fault (AMD APM vol. 2, 15.25.6): for a device's page, or for memory that the host has yet to
give, which says nothing about the guest either."""
DEVICES = 0xC0000000
"""Below it a PC of QEMU with no more memory than that has memory alone, and above it devices."""
ANY_MARK = -1
LINEAR = 0xC0000000
"""Kernels are linked at this address or above it (runtime/arch/ARCH/kernel.ld)."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A virtual CPU has left the guest."""

    cpu: int
    reason: str
    """KVM's word in lower case: `vmmcall`, `msr`, `hlt`; of a guest that the processor does not virtualize,
    what it wanted."""
    address: int = 0
    """Of the instruction."""
    info: tuple[int, int] = (0, 0)
    """EXITINFO1 and EXITINFO2 (AMD APM vol. 2, appendix C)."""
    leaf: int | None = None
    """Of a CPUID; ANY_MARK of one that is a mark where nothing tells which."""
    number: int | None = None
    """Of a hypercall, where the hypervisor notes it."""

    @property
    def hosts(self) -> bool:
        """Whether it is for something that the host has to do, and not for what the guest does."""
        return self.reason in HOSTS or (self.reason == NO_MEMORY and self.info[1] < DEVICES)


def by_reason(exits: Iterable[Exit]) -> Counter[str]:
    """How many a guest has caused, by reason."""
    return Counter(each.reason for each in exits if not each.hosts)


def _before_mark(exits: Sequence[Exit], mark: Exit) -> list[Exit]:
    """Without the write to DR0 that belongs to a mark, if that leaves the guest; it does so again if the host
    interrupts it."""
    found = list(exits)
    for place in range(len(found) - 1, -1, -1):
        if found[place].cpu == mark.cpu and not found[place].hosts:
            if found[place].reason != "write_dr0":
                break
            del found[place]
    return found


def between(exits: Sequence[Exit], leaf: int) -> Iterator[list[Exit]]:
    """What lies between a guest's first mark of that leaf and its second, the third and the fourth, and so
    on; ValueError if one has no second. Of marks that cannot be told apart the last one is left out if it has
    no first: it is that of the guest's counts."""
    places = [place for place, each in enumerate(exits) if each.leaf in (leaf, ANY_MARK)]
    if len(places) % 2 and exits[places[-1]].leaf == ANY_MARK:
        places.pop()
    for start, end in zip(places[::2], places[1::2], strict=True):
        yield _before_mark(exits[start + 1 : end], exits[end])


def before_first(exits: Sequence[Exit], leaf: int) -> list[Exit]:
    """What comes before a guest's first mark; ValueError if it has made none."""
    for place, each in enumerate(exits):
        if each.leaf in (leaf, ANY_MARK):
            return _before_mark(exits[:place], each)
    raise ValueError("no mark")


def of_kernel(exits: Sequence[Exit]) -> list[Exit]:
    """Without those of firmware and of the kernel's first steps, before it runs where it is linked; all where
    addresses are not noted."""
    if not any(each.address for each in exits):
        return list(exits)
    return list(itertools.dropwhile(lambda each: each.address < LINEAR, exits))


def rounds_of(exits: Sequence[Exit], begin: int, round_: int) -> list[list[list[Exit]]]:
    """For each workload, a mark of leaf `begin`, what lies between one mark of leaf `round_` and the next."""
    found: list[list[list[Exit]]] = []
    started: int | None = None
    for place, each in enumerate(exits):
        if each.leaf == begin:
            found.append([])
            started = None
        elif each.leaf == round_ and found:
            if started is not None:
                found[-1].append(list(exits[started + 1 : place]))
            started = place
    return found
