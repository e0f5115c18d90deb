# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The VMware library on the backdoor as QEMU answers it, with and without KVM, and without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci import checked, ktap
from ci.backends import backends
from ci.build import bound_kernel, kernels
from ci.nested import NestedRig
from ci.rig import Disk, Guest, Net, Outcome
from ci.util import ARCHITECTURES, progress
from tests.guests import Place, Run


def sample(arch: str) -> Path:
    return kernels("sample", arch)["vmware"]


HARDWARE = next(iter(backends()))


def said(outcome: Outcome) -> dict[str, str]:
    found = re.search(r"^# vmware (.*?)\r?$", outcome.console, re.MULTILINE)
    assert found, outcome.console
    return dict(re.findall(r"(\w+)=(\S+)", found[1]))


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_backdoor_without_frequencies(
    place: Place, run: Run, tmp_path: Path, arch: str, cpus: int
) -> None:
    """Under TCG QEMU does not know the TSC's frequency, so it is measured. Network and disk are VMware's."""
    disk = tmp_path / "disk"
    checked.blank([Disk(disk)])
    options = {"qemu": f"-drive if=none,id=disk,format=raw,file={disk} -device pvscsi,id=scsi "
                       "-device scsi-hd,drive=disk,bus=scsi.0"}  # fmt: skip
    outcome, report = run(
        place, kernel=sample(arch), cpus=cpus, options=options, nets=[Net(device="vmxnet3")]
    )
    assert report.failures() == []
    assert outcome.clean, outcome.end
    skipped = {test.name for test in report.tests if test.status == "skip"}
    assert {name for name in skipped if name.startswith(("disks.", "networks."))} == {
        "disks.read_only", "disks.let_in_by_handler", "networks.link", "networks.second_pair",
    }  # fmt: skip
    assert checked.other_blocks(disk.read_bytes()) == []
    assert said(outcome) == {"version": "6", "product": "2", "by": "port", "tsc_khz": "0", "bus_khz": "0",
                             "time": "no", "steal": "no"}  # fmt: skip
    assert {call.name for call in report.hypercalls if call.count} == {
        "get_version", "get_hz", "get_time_full", "steal_clock",
    }  # fmt: skip


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_backdoor(place: Place, run: Run, arch: str) -> None:
    outcome, report = run(place, kernel=sample(arch), options={"machine": "pc,vmport=off"})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert "# vmware absent=1" in outcome.console


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernel_that_binds_itself_prefers_plain_hardware(place: Place, run: Run, arch: str) -> None:
    """QEMU's port tells nothing that is worth a library of its own; by name it is taken."""
    _, report = run(place, "checks=boot", bound_kernel("sample", arch))
    assert report.failures() == []
    assert report.binding["provider"] == HARDWARE
    _, report = run(place, f"checks=boot vmi.provider={place.backend}", bound_kernel("sample", arch))
    assert report.failures() == []
    assert report.binding["provider"] == place.backend


class Nested(NestedRig):
    machine = "pc,vmport=on"


def test_backdoor_with_frequencies(place: Place, tmp_path: Path) -> None:
    """Under KVM QEMU knows them: nothing is measured, and the clocks are as right as ever."""
    images = {arch: sample(arch) for arch in ARCHITECTURES}
    rig = Nested(place.backend, progress)
    rig.prepare()
    with rig.session(tmp_path) as session:
        for arch, kernel in images.items():
            outcome = session.run(Guest(kernel, f"vmware-frequencies-{arch}", cpus=2, deadline=240))
            assert outcome.clean, outcome.end
            assert ktap.parse(outcome.console).failures() == []
            facts = said(outcome)
            assert int(facts["tsc_khz"]) > 100_000
            assert int(facts["bus_khz"]) == 1_000_000, "KVM's local APIC timer"
