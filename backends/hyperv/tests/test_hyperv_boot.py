# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Hyper-V library on an interface with and without its parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.build import kernels
from ci.rig import Outcome
from ci.util import ARCHITECTURES
from tests.guests import Place, Run

EVERYTHING = (
    "hypercall,vp_index,reference_counter,reference_tsc,frequencies,direct_timer,vp_assist,apic_msrs,"
    "cluster_ipi,remote_flush,sparse_sets,spin_wait,crash"
)


def sample(arch: str) -> Path:
    return kernels("sample", arch)["hyperv"]


def used(outcome: Outcome) -> str:
    found = re.search(r'^# hyperv vendor="Microsoft Hv" used=(\S+)', outcome.console, re.MULTILINE)
    assert found, outcome.console
    return found[1]


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_all_of_it(place: Place, run: Run, arch: str, cpus: int) -> None:
    outcome, report = run(place, kernel=sample(arch), cpus=cpus)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert used(outcome) == EVERYTHING
    made = {call.name: call.count for call in report.hypercalls}
    assert made["send_synthetic_cluster_ipi"] > 0
    assert (made["flush_virtual_address_space"] > 0 and made["flush_virtual_address_list"] > 0) == (cpus > 1)
    if counters := outcome.evidence.get("counter"):
        assert f"hypercalls {sum(made.values())}" in counters


# Parts have one source for both architectures, but for the hypercall: they are left out on one, by turns.
@pytest.mark.parametrize(
    ("arch", "cpu", "says"),
    [
        # KVM's own leaves are the first then, and are no Hyper-V.
        ("i386", "host", None),
        # And here they are the second.
        ("x86_64", "host,hv-relaxed", "hypercall"),
        ("i386", "host,hv-time", "hypercall,reference_counter,reference_tsc"),
        ("i386", "host,hv-vpindex,hv-ipi,hv-tlbflush",
         "hypercall,vp_index,cluster_ipi,remote_flush,sparse_sets"),
        ("x86_64", "host,hv-vpindex,hv-ipi,hv-tlbflush",
         "hypercall,vp_index,cluster_ipi,remote_flush,sparse_sets"),
        ("x86_64", "host,hv-vpindex,hv-time,hv-synic,hv-stimer,hv-vapic",
         "hypercall,vp_index,reference_counter,reference_tsc,vp_assist,apic_msrs"),
    ],
)  # fmt: skip
def test_parts_of_it(place: Place, run: Run, arch: str, cpu: str, says: str | None) -> None:
    outcome, report = run(place, kernel=sample(arch), options={"cpu": cpu})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    if says is None:
        assert "# hyperv absent=1" in outcome.console
    else:
        assert used(outcome) == says


def test_crash_is_told(place: Place, run: Run) -> None:
    """QEMU logs the parameters: signature, VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC."""
    outcome, _ = run(place, "test=panic")
    assert "0x12" in outcome.end
    said = "\n".join(outcome.evidence.get("qemu", []))
    found = re.search(r"HV crash parameters: \((\w+) (\w+) (\w+)", said)
    if outcome.evidence.get("counter"):  # nested
        assert found
        assert [int(word, 16) for word in found.groups()] == [0x564D49, 2, 0x12]
