# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The KVM library on real KVM: with all of KVM's features, with some, with none, and without KVM."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from backends.kvm.bench import beside_linux
from ci import machines
from ci.beside_linux import WORKLOAD_MARK
from ci.build import kernels
from ci.exits import between, by_reason
from ci.ktap import Report
from ci.nested import NestedRig
from ci.rig import ControlSession, Disk, Guest, Outcome
from ci.util import ARCHITECTURES
from ci.virtualization import CPUS, NOTHING, SINGLE, Counts, asked_for, base, single
from tests.guests import Place, Rigs, Run, places

KVM = [place for place in places() if place.backend == "kvm"]
PC = [place for place in places() if place.backend == "native"]
pytestmark = pytest.mark.skipif(not KVM, reason="left out, as asked")

# QEMU's names of all features that KVM offers in the rig.
MASKED = ",".join(
    f"-{name}"
    for name in (
        "kvmclock", "kvmclock-stable-bit", "kvm-nopiodelay", "kvm-asyncpf", "kvm-asyncpf-int",
        "kvm-steal-time", "kvm-pv-eoi", "kvm-pv-unhalt", "kvm-pv-tlb-flush", "kvm-pv-ipi", "kvm-poll-control",
        "kvm-pv-sched-yield",
    )
)  # fmt: skip

# KVM_FEATURE_ASYNC_PF_VMEXIT: QEMU has no name to mask it by. Older versions of KVM do not offer it.
NOT_NAMED = {"async_pf_vmexit": 1 << 10}

# The kernel times its waits; these rounds need no more than this of a busy machine.
DEADLINE = 240.0


@pytest.fixture
def kvm() -> Place:
    return KVM[0]


def sample(arch: str) -> Path:
    return kernels("sample", arch)["kvm"]


def said(outcome: Outcome) -> dict[str, str]:
    """The library's lines about KVM."""
    found = re.findall(r"^# kvm (.*?)\r?$", outcome.console, re.MULTILINE)
    assert found, outcome.console
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(found)))


def features(text: str) -> set[str]:
    return set() if text == "none" else set(text.split(","))


def passes(outcome: Outcome, report: Report) -> None:
    assert report.failures() == []
    assert outcome.clean, outcome.end


def note(outcome: Outcome, arch: str, machine: str, cpu: str = "host") -> None:
    """A record for the matrix of machines."""
    judgement = machines.verdict(outcome.console, "pass" if outcome.clean else "")
    machines.note(f"pc, {machine}", cpu, "SeaBIOS", arch, judgement, machines.qemu("KVM nested in TCG"))


def made(report: Report) -> dict[str, int]:
    """Hypercalls by name, as the guest counted them."""
    return {call.name: call.count for call in report.hypercalls}


def counters(outcome: Outcome) -> dict[str, int]:
    """KVM's own counters of the guest; the host's KVM does not show them to everybody."""
    lines = [line.split() for line in outcome.evidence.get("counter", [])]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_features_offered_are_used(kvm: Place, run: Run, arch: str) -> None:
    outcome, report = run(kvm, kernel=sample(arch))
    passes(outcome, report)
    told = said(outcome)
    offered, used = features(told["offered"]), features(told["used"])
    assert used <= offered
    assert {"clocksource2", "steal_time", "pv_eoi"} <= used
    assert "clocksource" not in used, "the new MSRs are used instead"
    assert not used & {"async_pf", "async_pf_int", "mmu_op"}
    assert told["transfer"] == {"AMD": "vmmcall", "Hygon": "vmmcall"}.get(told["vendor"], "vmcall")


@pytest.mark.parametrize("cpus", [1, 4])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kvm_counted_the_same_hypercalls(kvm: Place, run: Run, arch: str, cpus: int) -> None:
    outcome, report = run(kvm, kernel=sample(arch), cpus=cpus, deadline=DEADLINE)
    passes(outcome, report)
    assert made(report)["send_ipi"] > 0
    assert (made(report)["kick_cpu"] > 0) == (cpus > 1)
    counted = counters(outcome)
    if "hypercalls" in counted:
        assert counted["hypercalls"] == sum(made(report).values())


