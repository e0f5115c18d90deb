# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi trace`: what kernels have called, read out of their memory; as the sample kernel counts it itself,
and of a kernel that hangs."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ci import flavour, ktap, trace
from ci.build import kernels, tree
from ci.calls import Interface
from ci.core import halt, halted_guest, read
from ci.kernel import look
from ci.nested import NestedRig
from ci.rig import LinuxRig, Session
from ci.ring import Call, Entry, entries, find
from ci.run import Wanted
from ci.trace import Form, with_hypercalls
from ci.util import ARCHITECTURES, ROOT, UserError
from ci.witness import before_mark, differences

from ..flavour.test_flavour import called_by
from ..guests import Place, Rigs, seen_from_outside
from .test_debugger import compiled

MARK = 0x43494D56
"""What SetDR is given at the instant of the kernel's counts (docs/architecture.md, "Guest output")."""


def traced(place: Place) -> bool:
    return (tree(place.arch) / f"backends/libvmi-{place.backend}-traced.a").is_file()


@pytest.mark.every_architecture
def test_the_trace_is_what_the_kernel_counts(configuration: Place, rigs: Rigs, tmp_path: Path) -> None:
    """On plain QEMU; `./vmi test --long traces` looks in rigs."""
    if not traced(configuration):
        pytest.skip("its library is not built with the flavour")
    if isinstance(configuration.rig, LinuxRig):
        pytest.skip("./vmi test --long traces looks here")
    rigs.prepare(configuration)
    compare(configuration, rigs.session(configuration), tmp_path)


def compare(place: Place, session: Session, folder: Path) -> None:
    """A trace of the sample kernel's with what it counts itself: call by call, with interrupts, processes and
    two CPUs, and nothing lost; and its hypercalls, with those as well that were seen from outside."""
    arch, backend = place.arch, place.backend
    image = look(flavour.linked(kernels("sample", arch)[backend], backend, flavour.TRACED))
    memory = folder / "memory"
    interface = Interface.built(tree(arch), backend)
    # Under KVM hypercalls are made for these alone. Elsewhere the second CPU, waiting, would fill the ring.
    more = ",cpus.start,cpus.ipi,cpus.kick" if isinstance(place.rig, NestedRig) else ""
    wanted = Wanted(f"checks=boot{more}", cpus=2, deadline=240)
    guest = replace(
        halted_guest(place.rig, place.configuration, str(place), image, wanted, memory, alone=True),
        witness=seen_from_outside(place),
    )
    # Stopped a second after its last line, when it has ended the machine.
    outcome = halt(session, guest, re.compile("^# result"), folder, lambda _: None)
    assert memory.is_file(), outcome.said_of_it(5)
    form = Form(json=folder / "json", output=folder / "text")
    ring = find(read(memory, alone=True))
    trace.write(ring, interface, form, set(interface.calls), image.path.name)
    memory.unlink()
    console = outcome.console
    assert " exact=yes" in console
    every = entries(ring.records, interface.shapes)
    hypercalls = sum(not isinstance(each, Call) for each in with_hypercalls(every))
    noted = before_the_mark(every, interface)
    assert bool(noted) == bool(interface.hypercalls)
    report = ktap.parse(console)
    assert noted == {each.number: each.count for each in report.hypercalls if each.count}
    if isinstance(place.rig, NestedRig) and (counter := place.rig.counter(outcome, "hypercalls")):
        assert int(counter) == hypercalls
    if guest.witness:
        assert outcome.witness, outcome.evidence.get("trace")
        assert differences(before_mark(outcome.witness, MARK), noted) == {}
    counted = {
        name: int(count) for name, count in re.findall(r"^# call (\w+) .*?count=(\d+)", console, re.MULTILINE)
    }
    document = json.loads((folder / "json").read_text())
    # The other CPU may have been about to write one when the machine was stopped.
    assert document["lost"] == 0 and document["damaged"] <= 1
    made = document["calls"]
    (end,) = (
        number
        for number, call in enumerate(made)
        if call["call"] == "SetDR" and call["arguments"]["value"]["value"] & 0xFFFFFFFF == MARK
    )
    traced = {name: [call["call"] for call in made[:end]].count(name) for name in counted}
    spec = json.loads((tree(arch) / "include/vmi/model.json").read_text())["spec"]
    names = {each["ordinal"]: each["name"] for each in spec["calls"]}
    uncounted = {names[ordinal] for ordinal in called_by(ROOT / tree(arch), spec)}
    different = {
        name: (traced[name], count)
        for name, count in counted.items()
        if traced[name] != count and not (name in uncounted and traced[name] > count)
    }
    assert different == {}
    assert sum(1 for name, count in counted.items() if count and name not in uncounted) > 20
    # All counts, those after that instant included.
    noted_calls = Counter(call["call"] for call in made)
    assert noted_calls <= Counter(document["counts"])
    assert (Counter(document["counts"]) - noted_calls).total() <= document["damaged"]
    back = {call["call"] for call in made if call["ended"] is not None}
    assert not back & {each["name"] for each in spec["calls"] if each["noreturn"]}
    ends = {each["name"] for each in spec["calls"] if each["noreturn"] or each["interruptible"]}
    assert {call["call"] for call in made} - back <= ends
    text = (folder / "text").read_text()
    assert text.count("\n") == len(made) + hypercalls
    end_of_all = "ShutdownReason(reason=VMI_SHUTDOWN_POWEROFF, status=VMI_STATUS_PASS) = ?"
    assert sum(line.endswith(end_of_all) for line in text.splitlines()) == 1
    assert re.search(r" AllocatePage\(pfn=0x[0-9a-f]+, flags=(VMI_PAGE_\w+\|?)+, origin=", text)
    assert re.search(r" ConsoleWrite\(from=0x[0-9a-f]+, length=(\d+)\) = \1 <\d+>$", text, re.MULTILINE)


