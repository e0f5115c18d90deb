# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library on x86-64 in real domains: kernel and processes in ring 3, memory and CPUs of all sizes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import ktap
from ci.build import kernels, tree
from ci.rig import Guest, Outcome, Session, rig_class
from ci.util import RESULTS, ROOT, locked, progress
from ci.virtualization import NOTHING, SINGLE, Counts, asked_for, single
from ci.witness import Mark, hypercalls, of_workloads
from tests.guests import Place, Run, Whole, places

ARCH = "x86_64"
PV = [place for place in places(ARCH) if place.backend == "xen"]
pytestmark = pytest.mark.skipif(not PV, reason="left out, as asked")


SOURCE = Path(__file__).with_name("xen_checks64.c")
CHECKS = re.findall(r'^    check\("([\w.]+)"', SOURCE.read_text(), re.MULTILINE)
LAST_CPU = re.findall(r'^        check\("(cpus[\w.]+)"', SOURCE.read_text(), re.MULTILINE)
"""What a domain with more CPUs than Xen's shared page has words for checks in their place."""
FLAGS = [
    "-m64", "-march=x86-64", "-mcmodel=kernel", "-mno-red-zone", "-std=gnu11", "-O2", "-ffreestanding",
    "-fno-pic", "-no-pie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none",
    "-mgeneral-regs-only", "-Wall", "-Wextra", "-Werror", "-nostdlib", "-static", "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
]  # fmt: skip


def build() -> Path:
    """The kernel of xen_checks64.c, where rigs look for kernels when they start."""
    built = tree(ARCH)
    kernel = built / "tests" / "checks64-xen.elf"
    kernel.parent.mkdir(exist_ok=True)
    version = re.search(r"-D__XEN_INTERFACE_VERSION__=\w+", (ROOT / "backends/xen/meson.build").read_text())
    assert version
    with locked(kernel.with_suffix(".lock")):
        subprocess.run(
            ["gcc", *FLAGS, f"-I{built / 'include'}", f"-I{built / 'include/xen'}", f"-I{ROOT / 'backends'}",
             f"-I{ROOT / 'runtime'}", version[0], "-idirafter", "/usr/include",
             f"-Wl,-T,{ROOT / 'runtime/arch/x86_64/kernel.ld'}", "-o", str(kernel), str(SOURCE),
             str(built / "backends/libvmi-xen.a")], check=True,
        )  # fmt: skip
    return kernel


DEVICES = "fffff,1 fed00,1"
"""Frames of the emulated machine's: the end of its firmware, and its HPET."""

# Before any test opens the rig, which takes the kernels along that are there then.
KERNEL = build() if PV and (tree(ARCH) / "backends/libvmi-xen.a").is_file() else None


@pytest.fixture
def pv() -> Place:
    return PV[0]


TWO_LEVEL = "vmi.off=fifo_events"


@pytest.fixture(params=["", TWO_LEVEL], ids=["fifo", "two_level"])
def checked(pv: Place, run: Run, request: pytest.FixtureRequest) -> tuple[Outcome, ktap.Report]:
    """With each of Xen's ABIs for event channels."""
    assert KERNEL, "nothing is built: ./vmi build"
    if not pv.rig.witnesses:
        return run(pv, request.param, kernel=KERNEL, cpus=1)
    append = f"{request.param} devices".strip()
    return run(pv, append, kernel=KERNEL, cpus=1, options={"iomem": DEVICES})


@pytest.mark.parametrize("check", CHECKS)
def test_check(pv: Place, checked: tuple[Outcome, ktap.Report], check: str) -> None:
    if check.startswith("devices.") and not pv.rig.witnesses:
        pytest.skip("this machine's own Xen is used, and what devices it has is not known")
    results = {test.name: test for test in checked[1].tests}
    assert check in results, checked[0].console[-2000:]
    assert results[check].status == "pass", checked[0].console[-2000:]


def test_refused_entry_is_reported_with_its_call(checked: tuple[Outcome, ktap.Report]) -> None:
    """One line: the call, the entry (slot 300 of the root), -EINVAL."""
    reports = re.findall(r"^vmi: (.*)$", checked[0].console, re.MULTILINE)
    assert len(reports) == 1
    assert re.fullmatch(
        r"SetPxELong refused: entry 0xffff88[0-9a-f]+960, value 0x[0-9a-f]+083: error -22", reports[0].strip()
    )
    assert checked[0].clean, checked[0].end


def passed(outcome: Outcome) -> ktap.Report:
    report = ktap.parse(outcome.console)
    assert report.failures() == []
    assert outcome.clean, f"{outcome.end}\n{outcome.console[-1000:]}"
    return report


