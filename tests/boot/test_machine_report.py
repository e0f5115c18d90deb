# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a kernel tells of a machine that nobody else has seen (docs/machines.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.iso import REPORT
from ci.util import ARCHITECTURES

from ..guests import Run, places


def fields(console: str, head: str) -> list[dict[str, str]]:
    """Of each line that begins so."""
    lines = re.findall(rf"^# {head}(.*)$", console, re.MULTILINE)
    return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines]


@pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: f"on_{arch}")
def test_tells_of_the_machine(arch: str, run: Run, tmp_path: Path) -> None:
    """And stays until a key is pressed."""
    key = tmp_path / "key"
    key.write_text("x")
    place = places(arch)[0]
    outcome, report = run(place, REPORT, typed=key, rng=True, memory_mib=128)
    console = outcome.console
    assert (report.failures(), outcome.clean) == ([], True), outcome.end
    timers, interrupts = fields(console, "timers "), fields(console, "interrupts ")
    if arch == ARCHITECTURES[0]:  # whose library has no room for them
        assert not timers and not interrupts
    else:
        hz = int(timers[0]["tsc_hz"])
        assert (timers[0]["by"], timers[0]["cpuid_hz"]) == ("pit", "0")
        assert timers[0]["invariant"] == "no"  # tests/machines/test_bochs.py has one that is
        for other in ("pit_hz", "acpi_timer_hz"):  # an emulator under load measures itself that well
            assert hz * 3 / 4 < int(timers[0][other]) < hz * 5 / 4
        assert interrupts[0]["alarms"] == "apic_timer" and interrupts[0]["io_apics"] == "1"
    [machine] = fields(console, "machine ")
    assert (machine["library"], machine["loader"]) == (place.backend, "qemu")
    assert "# cpuid 40000000.0 40000001 54474354 43544743 47435447" in console, "TCGTCGTCGTCG"
    assert len(fields(console, "cpu ")) == 2
    memory = fields(console, "memory ")
    sizes = [int(each["size"], 16) for each in memory if each["kind"] not in ("reserved", "faulty")]
    assert sum(sizes) >> 10 == int(report.boot["memory_kib"])
    tables = re.findall(r"^# acpi 0x\w+ (\w{4}) length=(\d+)", console, re.MULTILINE)
    assert {"RSDT", "FACP", "APIC", "HPET"} <= {name for name, _ in tables}
    assert all(int(length) >= 36 for _, length in tables)
    assert re.search(r"^# device 0 entropy .*virtio", console, re.MULTILINE)
    assert console.rstrip().endswith("# input ready: press a key")


@pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: f"on_{arch}")
def test_says_nothing_unasked(arch: str, run: Run) -> None:
    outcome, _ = run(places(arch)[0], "checks=boot")
    assert not re.search("^# (timers|interrupts|machine|cpuid|acpi) ", outcome.console, re.MULTILINE)