# The second CPU's APIC identifier is 64: sockets have 33 cores, which take 6 bits of it.
FAR_APART = (
    "-smp 1,maxcpus=66,sockets=2,cores=33,threads=1 -device host-x86_64-cpu,socket-id=1,core-id=0,thread-id=0"
)


def test_a_word_of_64_bits_reaches_far(kvm: Place, run: Run) -> None:
    """On x86-64 KVM takes the mask of send_ipi for two words of 64 bits."""
    outcome, report = run(
        kvm, kernel=sample("x86_64"), cpus=1, options={"arguments": FAR_APART}, deadline=DEADLINE
    )
    note(outcome, "x86_64", "CPUs 0 and 64")
    passes(outcome, report)
    assert re.search(r"^ok \d+ cpus\.", outcome.console, re.MULTILINE), "one CPU only"
    if counted := counters(outcome):
        assert counted["hypercalls"] == sum(made(report).values())


# The second CPU's is 256: threads take 2 bits, cores 5. Firmware (SeaBIOS) that has to number that
# many leaves all CPUs in x2APIC mode.
BEYOND_A_BYTE = (
    "-smp 1,maxcpus=153,sockets=3,cores=17,threads=3 "
    "-device host-x86_64-cpu,socket-id=2,core-id=0,thread-id=0"
)


@pytest.mark.parametrize(
    ("arch", "append"), [("i386", "vmi.off=pv_send_ipi"), ("x86_64", "vmi.off=pv_send_ipi"), ("x86_64", "")]
)
def test_an_identifier_beyond_a_byte(kvm: Place, run: Run, arch: str, append: str) -> None:
    """By the APIC's own command, and by KVM's."""
    options = {"arguments": BEYOND_A_BYTE}
    outcome, report = run(kvm, append, kernel=sample(arch), cpus=1, options=options, deadline=DEADLINE)
    note(outcome, arch, "CPUs 0 and 256, x2APIC left on by firmware")
    passes(outcome, report)
    assert re.search(r"^ok \d+ cpus\.x2apic\r?$", outcome.console, re.MULTILINE)
    assert "# apic x2apic cpus 0x3 largest identifier 256" in outcome.console


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_x2apic_mode(kvm: Place, run: Run, arch: str) -> None:
    """On all CPUs where the processor offers it, with the library's own interrupts; else the page."""
    outcome, report = run(kvm, "vmi.off=all", kernel=sample(arch), cpus=2, deadline=DEADLINE)
    note(outcome, arch, "x2APIC")
    passes(outcome, report)
    assert "# apic x2apic cpus 0x3 largest identifier 1" in outcome.console
    outcome, report = run(
        kvm, "vmi.off=all", kernel=sample(arch), cpus=2, options={"cpu": "host,-x2apic"}, deadline=DEADLINE
    )
    note(outcome, arch, "without x2APIC", "host,-x2apic")
    passes(outcome, report)
    assert re.search(r"^ok \d+ cpus\.x2apic # SKIP this processor has no", outcome.console, re.MULTILINE)


# All that both architectures have in one source is left out on one of them, by turns.
@pytest.mark.parametrize(
    ("arch", "off", "instead"),
    [
        ("i386", "clocksource2", {"clocksource"}),
        ("x86_64", "clocksource,clocksource2", set()),
        ("i386", "clocksource_stable", set()),
        ("x86_64", "steal_time", set()),
        ("i386", "pv_eoi,nop_io_delay", set()),
        ("x86_64", "pv_eoi,nop_io_delay", set()),
        ("x86_64", "pv_unhalt,pv_send_ipi,pv_tlb_flush,pv_sched_yield", set()),
        ("i386", "all", set()),
        ("x86_64", "all", set()),
    ],
)
def test_each_feature_has_a_fallback(kvm: Place, run: Run, arch: str, off: str, instead: set[str]) -> None:
    full = features(said(run(kvm, kernel=sample(arch))[0])["used"])
    outcome, report = run(kvm, f"vmi.off={off}", kernel=sample(arch), deadline=DEADLINE)
    passes(outcome, report)
    used = features(said(outcome)["used"])
    without = full if off == "all" else set(off.split(","))
    if "steal_time" in without:
        without = without | {"pv_tlb_flush", "pv_sched_yield"}
    if {"clocksource", "clocksource2"} <= without:
        without = without | {"clocksource_stable"}
    assert used == (full - without) | instead
    if off == "all":
        assert sum(made(report).values()) == 0
        assert counters(outcome).get("hypercalls", 0) == 0


