# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library on real Xen: what it does by itself (xen_checks.c), and what a kernel cannot tell."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import ktap
from ci.build import kernels
from ci.ktap import Report
from ci.rig import Guest, Outcome, Session, rig_class
from ci.util import BUILD, RESULTS, ROOT, locked, progress
from ci.witness import of_workloads
from tests.guests import Place, Run, Whole, places

PV = [place for place in places() if place.backend == "xen" and place.configuration.options["config"] == "pv"]
pytestmark = pytest.mark.skipif(not PV, reason="left out, as asked")

SOURCE = Path(__file__).with_name("xen_checks.c")
CHECKS = re.findall(r'^    check\("([\w.]+)"', SOURCE.read_text(), re.MULTILINE)
REFUSED = "checks-noteless-xen.elf"
# Hypercalls that xen_refuses.c does not answer, and what the library says then.
UNANSWERED = {
    "memory_op": "Xen does not say where its tables are",
    "set_callbacks": "Xen refuses an entry point for events",
}
FLAGS = [
    "-m32", "-march=i686", "-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie",
    "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-mgeneral-regs-only",
    "-Wall", "-Wextra", "-Werror", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
]  # fmt: skip


def build() -> Path:
    """The kernels of xen_checks.c and xen_refuses.c, where rigs look for kernels when they start."""
    kernel = BUILD / "tests" / "checks-xen.elf"
    kernel.parent.mkdir(exist_ok=True)
    version = re.search(r"-D__XEN_INTERFACE_VERSION__=\w+", (ROOT / "backends/xen/meson.build").read_text())
    assert version

    def link(to: Path, source: Path, wrapped: str) -> list[str]:
        return ["gcc", *FLAGS, f"-I{BUILD / 'include'}", f"-I{ROOT / 'backends'}", version[0],
                "-idirafter", "/usr/include",
                f"-Wl,-T,{ROOT / 'runtime/arch/i386/kernel.ld'}", f"-Wl,--wrap=vmi__xen_hypercall_{wrapped}",
                "-o", str(to), str(source), str(BUILD / "backends/libvmi-xen.a")]  # fmt: skip

    with locked(kernel.with_suffix(".lock")):
        subprocess.run(link(kernel, SOURCE, "event_channel_op"), check=True)
        for wrapped in UNANSWERED:
            subprocess.run(
                link(unanswered(kernel, wrapped), SOURCE.with_name("xen_refuses.c"), wrapped), check=True
            )
        without = ["objcopy", "--remove-section=.note.Xen", str(kernel), str(kernel.with_name(REFUSED))]
        subprocess.run(without, check=True)
    return kernel


def unanswered(kernel: Path, hypercall: str) -> Path:
    return kernel.with_name(f"checks-no-{hypercall}-xen.elf")


# Before any test opens the rig, which takes the kernels along that are there then.
KERNEL = build() if PV and (BUILD / "backends/libvmi-xen.a").is_file() else None


@pytest.fixture
def pv() -> Place:
    return PV[0]


@pytest.fixture
def checked(pv: Place, run: Run) -> tuple[Outcome, Report]:
    assert KERNEL, "nothing is built: ./vmi build"
    return run(pv, kernel=KERNEL, cpus=2)


@pytest.mark.parametrize("check", CHECKS)
def test_check(checked: tuple[Outcome, Report], check: str) -> None:
    results = {test.name: test for test in checked[1].tests}
    assert check in results, checked[0].console[-2000:]
    assert results[check].status == "pass"


def test_checks_end_well(checked: tuple[Outcome, Report]) -> None:
    outcome, report = checked
    assert outcome.clean, outcome.end
    assert len(report.tests) == len(CHECKS)


def test_refused_entry_is_reported_with_its_call(checked: tuple[Outcome, Report]) -> None:
    """One line: the call, the entry (in the top directory, at the window's second 2 MiB), -EINVAL."""
    reports = re.findall(r"^vmi: (.*)$", checked[0].console, re.MULTILINE)
    assert len(reports) == 1
    assert re.fullmatch(
        r"SetPxELong refused: entry 0xc[0-9a-f]{4}808, value 0x[0-9a-f]+003: error -22", reports[0].strip()
    )