def before_the_mark(every: list[Entry], interface: Interface) -> dict[int, int]:
    """How often each hypercall was made until then, by its number."""
    noted: Counter[int] = Counter()
    for each in every:
        if not isinstance(each, Call):
            noted[each.number] += 1
        elif interface.name(each.ordinal) == "SetDR" and each.arguments[-1] & 0xFFFFFFFF == MARK:
            break
        else:
            noted.update(hypercall.number for hypercall in each.hypercalls)
    return dict(noted)


HANGS = """
#include <vmi/vmi.h>

void kernel_main(const struct vmi_boot_info *boot)
{
    (void)boot;
    for (uint32_t i = 0; i < 40000; i++)
        vmi_outb((uint8_t)i, 0x80);
    vmi_set_cr0(vmi_get_cr0());
    vmi_console_write("here\\r\\n", 6);
    for (;;)
        ;
}
"""


def test_a_kernel_that_hangs_is_read_and_the_ring_has_gone_round(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not (tree(ARCHITECTURES[0]) / "backends/libvmi-native-traced.a").is_file():
        pytest.skip("the library is not built with flavours")
    kernel = compiled(ARCHITECTURES[0], tmp_path, HANGS, "native-traced")
    form = Form(["OUTB", "*CR0"], instructions=True)
    assert trace.trace("native", kernel, Wanted(deadline=60), "^here", form, False) == 0
    shown, said = capfd.readouterr()
    # Each call has two records; the last ones are of GetCR0, SetCR0 and ConsoleWrite.
    assert "vmi: 32767 calls of 40003; the ring has the last 65536 records of 80006" in said.splitlines()
    lines = shown.splitlines()
    assert [re.sub(r"^ +[\d.]+ +0 | <\d+>$", "", each) for each in lines[:2]] == [
        f"OUTB(value={n & 0xFF}, port=128)" for n in (40003 - 32768, 40004 - 32768)
    ]
    # Instructions, as many for each.
    (taken,) = {line.rpartition(" ")[2] for line in lines if "OUTB" in line}
    assert 20 < int(taken[1:-1]) < 1000
    assert re.search(r" GetCR0\(\) = 0x8[0-9a-f]{7} <\d+>$", lines[-2])
    assert re.search(r" SetCR0\(value=0x8[0-9a-f]{7}\) <\d+>$", lines[-1])


def test_a_kernel_is_followed_while_it_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a kernel that calls more than the ring has room for: what was not read in time is counted."""
    if not (tree(ARCHITECTURES[0]) / "backends/libvmi-native-traced.a").is_file():
        pytest.skip("the library is not built with flavours")
    kernel = compiled(ARCHITECTURES[0], tmp_path, HANGS, "native-traced")
    form = Form(json=tmp_path / "json", live=True)
    assert trace.trace("native", kernel, Wanted(deadline=60), "^here", form, False) == 0
    shown, said = capfd.readouterr()
    document = json.loads((tmp_path / "json").read_text())
    assert (document["records"], document["damaged"]) == (80006, 0)
    assert document["counts"] == {"OUTB": 40000, "GetCR0": 1, "SetCR0": 1, "ConsoleWrite": 1}
    calls, lost = len(document["calls"]), document["lost"]
    # Of a call both records are lost, or one.
    assert 40003 - lost <= calls <= 40003 - lost // 2
    assert (f"{lost} records of 80006 were written over before they were read" in said) == bool(lost)
    lines = shown.splitlines()
    assert len(lines) == calls
    assert re.search(r" ConsoleWrite\(from=0x[0-9a-f]+, length=6\) = 6 <\d+>$", lines[-1])


def test_what_is_followed_is_a_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--live: expected a list, found --counts"):
        trace.trace("native", tmp_path / "kernel", Wanted(), "", Form(counts=True, live=True), False)
