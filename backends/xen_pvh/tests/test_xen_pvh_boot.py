# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""PVH domains: without page tables wherever it is, and whole kernels also where the emulator is in the way.

For the latter, Xen's check of reserved bits in PAE's page-directory-pointer entries is made to overlook
the one bit that the emulator sets there, in a copy of the rig's image that only this test uses.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import checked, ktap
from ci.build import bound_kernel, kernels, tree
from ci.rig import (
    DEBUG_EXIT,
    LIMITED_KERNEL,
    QEMU_END,
    Guest,
    Image,
    Outcome,
    Session,
    qemu_end,
    rig_class,
)  # fmt: skip
from ci.util import RESULTS, ROOT, locked, progress, tied
from ci.virtualization import NOTHING, SINGLE, Counts, asked_for, single
from tests.guests import Place, Run, places

FOLDER = Path(__file__).resolve().parents[1]
NAME = FOLDER.name
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.cfg"))
DEADLINE = 240.0

WIDE = [place for place in places("x86_64") if place.backend == NAME]
SOURCE = Path(__file__).with_name("xen_pvh_cpus.c")
CHECKS = re.findall(r'^    check\("([\w.]+)"', SOURCE.read_text(), re.MULTILINE)
FLAGS = [
    "-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-mgeneral-regs-only", "-Wall", "-Wextra",
    "-Werror", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
]  # fmt: skip
ARCH_FLAGS = {
    "i386": ["-m32", "-march=i686"],
    "x86_64": ["-m64", "-march=x86-64", "-mcmodel=kernel", "-mno-red-zone"],
}


def build(arch: str) -> Path:
    """The kernel of xen_pvh_cpus.c, where rigs look for kernels when they start."""
    built = tree(arch)
    kernel = built / "tests" / f"cpus-{NAME}.elf"
    kernel.parent.mkdir(exist_ok=True)
    with locked(kernel.with_suffix(".lock")):
        subprocess.run(
            ["gcc", *ARCH_FLAGS[arch], *FLAGS, f"-I{built / 'include'}", f"-I{ROOT / 'backends'}",
             f"-Wl,-T,{ROOT / 'runtime/arch' / arch / 'kernel.ld'}", "-o", str(kernel), str(SOURCE),
             str(built / f"backends/libvmi-{NAME}.a")],
            check=True,
        )  # fmt: skip
    return kernel


# Before any test opens the rig, which takes the kernels along that are there then.
KERNELS = {
    arch: build(arch)
    for arch in ARCH_FLAGS
    if any(place.backend == NAME for place in places(arch))
    and (tree(arch) / f"backends/libvmi-{NAME}.a").is_file()
}

# A 64-bit constant moved to a register: present bits that must be 0 (bits 1, 2, 5 to 8 and from 52 on).
RESERVED = re.compile(rb"[\x48\x49][\xb8-\xbf](\xe6\x01\x00\x00\x00\x00\xf0\xff)")
ACCESSED = 1 << 5


@pytest.mark.parametrize("config", CONFIGS)
def test_configuration_files_are_the_rigs_own(config: str) -> None:
    """They leave to the rig what it sets."""
    lines = (FOLDER / f"{config}.cfg").read_text().splitlines()
    settings = dict(re.findall(r"^(\w+) = (.*)$", "\n".join(lines), re.MULTILINE))
    assert settings["type"] == '"pvh"'
    assert not settings.keys() & {"name", "kernel", "cmdline", "vcpus", "memory"}


@pytest.mark.parametrize(("code", "limited"), [(33, False), (35, True), (1, True), (None, True)])
def test_what_the_probe_says(code: int | None, limited: bool) -> None:
    """Only a probe that says in so many words that all is well is believed."""
    limitation = rig_class(NAME).__init__.__globals__["limitation"]
    done = None if code is None else subprocess.CompletedProcess([], code, "", "")
    assert bool(limitation(done)) == limited