def test_kvm_without_features(kvm: Place, run: Run) -> None:
    outcome, report = run(kvm, options={"cpu": f"host,{MASKED}"}, devices=False, deadline=DEADLINE)
    passes(outcome, report)
    told = said(outcome)
    assert int(told["features"], 16) & ~sum(NOT_NAMED.values()) == 0
    assert features(told["offered"]) <= set(NOT_NAMED)
    assert told["used"] == "none"
    assert counters(outcome).get("hypercalls", 0) == 0


def test_kvm_that_refuses_what_it_does_not_offer(kvm: Place, run: Run) -> None:
    """With kvm-pv-enforce-cpuid a hypercall that is not offered fails and an MSR raises #GP."""
    # QEMU itself writes kvmclock's MSRs, and ends if they are refused: that one feature stays.
    masked = MASKED.replace("-kvmclock,", "").replace("-kvmclock-stable-bit,", "")
    cpu = f"host,kvm-pv-enforce-cpuid=on,{masked}"
    outcome, report = run(kvm, options={"cpu": cpu}, devices=False, deadline=DEADLINE)
    passes(outcome, report)
    assert features(said(outcome)["used"]) == {"clocksource2", "clocksource_stable"}
    assert counters(outcome).get("hypercalls", 0) == 0


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kvm_that_hides(kvm: Place, run: Run, arch: str) -> None:
    outcome, report = run(kvm, kernel=sample(arch), options={"cpu": "host,kvm=off"}, deadline=DEADLINE)
    passes(outcome, report)
    assert said(outcome)["absent"] == "1"


def test_kvm_behind_hyperv_leaves(kvm: Place, run: Run) -> None:
    """QEMU puts KVM's CPUID leaves at 0x40000100 when it imitates another interface as well."""
    cpu = "host,hv-relaxed,hv-vapic,hv-time"
    outcome, report = run(kvm, "vmi.host_poll=off", options={"cpu": cpu}, deadline=DEADLINE)
    passes(outcome, report)
    assert {"clocksource2", "pv_send_ipi", "poll_control"} <= features(said(outcome)["used"])


@pytest.mark.parametrize("option", ["vmi.off=pv_eoi,nonsense", "vmi.off=", "vmi.host_poll=on"])
def test_wrong_option_is_refused(kvm: Place, run: Run, option: str) -> None:
    outcome, _ = run(kvm, option)
    assert not outcome.clean
    assert f"vmi: cannot run: option {option.split('=')[0]}= " in outcome.console
    assert "0x13" in outcome.end, "VMI_STATUS_REFUSED"


@pytest.mark.skipif(not PC, reason="left out, as asked")
@pytest.mark.parametrize("cpus", [1, 2])
def test_kvm_library_on_a_plain_machine(run: Run, cpus: int) -> None:
    outcome, report = run(PC[0], kernel=kernels("sample")["kvm"], cpus=cpus)
    passes(outcome, report)
    assert said(outcome)["absent"] == "1"
    assert sum(made(report).values()) == 0


# ---- what leaves the guest -----------------------------------------------------------------------

ROUNDS = 500


