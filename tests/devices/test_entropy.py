# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Entropy in a plain PC: by the processor, by a device with messages and with its line, and by neither."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci import ktap
from ci.build import kernels, tree
from ci.rig import Guest
from ci.util import ARCHITECTURES

from ..guests import places

CPUS = {"i386": "qemu32", "x86_64": "qemu64"}

MACHINES = {
    "neither": ("", ""),
    "processor": (",+rdrand", ""),
    "message": ("", "virtio-rng-pci"),
    "line": (",+rdrand", "virtio-rng-pci-non-transitional,vectors=0,event_idx=off"),
}
"""What the processor has, and the device."""


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_source(tmp_path: Path, arch: str, machine: str) -> None:
    place = next(place for place in places(arch) if place.backend == "native")
    processor, device = MACHINES[machine]
    guest = Guest(
        kernels("sample", arch)["native"], f"entropy-{arch}-{machine}", "checks=entropy.", cpus=2,
        options={"cpu": CPUS[arch] + processor, "rng": device}, rng=bool(device),
    )  # fmt: skip
    with place.rig.session(tmp_path / "logs") as session:
        outcome = session.run(guest)
    assert outcome.clean, outcome.console[-3000:]
    asked = {
        test.name: test.status
        for test in ktap.parse(outcome.console).tests
        if test.name.startswith("entropy.")
    }
    assert len(asked) == 4
    skipped = {name for name, status in asked.items() if status == "skip"}
    assert skipped == (set() if device else {"entropy.of_a_device", "entropy.by_event"})


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_driver_for_the_processor(arch: str) -> None:
    """A kernel that links FillEntropy has no driver by that."""
    members = subprocess.run(
        ["nm", "-A", tree(arch) / "backends/libvmi-native.a"], capture_output=True, text=True, check=True
    ).stdout
    wanted = {line.split()[-1] for line in members.splitlines() if "entropy.c" in line and " U " in line}
    assert wanted and not wanted & {"vmi__drivers", "vmi__device_info", "vmi__device_by_number"}