def test_without_page_tables(place: Place, run: Run) -> None:
    """A processor without PAE, and the domain as xl lists it."""
    outcome, report = run(place, kernel=LIMITED_KERNEL, options={"config": "nopae"})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.notes["paging"] == ["off"]
    assert report.boot["protocol"] == "pvh"
    assert place.rig.facts(outcome) == {"domain type": "pvh"}
    made = {call.name: call.count for call in report.hypercalls}
    assert made["event_channel_op"] > 0 and made["memory_op"] > 0 and made["hvm_op"] > 0


def test_cpu_is_started_by_hypercall(run: Run) -> None:
    """VCPUOP_is_up, VCPUOP_initialise and VCPUOP_up: nothing else has asked for VCPUs."""
    if not WIDE:
        pytest.skip("left out, as asked (--skip)")
    outcome, report = run(WIDE[0], "checks=cpus.start")
    assert outcome.clean, outcome.end
    assert "# cpus online 0x3" in outcome.console
    assert {call.name: call.count for call in report.hypercalls}["vcpu_op"] == 3


def test_what_leaves_the_guest(run: Run) -> None:
    """The processor has page tables and interrupt flag for the guest alone; its local APIC Xen plays."""
    if not WIDE:
        pytest.skip("left out, as asked (--skip)")
    operations = (NOTHING, *SINGLE)
    outcome, _ = run(WIDE[0], asked_for(operations), exits=True)
    if not WIDE[0].rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    counts = Counts()
    single(outcome, operations, counts)
    print(counts.reasons)
    assert counts.total("set_cr3") == counts.total("mask") == counts.total("clock") == 0
    assert counts.reasons["end_of_interrupt"]["msr"] == 2
    assert counts.hypercalls("console") > 0


@pytest.mark.parametrize("cpus", [40, 128])
def test_last_of_many_cpus_takes_events(run: Run, cpus: int) -> None:
    """Interrupts and its alarm as well. Xen's shared page has words for 32, and it gives a domain 128."""
    if not WIDE:
        pytest.skip("left out, as asked (--skip)")
    assert "x86_64" in KERNELS, "nothing is built: ./vmi build"
    outcome, report = run(WIDE[0], kernel=KERNELS["x86_64"], cpus=cpus)
    last_cpu_passed(outcome, report, cpus)


def last_cpu_passed(outcome: Outcome, report: ktap.Report, cpus: int) -> None:
    assert report.failures() == [], outcome.console[-2000:]
    assert [test.name for test in report.tests] == CHECKS
    assert report.notes["cpus"] == [str(cpus)]
    assert outcome.clean, f"{outcome.end}\n{outcome.console[-1000:]}"


def test_kernel_with_page_tables_is_refused_there(place: Place, run: Run) -> None:
    outcome, report = run(place, options={"config": "nopae"})
    assert "vmi: cannot run: the processor has no PAE" in outcome.console
    assert outcome.end == "domain shut down, reason 3 (crash)"
    assert report.errors == ["no KTAP on the console"]


def test_kernel_that_binds_itself_is_refused_there(place: Place, run: Run) -> None:
    """By the provider that is at home, whose console is the one that there is, and not as a power-off."""
    outcome, _ = run(place, kernel=bound_kernel("sample"), options={"config": "nopae"})
    assert "vmi: cannot run: the processor has no PAE" in outcome.console
    assert outcome.end == "domain shut down, reason 3 (crash)"


def test_kernel_that_binds_itself_without_page_tables(place: Place, run: Run) -> None:
    """It needs none either, and is bound before it is entered."""
    outcome, report = run(place, kernel=bound_kernel(LIMITED_KERNEL), options={"config": "nopae"})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.binding["provider"] == NAME
    assert report.notes["paging"] == ["off"]