def test_domain_runs_in_ring_3_without_a_shim(pv: Place, whole: Whole) -> None:
    outcome, report = whole(pv)
    assert report.boot["rpl"] == "3"
    assert report.boot["protocol"] == "paravirtual"
    assert re.search(r"^# cs 0xe033 rpl 3\s*$", outcome.console, re.MULTILINE)
    assert re.search(r"^# xen events=fifo\s*$", outcome.console, re.MULTILINE)
    assert pv.rig.facts(outcome) == {"domain type": "pv"}


def test_lazy_mode_saves_hypercalls(pv: Place, run: Run) -> None:
    outcome, _ = run(pv, "bench=map", cpus=1)
    made = dict(re.findall(r"# bench (\w+) pages=1024 hypercalls=(\d+)", outcome.console))
    assert int(made["map_lazy"]) == 2
    assert int(made["map_eager"]) == 1024


def test_workloads_keep_to_their_goals(pv: Place, whole: Whole) -> None:
    """As the guest counts its hypercalls, and as Xen's trace has them."""
    outcome, report = whole(pv)
    goals = pv.rig.hypercall_goals[ARCH]
    made = {each.name: each.per_round for each in report.workloads}
    assert set(made) == set(goals)
    assert not {name: count for name, count in made.items() if count > goals[name]}
    if not pv.rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    assert outcome.witness, outcome.evidence["trace"]
    (mark,) = report.notes["workloads"]
    seen = of_workloads(outcome.witness, int(mark.partition("=")[2], 16))
    assert seen == [each.hypercalls for each in report.workloads]


def test_what_enters_xen(pv: Place, run: Run) -> None:
    """As Xen has noted it, beside what its trace has of hypercalls alone."""
    operations = (NOTHING, *SINGLE)
    outcome, _ = run(pv, asked_for(operations), exits=True, witness=True)
    if not pv.rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    counts = Counts()
    single(outcome, operations, counts)
    print(counts.reasons)
    assert counts.reasons["set_cr3"] == {"hypercall": 1}
    assert counts.total("mask") == counts.total("clock") == 0
    assert counts.reasons["end_of_interrupt"] == {"hypercall": 1}
    assert outcome.witness and outcome.exits
    marks = sum(isinstance(each, Mark) and each.made_by is not None for each in outcome.witness)
    noted = sum(each.reason == "hypercall" for each in outcome.exits)
    assert len(hypercalls(outcome.witness)) == noted + marks


@pytest.mark.parametrize("abi", ["", TWO_LEVEL], ids=["fifo", "two_level"])
def test_last_of_many_cpus_takes_events(pv: Place, run: Run, abi: str) -> None:
    """Interrupts and its alarm as well. Xen's shared page has words for 32."""
    assert KERNEL, "nothing is built: ./vmi build"
    outcome, _ = run(pv, abi, kernel=KERNEL, cpus=40)
    assert [test.name for test in passed(outcome).tests] == LAST_CPU


def test_event_channels_of_a_domain_that_wants_no_queues(pv: Place, run: Run) -> None:
    outcome, _ = run(pv, TWO_LEVEL)
    passed(outcome)
    assert outcome.console.count("# xen events=two_level") == 1


def test_unknown_feature_is_refused(pv: Place, run: Run) -> None:
    outcome, _ = run(pv, "vmi.off=fifo_events,nonsense", cpus=1)
    assert "vmi: cannot run: option vmi.off= wants fifo_events or all" in outcome.console
    assert not outcome.clean


@pytest.mark.parametrize(("cpus", "memory_mib"), [(1, 48), (4, 320)])
def test_sample_kernel_in_other_domains(pv: Place, run: Run, cpus: int, memory_mib: int) -> None:
    outcome, _ = run(pv, cpus=cpus, memory_mib=memory_mib, devices=False)
    report = passed(outcome)
    assert report.boot["cpus"] == str(cpus)
    assert int(report.boot["memory_kib"]) > (memory_mib - 16) * 1024


@pytest.fixture(scope="module")
def large() -> Iterator[Session]:
    """A rig of 6 GiB, of which the emulator touches what guests do. It is booted once for all sizes."""
    rig = rig_class("xen")("xen", progress)
    rig.memory_mib = 6144
    rig.prepare()
    with rig.session(RESULTS / "test/large64") as session:
        yield session


@pytest.mark.parametrize("memory_mib", [600, 4200])
def test_sample_kernel_in_a_large_domain(large: Session, memory_mib: int) -> None:
    """The list of frames does not fit behind the image; a directory does not reach to the end."""
    guest = Guest(kernels("sample", ARCH)["xen"], f"large64-{memory_mib}", "checks=boot", cpus=1,
                  memory_mib=memory_mib, deadline=240.0, options={"config": "pv64"})  # fmt: skip
    report = passed(large.run(guest))
    assert int(report.boot["memory_kib"]) > (memory_mib - 64) * 1024
