# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""VMware's backdoor as QEMU answers it: a plain PC under TCG with `vmport=on`. It is not VMware."""

from __future__ import annotations

import re
from typing import Any

from ci.ktap import Report
from ci.rig import Configuration, Outcome, rig_class

Parent: Any = rig_class("native")


class BackendRig(Parent):  # type: ignore[misc]  # known only when it runs
    # Only VMware's own CPUID leaves make a kernel bind itself to this library, and QEMU has none.
    configurations = (Configuration("vmware", "VMware backdoor", bound_append="vmi.provider=vmware"),)
    machine = "pc,vmport=on"
    net_devices = (*Parent.net_devices, "vmxnet3")
    balloons = ()  # the library has no driver for QEMU's

    def describe(self) -> dict[str, str]:
        return {
            "machine": f"PC ({self.machine}, TCG)",
            "backdoor": "as QEMU answers it",
            "qemu": super().describe()["qemu"],
        }

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the library says of the backdoor (its line `# vmware …`)."""
        found = re.search(r"^# vmware (.*?)\r?$", outcome.console, re.MULTILINE)
        return dict(re.findall(r"(\w+)=(\S+)", found[1])) if found else {}

    def findings(self, outcome: Outcome, report: Report) -> list[str]:
        """QEMU has a backdoor, so the library has to find it."""
        found = re.search("^# vmware version=", outcome.console, re.MULTILINE)
        return [] if found else ["no backdoor was found"]
