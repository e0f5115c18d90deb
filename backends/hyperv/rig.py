# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Hyper-V interface as Linux's KVM has it: see ci/nested.py for what that runs on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ci.ktap import Report
from ci.nested import NestedRig
from ci.rig import Configuration, Outcome

ENLIGHTENMENTS = (
    "relaxed", "vapic", "spinlocks=0xfff", "vpindex", "runtime", "crash", "time", "synic", "stimer",
    "stimer-direct", "frequencies", "tlbflush", "ipi",
)  # fmt: skip


class BackendRig(NestedRig):
    configurations = (Configuration("hyperv", "Hyper-V interface"),)
    exits_of = "KVM with Hyper-V's interface"
    unmodified: Mapping[str, Mapping[str, str]] = {"nested paging": {}}

    cpu = ",".join(["host", *(f"hv-{name}" for name in ENLIGHTENMENTS)])
    # A crash is reported (QEMU's log has its parameters), but the machine goes on to its own end.
    arguments = "-action panic=none -d guest_errors"

    def describe(self) -> dict[str, str]:
        return {"hyperv": "interface, as KVM has it", **super().describe()}

    def findings(self, outcome: Outcome, report: Report) -> list[str]:
        """All that the guest gets is used."""
        found = super().findings(outcome, report)
        return found + [
            f"{test.name}: {test.reason}" for test in report.tests if test.reason.startswith("no hypercall")
        ]

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the library says it uses (its line `# hyperv …`), and KVM's own count of hypercalls."""
        facts = {}
        said = re.search(r'^# hyperv vendor="(.*)" used=(\S+)', outcome.console, re.MULTILINE)
        if said:
            facts = {"vendor": said[1], "used": said[2]}
        counted = self.counter(outcome, "hypercalls")
        return facts | ({"hypercalls that KVM counted": counted} if counted else {})