def test_lazy_mode_saves_hypercalls(pv: Place, run: Run) -> None:
    outcome, _ = run(pv, "bench=map", cpus=1)
    made = dict(re.findall(r"# bench (\w+) pages=1024 hypercalls=(\d+)", outcome.console))
    assert int(made["map_lazy"]) <= 8
    assert int(made["map_eager"]) == 1024


def test_workloads_keep_to_their_goals(pv: Place, whole: Whole) -> None:
    """As the guest counts its hypercalls, and as they are seen from outside."""
    outcome, report = whole(pv)
    made = {each.name: each for each in report.workloads}
    goals = pv.rig.hypercall_goals[pv.arch]
    assert set(made) == set(goals)
    over = {name: each.per_round for name, each in made.items() if each.per_round > goals[name]}
    assert not over
    if not pv.rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    assert outcome.witness
    (mark,) = report.notes["workloads"]
    seen = of_workloads(outcome.witness, int(mark.partition("=")[2], 16))
    assert seen == [each.hypercalls for each in report.workloads]


def test_domain_runs_in_ring_1(pv: Place, whole: Whole) -> None:
    outcome, report = whole(pv)
    assert report.boot["rpl"] == "1"
    assert report.boot["protocol"] == "paravirtual"
    assert re.search(r"^# cs 0x[0-9a-f]+ rpl 1\s*$", outcome.console, re.MULTILINE)


@pytest.mark.parametrize(("cpus", "memory_mib"), [(1, 48), (4, 320)])
def test_sample_kernel_in_other_domains(pv: Place, run: Run, cpus: int, memory_mib: int) -> None:
    """Less memory than the usual, and more than the linear region can map. Devices are in other boots."""
    outcome, report = run(pv, cpus=cpus, memory_mib=memory_mib, devices=False)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.boot["cpus"] == str(cpus)


@pytest.mark.parametrize("hypercall", UNANSWERED)
def test_refusal_by_the_library_is_on_the_console(pv: Place, run: Run, hypercall: str) -> None:
    """Also before the library has a console of its own; the domain ends as crashed."""
    assert KERNEL, "nothing is built: ./vmi build"
    outcome, _ = run(pv, kernel=unanswered(KERNEL, hypercall), cpus=1)
    assert f"vmi: cannot run: {UNANSWERED[hypercall]}" in outcome.console
    assert outcome.end == "domain shut down, reason 3 (crash)"


@pytest.fixture(scope="module")
def large() -> Iterator[Session]:
    """A rig of 6 GiB, of which the emulator touches what guests do. It is booted once for all sizes."""
    rig = rig_class("xen")("xen", progress)
    rig.memory_mib = 6144
    rig.prepare()
    with rig.session(RESULTS / "test/large") as session:
        yield session


@pytest.mark.parametrize("memory_mib", [2500, 4200])
def test_sample_kernel_in_a_large_domain(large: Session, memory_mib: int) -> None:
    """What the builder takes for its tables lies above 2 GiB of machine memory; the larger domain has more
    than 2^20 frames as well."""
    outcome = large.run(
        Guest(kernels("sample")["xen"], f"large-{memory_mib}", cpus=1, memory_mib=memory_mib, deadline=240.0,
              options={"config": "pv"})
    )  # fmt: skip
    report = ktap.parse(outcome.console)
    assert report.failures() == []
    assert outcome.clean, f"{outcome.end}\n{outcome.console[-1000:]}"
    assert int(report.boot["memory_kib"]) > (memory_mib - 64) * 1024


def test_kernel_that_the_builder_refuses(pv: Place, run: Run) -> None:
    """Without its notes a kernel is none to Xen; the outcome says who refused it and what to look at."""
    assert KERNEL, "nothing is built: ./vmi build"
    outcome, report = run(pv, kernel=KERNEL.with_name(REFUSED), cpus=1)
    assert not outcome.clean
    assert "refused" in outcome.end or "not started" in outcome.end
    assert "ELF notes" in outcome.advice
    assert report.tests == []
