# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""PVH domains: see ci/xl.py for what they run on.

The rig's machine is emulated, and QEMU up to 10.0 at least sets the accessed bit in PAE's
page-directory-pointer entries, where it is reserved. When Xen then has to walk the tables of a kernel
with PAE itself, to decode an instruction or to read a hypercall's argument, it finds a reserved bit
set and tries again for ever. Where a probe finds this, the rig boots the kernel that needs no page
tables, on a processor without PAE.
"""

from __future__ import annotations

import shutil

from ci.kernel import LINUX, PVH
from ci.probe import Done
from ci.rig import Configuration, Guest
from ci.util import ARCHITECTURES, Progress
from ci.xentrace import HVM, mask
from ci.xl import OUTER_QEMU, XlRig

EMULATOR_WALKS = (
    "this machine's QEMU sets a reserved bit in PAE page tables, on which Xen's own walk of them fails"
)


def limitation(done: Done | None) -> str:
    """What the probe's end means."""
    return "" if done and done.returncode == 0x10 << 1 | 1 else EMULATOR_WALKS


class BackendRig(XlRig):
    configurations = (Configuration("xen_pvh", "Xen, PVH", {"config": "pvh"}),)
    takes = (PVH, LINUX)
    balloons = ARCHITECTURES
    witnesses = True
    # Either asks for each frame up to the highest, of which there are a million: pages for the domain and its
    # toolstack lie below 4 GiB, however little memory it has.
    slow = ("suspend",)
    cores = "xl dump-core of such a domain takes many minutes here"

    def no_core(self, architecture: str) -> str:
        return super().no_core(architecture) or self.cores

    def translated(self, architecture: str) -> bool:
        return True

    def __init__(self, backend: str, report: Progress) -> None:
        super().__init__(backend, report)
        if not shutil.which(OUTER_QEMU) or self._host_info() is not None:
            return
        limited = self.probe(self.folder / "pdpte-probe.S", limitation)
        if limited:
            options = {"config": "nopae"}
            self.configurations = (
                Configuration("xen_pvh", "Xen, PVH without PAE", options, limited, {"config": "pvh"}),
            )

    def prepare(self) -> None:
        super().prepare()
        self.witnesses = self.host is None

    def trace_events(self, guest: Guest) -> int:
        return mask(HVM)