def test_refused_without_the_hypervisor() -> None:
    """A PC's loader is told on the PC's console; multiboot loaders do not take the image at all."""
    kernel = kernels("hello")[NAME]
    assert (0x1BADB002).to_bytes(4, "little") not in kernel.read_bytes()[:8192]
    command = ["qemu-system-i386", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
               *QEMU_END, "-kernel", str(kernel), "-append", DEBUG_EXIT]  # fmt: skip
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=tied(),
    )  # fmt: skip
    assert "vmi: cannot run: there is no Xen below" in done.stdout
    assert qemu_end(done.returncode)[1] == "exit status 0x13 (refused)"


LOGS = RESULTS / "test/overlooking"


@pytest.fixture(scope="module")
def overlooking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session on a Xen that overlooks the accessed bit."""
    rig = rig_class(NAME)(NAME, progress)
    if not rig.configurations[0].limited:
        pytest.skip("whole kernels run here as they are")
    rig.prepare()
    folder = tmp_path_factory.mktemp("image") / "rig"
    shutil.copytree(rig.image.folder, folder)
    xen = bytearray((folder / "xen").read_bytes())
    found = list(RESERVED.finditer(xen))
    if len(found) != 1:
        pytest.skip(f"this Xen has {len(found)} places that look like the check, not one")
    xen[found[0].start(1)] &= ~ACCESSED
    (folder / "xen").write_bytes(xen)
    rig.image = Image(folder, rig.image.versions)
    with rig.session(LOGS) as session:
        yield session


WHOLE = ("sample", "conformance")


def boot(
    session: Session, kernel: str | Path, append: str = "", config: str = "pvh", cpus: int = 2,
    devices: bool = False,
) -> tuple[Outcome, ktap.Report]:  # fmt: skip
    path = kernels(kernel)[NAME] if isinstance(kernel, str) else kernel
    guest = Guest(path, f"{path.stem}-{append}".strip("-"), append, cpus=cpus, deadline=DEADLINE,
                  options={"config": config})  # fmt: skip
    if devices:
        guest = checked.with_devices(guest, rig_class(NAME)(NAME, progress), LOGS / f"{guest.name}.disk")
        checked.blank(guest.disks)
    outcome = session.run(guest)
    return outcome, ktap.parse(outcome.console)


@pytest.mark.parametrize("kernel", WHOLE)
def test_whole_kernels(overlooking: Session, kernel: str) -> None:
    """With a disk and a network, where the kernel looks for some."""
    outcome, report = boot(overlooking, kernel, devices=kernel == "sample")
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert checked.findings(outcome.guest, report) == []
    assert report.count("pass") >= 75
    assert report.boot["cpus"] == "2"


def test_last_of_many_cpus_takes_events_on_i386(overlooking: Session) -> None:
    assert "i386" in KERNELS, "nothing is built: ./vmi build"
    last_cpu_passed(*boot(overlooking, KERNELS["i386"], cpus=40), 40)


def test_panic_is_a_crash(overlooking: Session) -> None:
    outcome, _ = boot(overlooking, "sample", "test=panic checks=none")
    assert outcome.end == "domain shut down, reason 3 (crash)"
    assert "PANIC" in outcome.console


def test_wrong_option_of_a_kernel_that_binds_itself(overlooking: Session) -> None:
    """Who tells is chosen by what is there, not by the option that is wrong."""
    outcome, _ = boot(overlooking, bound_kernel("sample"), "vmi.provider=nobody")
    assert "vmi: cannot run: no provider is of the name in option vmi.provider=" in outcome.console
    assert outcome.end == "domain shut down, reason 3 (crash)"


def test_library_for_hardware_does_not_seem_to_end_well(overlooking: Session) -> None:
    """It finds neither a console of its own nor a power-off here, and Xen takes a halt for one."""
    outcome, _ = boot(overlooking, kernels("hello")["native"], config="nopae")
    assert not outcome.clean
    assert re.fullmatch(
        "domain shut down, reason 1 \\(reboot\\), without a word on its console; Xen says: .*Triple fault.*",
        outcome.end,
    )
