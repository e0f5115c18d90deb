# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Linux's KVM with its own interface: see ci/nested.py for what it runs on."""

from __future__ import annotations

import re

from ci.nested import NestedRig
from ci.rig import Configuration, Outcome


class BackendRig(NestedRig):
    configurations = (Configuration("kvm", "KVM"),)

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the library says about KVM (its lines `# kvm …`), and KVM's own count of hypercalls."""
        lines = re.findall(r"^# kvm (.*?)\r?$", outcome.console, re.MULTILINE)
        said = dict(re.findall(r"(\w+)=(\S+)", " ".join(lines)))
        facts = {
            name: said[name] for name in ("vendor", "transfer", "features", "offered", "used") if name in said
        }
        counted = self.counter(outcome, "hypercalls")
        return facts | ({"hypercalls that KVM counted": counted} if counted else {})
