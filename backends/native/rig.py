# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A plain PC: QEMU with TCG, which emulates the processor, so that every instruction is the hardware's."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ci import flavour
from ci.firmware import OWN_LINES, WAYS, remove
from ci.kernel import architecture
from ci.rig import (
    DEBUG_EXIT,
    PC_DISK_DEVICES,
    PC_NET_DEVICES,
    QEMU_END,
    QEMU_LIVES,
    Configuration,
    Guest,
    Live,
    Machine,
    Outcome,
    Rig,
    Session,
    option_rom,
    qemu_core,
    qemu_disks,
    qemu_gdb,
    qemu_memory_file,
    qemu_modules,
    qemu_nets,
    qemu_rng,
    qemu_snapshots,
    run_machine,
)  # fmt: skip
from ci.util import ARCHITECTURES, UserError

QEMU = "qemu-system-x86_64"
DEBUGGED = {"i386": "qemu-system-i386", "x86_64": QEMU}
"""gdb takes a file for 32 bits on the stub of a machine that has no others."""
CPUS = {"i386": "qemu32", "x86_64": "qemu64"}


MICROVM = "microvm"
"""QEMU's PC without PCI."""
MODERN = ("-global", "virtio-mmio.force-legacy=off")
"""For it: else devices have the interface that virtio had before its first version."""
PLACES = " ".join(f"virtio_mmio.device=512@{0xFEB00000 + 512 * bus:#x}:{5 + bus}" for bus in range(8))
"""Where its devices are or could be, which QEMU tells Linux alone (hw/i386/microvm.c; without ACPI)."""
ROWS = (
    Configuration(
        "native-checked", "hardware, and each rule of the interface checked", flavour=flavour.CHECKED
    ),
    Configuration(
        MICROVM,
        "hardware without PCI",
        options={
            "machine": f"{MICROVM},acpi=off",
            "disk": "virtio-blk-device",
            "net": "virtio-net-device",
            "rng": "virtio-rng-device",
        },
        on={"machine": f"PC without PCI ({MICROVM}, TCG)"},
    ),
)


def has_no_pci(machine: str) -> bool:
    """Whether QEMU's machine, with what is asked of it, is such a one."""
    return machine.startswith(MICROVM)


class PcSession(Session):
    """Nothing is kept between guests: each has a machine of its own."""

    def __init__(self, machine: str, logs: Path) -> None:
        self.machine = machine
        self.logs = logs

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        arch = architecture(guest.kernel)
        kind = guest.options.get("machine", self.machine)
        without_pci = has_no_pci(kind)
        words = ("" if guest.core else DEBUG_EXIT, PLACES if without_pci else "", guest.append)
        append = " ".join(filter(None, words))
        firmware = WAYS.get(guest.firmware)
        medium = firmware.place(self.logs / guest.name) if firmware else None
        modules = (
            firmware.make(guest.kernel, append, guest.modules, medium)
            if firmware and medium else qemu_modules(guest)
        )  # fmt: skip
        balloon = "virtio-balloon-device" if without_pci else "virtio-balloon-pci"
        machine = Machine(
            qemu=DEBUGGED[arch] if guest.gdb else QEMU,
            machine=kind,
            cpu=guest.options.get("cpu", CPUS["x86_64" if firmware and firmware.uefi else arch]),
            memory=f"{guest.memory_mib}M",
            kernel=None if firmware else guest.kernel,
            append=append,
            extra=("-accel", guest.options.get("accel", "tcg"), "-smp", str(guest.cpus),
                   "-nodefaults", "-no-user-config", *QEMU_END,
                   *(MODERN if without_pci else ()),
                   *option_rom(guest),
                   *modules,
                   *qemu_disks(guest),
                   *qemu_nets(guest),
                   *qemu_rng(guest),
                   *(("-device", balloon) if guest.requests else ()),
                   *qemu_gdb(guest),
                   *qemu_core(guest),
                   *qemu_memory_file(guest),
                   *qemu_snapshots(guest),
                   *guest.options.get("qemu", "").split()),
            halted=bool(guest.gdb),
        )  # fmt: skip
        outcome = run_machine(machine, guest, self.logs, live)
        if medium and outcome.clean:  # else its command can be repeated
            remove(medium)
        return outcome


class BackendRig(Rig):
    """Options of a guest: `cpu`, `machine` and `accel` (QEMU's), `qemu` (further arguments, for example
    -icount)."""

    configurations = (Configuration("native", "hardware"),)
    instruction_counter = {"qemu": "-icount shift=0"}
    firmware = WAYS
    own_lines = OWN_LINES
    balloons = ARCHITECTURES
    option_roms = True
    disk_devices = PC_DISK_DEVICES
    net_devices = PC_NET_DEVICES
    lives = QEMU_LIVES
    cores = ""
    no_memory_file = ""
    # No hypervisor's interface, which QEMU's default machine has.
    machine = "pc,vmport=off"

    @property
    def rows(self) -> tuple[Configuration, ...]:
        """Of this folder's library: rigs of others inherit this one."""
        return ROWS if self.backend == Path(__file__).parent.name else ()

    def check_guest(self, guest: Guest, name: str) -> None:
        if has_no_pci(guest.options.get("machine", self.machine)):
            if guest.firmware:
                raise UserError(f"{name} has no firmware {guest.firmware}; it has none to choose", 2)
            if guest.option_rom:
                raise UserError(f"{name} has no option ROMs; a provider can be a --module", 2)
        super().check_guest(guest, name)

    def describe(self) -> dict[str, str]:
        try:
            shown = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
        except FileNotFoundError:
            raise UserError(f"{QEMU}: not found; ./vmi setup installs it") from None
        return {"machine": "PC (pc, TCG)", "qemu": shown.split()[3]}

    @contextlib.contextmanager
    def session(self, logs: Path) -> Iterator[Session]:
        yield PcSession(self.machine, logs)
