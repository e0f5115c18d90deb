# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Linux's KVM with its own interface: see ci/nested.py for what it runs on."""

from __future__ import annotations

import re

from ci.ktap import Report
from ci.nested import NestedRig
from ci.rig import Configuration, Outcome


class BackendRig(NestedRig):
    configurations = (Configuration("kvm", "KVM"),)

    def said(self, outcome: Outcome) -> dict[str, str]:
        """What the library says about KVM (its lines `# kvm …`)."""
        lines = re.findall(r"^# kvm (.*?)\r?$", outcome.console, re.MULTILINE)
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(lines)))

    def findings(self, outcome: Outcome, report: Report) -> list[str]:
        """A feature that is offered makes its hypercalls (`when:` in backend.yaml names it)."""
        said = self.said(outcome)
        found = super().findings(outcome, report)
        if "clocksource2" not in said.get("used", ""):  # there since Linux 2.6.35
            found.append("the library uses no KVM clock")
        for test in report.tests:
            feature = re.search(r"it is made if KVM offers (\w+)", test.reason)
            if feature and feature[1].lower() in said.get("offered", "").split(","):
                found.append(f"{test.name}: KVM offers {feature[1]}, and no hypercall was made")
        return found

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the library says about KVM, and KVM's own count of hypercalls."""
        said = self.said(outcome)
        facts = {
            name: said[name] for name in ("vendor", "transfer", "features", "offered", "used") if name in said
        }
        counted = self.counter(outcome, "hypercalls")
        return facts | ({"hypercalls that KVM counted": counted} if counted else {})
