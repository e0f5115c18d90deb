# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The sample kernel in every configuration, passing and failing on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import checked
from ci.boot import show_failure
from ci.figure import Row
from ci.lava import signals
from ci.rig import CAME_MASKED, LIMITED_KERNEL
from ci.util import ARCHITECTURES
from ci.witness import UNSEEN, before_mark, differences, hypercalls

from ..guests import Place, Run, Whole, places, seen_from_outside

pytestmark = pytest.mark.every_architecture
UNPAGED = "i386"
"""The architecture with processors that can do without page tables."""
EVERY = [place for arch in ARCHITECTURES for place in places(arch)]
SHORT = "checks=boot"
"""Of a kernel of which something else than its checks is looked at."""


def test_sample_kernel_passes(configuration: Place, whole: Whole) -> None:
    outcome, report = whole(configuration)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.count("pass") >= 20
    assert report.boot["backend"] == configuration.backend
    assert len(report.calls) >= 75
    assert sum(report.by_kind().values()) > 0


def test_what_the_kernel_wrote_is_on_its_disk(configuration: Place, whole: Whole) -> None:
    """Seen from outside, in the same boot. Each device is checked, and no check of one is passed over."""
    outcome, report = whole(configuration)
    groups = ("disks.", "entropy.", "networks.")
    asked = {test.name: test.status for test in report.tests if test.name.startswith(groups)}
    if configuration.rig.rng:
        assert not outcome.guest.rng
        assert asked.pop("entropy.of_a_device") == asked.pop("entropy.by_event") == "skip"
    if configuration.rig.nets:
        assert not outcome.guest.nets and asked["networks.flood"] == "skip"
    else:
        assert len(outcome.guest.nets) == 1
        assert asked.pop("networks.link") == asked.pop("networks.second_pair") == "skip"
    if configuration.rig.disks:
        assert not outcome.guest.disks and asked["disks.whole"] == "skip"
        return
    assert asked.pop("disks.read_only") == asked.pop("disks.let_in_by_handler") == "skip"
    assert set(asked.values()) == {"pass"}
    (disk,) = outcome.guest.disks
    assert checked.findings(outcome.guest, report) == []
    data = disk.file.read_bytes()
    assert len(data) == checked.BLOCKS * checked.BLOCK
    assert checked.other_blocks(data) == []


