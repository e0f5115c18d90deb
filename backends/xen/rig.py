# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""PV domains: see ci/xl.py for what they run on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ci.kernel import LINUX, XEN_PV, architecture
from ci.probe import Done
from ci.rig import Configuration, Guest, Live, Outcome
from ci.util import ARCHITECTURES
from ci.witness import Hypercall, software_interrupts
from ci.xentrace import PV, mask
from ci.xl import XlRig, XlSession

PV_HYPERCALL = 0x82
# xen/xen.h, __HYPERVISOR_*; the list's entry is eight 32-bit words for an i386 guest.
MMU_UPDATE = 1
MULTICALL = 13
MMUEXT_OP = 26
MMU_UPDATE_PREEMPTED = 1 << 31
MULTICALL_ENTRY = 32


def without_repetitions(hypercalls: Sequence[Hypercall]) -> list[Hypercall]:
    """The hypercalls that a guest made, without those by which Xen goes on with a long one.

    Xen may break a hypercall off, let the guest's CPU do other things and enter it again by the same
    instruction. It marks mmu_update and mmuext_op then (xen/xen.h, MMU_UPDATE_PREEMPTED); multicall it
    enters with what is left of the list, which is all of it if the first entry was broken off. The guest
    itself never uses the same list twice running.
    """
    kept = []
    last: dict[str, Hypercall] = {}
    for each in hypercalls:
        before = last.get(each.processor)
        last[each.processor] = each
        if each.number in (MMU_UPDATE, MMUEXT_OP) and each.arguments[1] & MMU_UPDATE_PREEMPTED:
            continue
        if each.number == MULTICALL and before and before.number == MULTICALL:
            done = before.arguments[1] - each.arguments[1]
            if (
                (before.address, before.stack) == (each.address, each.stack)
                and done >= 0
                and each.arguments[0] == before.arguments[0] + done * MULTICALL_ENTRY
            ):
                continue
        kept.append(each)
    return kept


def wrong_vectors(done: Done | None) -> str:
    """What the probe's end means."""
    if done and done.returncode == 0x10 << 1 | 1:
        return ""
    return "programs in this rig can make int 0x80 only: QEMU before 8.0 gives Xen a wrong vector for others"


class PvSession(XlSession):
    """In the rig, with another witness for hypercalls by software interrupt, which Xen's trace does not have
    from below its shim: the outer QEMU's exception log, on only while the guest runs."""

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        if not guest.witness or self.rig.trace_events(guest):
            return super().run(guest, live)
        interrupts = self.control.share / "int.log"
        interrupts.write_bytes(b"")
        self.control.monitor(f"logfile {interrupts}")
        self.control.monitor("log int")
        try:
            outcome = super().run(guest, live)
        finally:
            self.control.monitor("log none")
        outcome.witness = without_repetitions(software_interrupts(interrupts, PV_HYPERCALL))
        rings = Counter(f"cpl {each.privilege} cs {each.selector:#x}" for each in outcome.witness)
        outcome.evidence["int82"] = [f"{ring}: {count}" for ring, count in sorted(rings.items())]
        return outcome


class BackendRig(XlRig):
    # 64-bit domains need no shim, which would give its guest no frames of devices. Where kernels of checks
    # look for one the rig's machine has neither memory nor a device.
    configurations = (
        Configuration(
            "xen", "Xen, PV", {"config": "pv"}, wide_options={"config": "pv64", "iomem": "e0000,1000"}
        ),
    )
    session_type = PvSession
    takes = (XEN_PV, LINUX)

    witnesses = True
    # A process is left and entered by Xen on x86-64: a return is a hypercall.
    hypercall_goals = {
        "i386": {
            "system_call": 0,
            "page_fault": 1,
            "context_switch": 1,
            "map_unmap_1024": 8,
            "process_create_exit": 8,
            "timer_tick": 1,
        },
        "x86_64": {
            "system_call": 1,
            "page_fault": 2,
            "context_switch": 1,
            "map_unmap_1024": 8,
            "process_create_exit": 8,
            "timer_tick": 1,
        },
    }

    def trace_events(self, guest: Guest) -> int:
        """QEMU's log does not have SYSCALL."""
        return 0 if architecture(guest.kernel) == ARCHITECTURES[0] else mask(PV)

    balloons = ARCHITECTURES[1:]  # in xen-shim memory/target is not the kernel's alone

    def requested(self, architecture: str) -> tuple[str, ...]:
        """Saving xen-shim takes minutes here, and its restore has not been seen to end."""
        shim = architecture == ARCHITECTURES[0]
        return tuple(word for word in self.requests if word != "suspend" or not shim)

    def no_core(self, architecture: str) -> str:
        if architecture == ARCHITECTURES[0]:
            return "a dump of its domain is one of xen-shim, which has the kernel's registers"
        return super().no_core(architecture)

    def translated(self, architecture: str) -> bool:
        """That of xen-shim is, and the kernel's lies in it."""
        return architecture == ARCHITECTURES[0]

    def sees_exits(self, architecture: str) -> bool:
        """What enters xen-shim, Xen below it does not see."""
        return architecture != ARCHITECTURES[0]

    def prepare(self) -> None:
        super().prepare()
        self.witnesses = self.host is None
        if self.witnesses and (wrong := self.probe(self.folder / "int-probe.S", wrong_vectors)):
            self.report(wrong)