def exits(kvm: Place, run: Run, operation: str, off: str = "", rounds: int = ROUNDS) -> float:
    """Exits per round of an operation of the sample kernel, other than for the host's own interrupts."""
    found = []
    for times in (0, rounds):
        append = f"bench=one op={operation} rounds={times}" + (f" vmi.off={off}" if off else "")
        outcome, _ = run(kvm, append, cpus=2, deadline=DEADLINE)
        assert outcome.clean, outcome.end
        counted = counters(outcome)
        if "exits" not in counted:
            pytest.skip("the host's KVM does not show its counters")
        found.append(counted["exits"] - counted["irq_exits"])
    return (found[1] - found[0]) / rounds


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_operations_leave_the_guest_no_more_often_than_their_goals(kvm: Place, rigs: Rigs, arch: str) -> None:
    """By KVM's own trace, exit by exit."""
    rigs.prepare(kvm)
    if not isinstance(kvm.rig, NestedRig) or not kvm.rig.refusal:
        pytest.skip("the host's KVM is used, and nothing looks at it from outside")
    found = beside_linux.of_library(lambda guest: rigs.once(kvm, guest, False), arch)
    print(found.in_words())
    assert found.totals["console_pages"] == 16
    for name, goal in beside_linux.GOALS.items():
        assert found.totals[name] <= goal, name
    assert found.totals["timer_tick"] == 1 and found.totals["masked_tick"] == 2
    for name in ("system_call", "page_fault", "context_switch", "map_unmap_1024", "process_create_exit"):
        assert found.totals[name] == 0, name


def test_kernel_that_knows_nothing_of_kvm_leaves_more_often(kvm: Place, rigs: Rigs) -> None:
    """The same objects, linked with the library of the bare machine."""
    rigs.prepare(kvm)
    if not isinstance(kvm.rig, NestedRig) or not kvm.rig.refusal:
        pytest.skip("the host's KVM is used, and nothing looks at it from outside")
    kernel = kernels("sample", ARCHITECTURES[1])[base(kvm.backend)]
    operations = (NOTHING, *SINGLE)
    append = asked_for(operations)
    guest = Guest(kernel, "unmodified", append, cpus=CPUS, deadline=DEADLINE, exits=True,
                  options=kvm.configuration.given(ARCHITECTURES[1])[0])  # fmt: skip
    counts = Counts()
    single(rigs.once(kvm, guest, False), operations, counts)
    print(counts.reasons)
    for name in ("set_cr3", "mask", "clock"):
        assert counts.total(name) == 0, name
    # Each is one exit for the library of KVM (the goals above), which asks by a hypercall.
    for name in ("tick", "end_of_interrupt", "interrupt_others"):
        assert counts.total(name) >= 2 and counts.hypercalls(name) == 0, name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_requests_and_packets_leave_the_guest_no_more_often_than_their_goals(
    kvm: Place, rigs: Rigs, arch: str, tmp_path: Path
) -> None:
    """Goals that are no more than Linux takes (docs/benchmarks.md)."""
    rigs.prepare(kvm)
    if not isinstance(kvm.rig, NestedRig) or not kvm.rig.refusal:
        pytest.skip("the host's KVM is used, and nothing looks at it from outside")
    guest = beside_linux.devices_guest(arch, Disk(tmp_path / "disk"))
    found = beside_linux.of_devices(rigs.once(kvm, guest, False))
    print(found.in_words())
    for name, goal in beside_linux.DEVICE_GOALS.items():
        assert found.totals[name] <= goal, name


def caused(kvm: Place, run: Run, operation: str, rounds: int, off: str = "") -> Counter[str]:
    """Exits by reason of all rounds of an operation of the sample kernel, by KVM's own trace."""
    append = f"bench=one op={operation} rounds={rounds}" + (f" vmi.off={off}" if off else "")
    outcome, _ = run(kvm, append, cpus=2, deadline=DEADLINE, exits=True)
    assert outcome.clean, outcome.end
    if not counters(outcome):
        pytest.skip("the host's KVM does not show its counters")
    assert outcome.exits is not None, outcome.evidence["trace"]
    (found,) = between(outcome.exits, WORKLOAD_MARK)
    return by_reason(found)


def test_reading_the_wall_clock_leaves_the_guest(kvm: Place, run: Run) -> None:
    """That an exit would be seen."""
    assert caused(kvm, run, "wall_clock", 100) == {"msr": 100}