@pytest.mark.but_the_slowest
def test_failure_is_shown_with_console_and_command(
    configuration: Place, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `./vmi boot` prints about a kernel that panics."""
    outcome, report = run(configuration, f"{SHORT} test=panic")
    show_failure(outcome, report.failures(), configuration.rig.own_lines)
    shown = capsys.readouterr().err
    assert f"command: {outcome.command}" in shown
    assert outcome.advice in shown
    console = [line.removeprefix("  | ") for line in shown.splitlines() if line.startswith("  | ")]
    assert console == outcome.console.splitlines()[-40:]
    assert any("PANIC" in line for line in console)


def test_row(configuration: Place, whole: Whole) -> None:
    outcome, report = whole(configuration)
    row = Row(
        configuration.configuration, configuration.backend, configuration.arch, configuration.rig.describe(),
        configuration.rig.facts(outcome), outcome, report,
    )  # fmt: skip
    cells = row.cells()
    assert cells["configuration"] == configuration.configuration.name
    assert cells["checks"].startswith(f"{report.count('pass')} passed")
    assert cells["kernel ring"] == report.boot["rpl"]
    assert all(cells.values())
    assert row.as_dict()["passed"] is True


def test_same_checks_everywhere(configuration: Place, whole: Whole) -> None:
    """Every configuration reports the same list of checks as the first of its architecture, in the same
    order."""
    both = (places(configuration.arch)[0], configuration)
    first, here = ([test.name for test in whole(place)[1].tests] for place in both)
    assert len(first) >= 20
    assert here == first


@pytest.mark.but_the_slowest
def test_failing_check_is_reported(configuration: Place, run: Run) -> None:
    outcome, report = run(configuration, f"{SHORT} test=fail")
    assert not outcome.clean
    assert report.count("fail") == 1
    assert report.result["fail"] == 1
    assert report.errors == []
    assert any(failure.startswith("not ok") for failure in report.failures())
    assert sum("RESULT=fail" in line for line in signals(report, "sample")) == 1


@pytest.mark.but_the_slowest
@pytest.mark.parametrize("how", ["fault", "panic"])
def test_kernel_that_dies_is_reported(configuration: Place, run: Run, how: str) -> None:
    outcome, report = run(configuration, f"{SHORT} test={how}")
    assert not outcome.clean
    assert outcome.end and outcome.advice
    assert "PANIC" in outcome.console
    assert "no result line" in report.errors


@pytest.mark.parametrize("place", [places(arch)[0] for arch in ARCHITECTURES], ids=str)
def test_interrupt_to_a_kernel_that_masks_them(place: Place, run: Run) -> None:
    """The words by which rigs tell that their emulated processor has done it."""
    outcome, _ = run(place, f"{SHORT} test=masked")
    assert not outcome.clean
    assert any(map(CAME_MASKED.match, outcome.console.splitlines()))


@pytest.mark.but_the_slowest
def test_hanging_kernel_is_stopped(configuration: Place, run: Run) -> None:
    # How long it takes until it hangs, on a machine that may be busy, nobody knows.
    for deadline in (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0):
        outcome, report = run(configuration, f"{SHORT} test=hang", deadline=deadline)
        if "# test=hang" in outcome.console:
            break
    assert not outcome.clean
    assert outcome.end.startswith("hung")
    assert outcome.advice
    assert outcome.seconds >= deadline
    assert "# test=hang" in outcome.console, "the console up to the hang is kept"
    assert report.count("pass") > 0
    assert "no result line" in report.errors


@pytest.mark.but_the_slowest
def test_file_that_is_no_kernel_is_refused(configuration: Place, run: Run, tmp_path: Path) -> None:
    refused = tmp_path / "refused.elf"
    refused.write_text("not a kernel\n" * 1000)
    outcome, report = run(configuration, kernel=refused, deadline=240.0)
    assert not outcome.clean
    assert not outcome.end.startswith("hung")
    assert outcome.end and outcome.advice
    assert report.failures() == ["no KTAP on the console"]


@pytest.mark.but_the_slowest
def test_rig_serves_guests_after_bad_ones(configuration: Place, run: Run) -> None:
    """After guests that failed, crashed and hung, the same rig runs a good one."""
    outcome, report = run(configuration, SHORT, again=True)
    assert report.failures() == []
    assert outcome.clean, outcome.end


@pytest.mark.parametrize("place", [place for place in EVERY if place.arch == UNPAGED], ids=str)
def test_kernel_without_page_tables(place: Place, run: Run) -> None:
    """It runs everywhere, also where a configuration is limited to it; and then the row says so."""
    outcome, report = run(place, kernel=LIMITED_KERNEL)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.count("pass") >= 10
    assert report.boot["backend"] == place.backend
    limited = place.limited
    assert report.notes["paging"] == ["off" if limited else "on"]
    row = Row(place.configuration, place.backend, place.arch, place.rig.describe(), {}, outcome, report)
    assert not row.failures
    assert row.cells()["what ran"].endswith(f"only the {LIMITED_KERNEL} kernel, because {limited}") == bool(
        limited
    )


FIRST_STEPS = ["the IDT is loaded", "three alarms have gone off", "a page is mapped", "done"]


@pytest.mark.parametrize("kernel", ["hello", "first-steps", "address_spaces", "hello-cpp", "hello-rust"])
def test_example_kernel(configuration: Place, run: Run, kernel: str) -> None:
    """In C, in C++ with a constructor, in Rust. (`ninja -C build languages` builds the latter two, which
    `./vmi test` does first.)"""
    if kernel == "address_spaces" and configuration.arch != ARCHITECTURES[0]:
        pytest.skip(f"the example is for {ARCHITECTURES[0]} only")
    outcome, _ = run(configuration, kernel=kernel, cpus=1)
    assert outcome.clean, outcome.end
    assert outcome.console.strip()
    if kernel == "first-steps":
        assert outcome.console.splitlines()[-len(FIRST_STEPS) :] == FIRST_STEPS
    if kernel.startswith("hello"):
        (said,) = [line for line in outcome.console.splitlines() if "Hello" in line]
        assert f"linked with the library for {configuration.backend}" in said
        assert ("Hello from a constructor, then from ring " in said) == (kernel == "hello-cpp")


@pytest.mark.parametrize("place", [place for place in EVERY if seen_from_outside(place)], ids=str)
def test_witness_agrees_with_the_guest(place: Place, whole: Whole) -> None:
    """Seen from outside, the guest made exactly the hypercalls that it counted, number by number, and
    all of them at the privilege that it says it has, where the witness sees that."""
    outcome, report = whole(place)
    if not place.rig.witnesses:
        pytest.skip("this machine's own hypervisor is used, and nothing looks at it from outside")
    assert report.failures() == []
    snapshot = dict(pair.split("=") for pair in report.notes["snapshot"][0].split())
    assert snapshot["exact"] == "yes"
    counted = {call.number: call.count for call in report.hypercalls if call.count}
    assert sum(counted.values()) > 100
    assert outcome.witness, outcome.evidence.get("trace")
    seen = before_mark(outcome.witness, int(snapshot["mark"], 16))
    assert differences(seen, counted) == {}
    privileges = {each.privilege for each in hypercalls(outcome.witness)}
    assert privileges in ({int(report.boot["rpl"])}, {UNSEEN}), "at another privilege than the guest's"
