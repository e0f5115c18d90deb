# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""VMware's backdoor as QEMU answers it: a plain PC under TCG with `vmport=on`. It is not VMware."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.ktap import Report
from ci.rig import (
    DEBUG_EXIT,
    QEMU_END,
    Configuration,
    Guest,
    Live,
    Machine,
    Outcome,
    Rig,
    Session,
    run_machine,
)  # fmt: skip
from ci.util import UserError

QEMU = "qemu-system-i386"


class PcSession(Session):
    """Nothing is kept between guests: each has a machine of its own."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        machine = Machine(
            qemu=QEMU,
            machine=guest.options.get("machine", "pc,vmport=on"),
            cpu=guest.options.get("cpu", "qemu32"),
            memory=f"{guest.memory_mib}M",
            kernel=guest.kernel,
            append=f"{DEBUG_EXIT} {guest.append}".rstrip(),
            extra=("-accel", "tcg", "-smp", str(guest.cpus), "-nodefaults", "-no-user-config", *QEMU_END,
                   *guest.options.get("qemu", "").split()),
        )  # fmt: skip
        return run_machine(machine, guest, self.logs, live)


class BackendRig(Rig):
    """Options of a guest: `cpu` and `machine` (QEMU's -cpu and -machine), `qemu` (further arguments)."""

    configurations = (Configuration("vmware", "VMware backdoor"),)
    instruction_counter = {"qemu": "-icount shift=0"}

    def describe(self) -> dict[str, str]:
        try:
            shown = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
        except FileNotFoundError:
            raise UserError(f"{QEMU}: not found; ./vmi setup installs it") from None
        machine = "PC (pc,vmport=on, TCG)"
        return {"machine": machine, "backdoor": "as QEMU answers it", "qemu": shown.split()[3]}

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the library says of the backdoor (its line `# vmware …`)."""
        found = re.search(r"^# vmware (.*?)\r?$", outcome.console, re.MULTILINE)
        return dict(re.findall(r"(\w+)=(\S+)", found[1])) if found else {}

    def findings(self, outcome: Outcome, report: Report) -> list[str]:
        """QEMU has a backdoor, so the library has to find it."""
        found = re.search("^# vmware version=", outcome.console, re.MULTILINE)
        return [] if found else ["no backdoor was found"]

    @contextlib.contextmanager
    def session(self, kernels: Sequence[Path], logs: Path) -> Iterator[Session]:
        yield PcSession(logs)