def test_an_end_of_interrupt_by_the_apic_leaves_the_guest(kvm: Place, run: Run) -> None:
    """A round is an interrupt to the CPU itself, by one hypercall, and its end."""
    assert caused(kvm, run, "end_of_interrupt", 100, "pv_eoi") == {"hypercall": 100, "msr": 100}


def test_a_flush_of_a_preempted_cpu_does_not_leave_the_guest(kvm: Place, run: Run) -> None:
    """More busy CPUs than the nested rig's machine has, so that others wait while one runs."""
    by_memory = exits(kvm, run, "flush_remote", rounds=100)
    by_interrupt = exits(kvm, run, "flush_remote", "pv_tlb_flush", rounds=100)
    assert by_interrupt - by_memory > 0.3


# A guest that is saved where one vendor's instructions are wanted, and goes on where another's are. Its first
# QEMU says so by the guest's CPUID; the processor is the same, so that only the second one is in earnest, and
# the kernel makes no hypercall before (it sends itself interrupts as it starts).
MOVE = """
rm -rf /run/moved; mkdir /run/moved; cd /run/moved; mkfifo monitor
machine="-L /usr/share/qemu -L /usr/share/seabios -nodefaults -no-user-config -accel kvm -machine pc -smp 1
    -m 64 -display none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -global kvm-apic.vapic=off
    -kernel {folder}/kernel"
append="vmi.debug_exit=0xf4 vmi.off=pv_send_ipi checks=none test=processor {append}"
timeout 120 qemu $machine -cpu host,vendor={first} -serial file:before -monitor stdio -append "$append" \
    <monitor >said 2>&1 &
exec 3>monitor
until grep -q "test=processor: vendor" before; do
    kill -0 $! || {{ cat said before; exit 1; }}
    sleep 0.2
done 2>/dev/null
echo 'migrate "exec:cat >state"' >&3
echo quit >&3
wait $!
timeout 60 qemu $machine -cpu host -serial file:after -monitor none -append "$append" \
    -incoming "exec:cat state" </dev/null >>said 2>&1
echo "exit=$?"
cat said before after
"""
OTHER = {"AuthenticAMD": "GenuineIntel", "HygonGenuine": "GenuineIntel"}
"""A vendor with the other instruction; for all else AMD."""


def move(rigs: Rigs, kvm: Place, kernel: Path, append: str = "") -> str:
    """What was said of a guest that came from another vendor's processor."""
    rigs.prepare(kvm)
    session = rigs.session(kvm)
    inner = getattr(session, "session", session)
    if not isinstance(inner, ControlSession):
        pytest.skip("this machine's own KVM is used")
    rig = inner.control
    vendor = rig.script("sed -n 's/^vendor_id.*: //p' /proc/cpuinfo | head -n 1").strip()
    folder = rig.folder()
    shutil.copyfile(kernel, folder / "kernel")
    try:
        return rig.script(
            MOVE.format(
                folder=f"/share/{folder.name}", append=append, first=OTHER.get(vendor, "AuthenticAMD")
            ),
            seconds=DEADLINE,
        )
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(("arch", "linked"), [("i386", "kvm"), ("x86_64", "any")])
def test_moved_to_another_vendors_processor(rigs: Rigs, kvm: Place, arch: str, linked: str) -> None:
    """VMCALL becomes VMMCALL, or the other way round: KVM wakes the guest's CPU as it is asked to."""
    told = move(rigs, kvm, sample(arch).with_name(f"sample-{linked}.elf"))
    assert "exit=33" in told, told
    assert "rebind=0" in told and "kick=0 exception=0 alarm=1" in told, told


def test_moved_and_not_bound_again(rigs: Rigs, kvm: Place) -> None:
    """KVM's own mend of the wrong instruction needs code that can be written, which this is not."""
    told = move(rigs, kvm, sample("x86_64"), "rebind=no")
    assert "exit=33" not in told, told
    assert "exception=0" not in told, told
