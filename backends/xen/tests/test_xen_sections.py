# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A CPU loses its processor within each critical section of the library (xen_sections.c), while others work,
or want the same: nothing is lost or doubled, and no two are at the same data."""

from __future__ import annotations

import functools
import json
import re
import shlex
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ci import ktap
from ci.build import tree
from ci.rig import Outcome
from ci.util import ROOT, locked
from codegen import vmiflavour
from tests.guests import Place, Run, places

ARCH = "x86_64"
PV = [place for place in places(ARCH) if place.backend == "xen"]
pytestmark = pytest.mark.skipif(not PV, reason="left out, as asked")

FOLDER = ROOT / "backends/xen"
SHARED = (ROOT / "backends/xen_common/requests.c", ROOT / "backends/xen_common/store.c")
"""Those with sections, beside the drivers of devices."""
HERE = Path(__file__).parent
ENTRY = re.compile(r"\bvmi__xen_(?:mask|take|set_bit|common_enter)\(")
BEGINS = re.compile(r"\bvmi__xen_(?:mask|take|common_enter)\(")
LOCKED = re.compile(r"\bvmi__xen_(?:take|common_enter)\(")
DEFINES_THEM = ("base.c", "platform.c")
"""The latter for the drivers of devices, whose sections are in the folder `devices`."""
NO_CPU_YET = ("stop.c", "context.c")
"""Run where a CPU that is started again does not know yet which it is, as who looks at accesses must. They
have no sections."""
FUNCTION = re.compile(r"^(?!#|static const|typedef)[^\s/*{}].*?\b(\w+)\(", re.MULTILINE)

TYPED = bytes(range(ord("0"), ord("0") + 64))
"""Each byte once."""

UNREACHED = {"mmu.c:vmi__xen_protect", "store.c:vmi__xen_common_store_let_in"}
"""For i386 alone: of a local descriptor table's pages. And before there is a kernel."""
NOT_ASKED_FOR = {"suspend.c:vmi__xen_suspend", "mmu.c:vmi__xen_give_frames", "mmu.c:vmi__xen_take_frames"}
"""By the toolstack, while these kernels run."""


def commands(output: str, folder: Path) -> dict[Path, list[str]]:
    """How each C source in a folder is compiled for a library of the build."""
    found = {}
    for entry in json.loads((tree(ARCH) / "compile_commands.json").read_text()):
        source = (Path(entry["directory"]) / entry["file"]).resolve()
        if f"{output}.p/" in entry["output"] and folder in source.parents and source.suffix == ".c":
            found[source] = shlex.split(entry["command"])
    return found


def library_commands() -> dict[Path, list[str]]:
    every = commands("libvmi-xen.a", FOLDER.parent)
    return {
        source: command
        for source, command in every.items()
        if source in SHARED
        or (FOLDER in source.parents and source.name not in (*DEFINES_THEM, *NO_CPU_YET))
    }


def sections(entry: re.Pattern[str] = ENTRY) -> set[str]:
    """FILE:FUNCTION of each function that has a critical section, by the sources."""
    found = set()
    for source in library_commands():
        function = ""
        for line in source.read_text().splitlines():
            if begun := FUNCTION.match(line):
                function = begun[1]
            elif line[:1].isspace() and entry.search(line):
                found.add(f"{source.name}:{function}")
    return found


def compiled(command: list[str], source: Path, out: Path, *more: str) -> None:
    kept = command[: command.index("-MD")]
    subprocess.run([*kept, *more, "-c", str(source), "-o", str(out)], cwd=tree(ARCH), check=True)


@functools.cache
def build() -> Path:
    """The sample kernel with this flavour, where rigs look for kernels when they start."""
    built = tree(ARCH)
    folder = built / "tests/sections"
    folder.mkdir(parents=True, exist_ok=True)
    kernel = folder / "sections-xen.elf"
    with locked(kernel.with_suffix(".lock")):
        library = folder / "libvmi-xen.a"
        library.unlink(missing_ok=True)
        subprocess.run(["ar", "rcD", library], check=True)
        subprocess.run(["objcopy", built / "backends/libvmi-xen.a", library], check=True)
        hooked = []
        hooks = ("-I", str(ROOT / "backends"), "-I", str(FOLDER), "-include", str(HERE / "xen_sections.h"),
                 "-fsanitize=thread", "--param=tsan-distinguish-volatile=1",
                 "--param=tsan-instrument-func-entry-exit=0", "-g1")  # fmt: skip
        for source, command in library_commands().items():
            hooked.append(folder / Path(command[command.index("-o") + 1]).name)
            compiled(command, source, hooked[-1], *hooks)
        subprocess.run(["ar", "rD", library, *hooked], check=True)
        objects = [folder / "flavour.o", folder / "sections.o"]
        compiled(command, built / "include/vmi/flavour.S", objects[0])
        compiled(command, HERE / "xen_sections.c", objects[1], "-I", str(FOLDER))
        flavoured = folder / "libvmi-xen-sections.a"
        vmiflavour.make(library, built / "include/vmi/flavour.syms", objects, flavoured)
        main = folder / "main.o"
        sample = commands("libsample-kernel.a", ROOT / "sample_kernel")
        compiled(sample[ROOT / "sample_kernel/main.c"], HERE / "xen_sections_main.c", main)
        others = (built / "sample_kernel/libsample-kernel.a.p").glob("*.o")
        subprocess.run(
            ["gcc", "-m64", "-nostdlib", "-static", "-Wl,-no-pie", "-Wl,--build-id=none",
             "-Wl,-z,noexecstack", f"-Wl,-T,{ROOT / 'runtime/arch/x86_64/kernel.ld'}", main,
             *(path for path in others if path.name != "main.c.o"), flavoured, "-o", kernel],
            check=True,
        )  # fmt: skip
    return kernel


@pytest.fixture
def pv() -> Place:
    return PV[0]


@pytest.fixture
def slept(pv: Place, run: Run) -> tuple[Outcome, ktap.Report]:
    return run(pv, kernel=build(), cpus=3, requests=True)


@pytest.fixture
def contended(pv: Place, run: Run) -> Outcome:
    folder = build().parent
    typed = folder / "typed.txt"
    typed.write_bytes(TYPED)
    return run(pv, "contend=1", kernel=build(), cpus=4, typed=typed, requests=True)[0]


def sections_of(outcome: Outcome) -> list[dict[str, str]]:
    """What the kernel says of each place: `section`, and its numbers."""
    return [
        dict(pair.split("=") for pair in f"section={line}".split())
        for line in re.findall(r"^# section (.+)", outcome.console, re.MULTILINE)
    ]


def races(outcome: Outcome) -> list[str]:
    """Two CPUs at one address, of which one writes, by the lines of the sources."""
    found = []
    for section, at, other in re.findall(r"^# race (\S+) at=(\w+) with=(\w+)", outcome.console, re.MULTILINE):
        command = ["addr2line", "-s", "-e", str(outcome.guest.kernel), at, other]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        found.append(f"{section}: {' and '.join(lines)}")
    return found


def test_what_cpus_do_at_the_same_time_is_neither_lost_nor_doubled(contended: Outcome) -> None:
    """Three CPUs make the calls that share a lock, while one sleeps in the middle."""
    assert races(contended) == []
    assert re.findall(r"^# lost: .*", contended.console, re.MULTILINE) == []
    assert contended.clean, f"{contended.end}\n{contended.console[-1000:]}"
    written = re.findall(r"^# written (\d+ \d+ \d+) end$", contended.console, re.MULTILINE)
    assert Counter(written) == Counter(f"{a} {b} {c}" for a in range(12) for b in range(3) for c in range(4))
    read = re.search(r"^# read \d+:([ 0-9a-f]*)$", contended.console, re.MULTILINE)
    assert read and sorted(bytes.fromhex(read[1])) == sorted(TYPED)


def test_each_lock_was_slept_with(contended: Outcome) -> None:
    """Of each section that the sources have with a lock."""
    middles = {each["section"] for each in sections_of(contended) if int(each["middle"])}
    assert sections(LOCKED) - middles == sections(LOCKED) & (UNREACHED | NOT_ASKED_FOR)


def test_nothing_is_lost(slept: tuple[Outcome, ktap.Report]) -> None:
    outcome, report = slept
    assert report.failures() == [], outcome.console[-3000:]
    assert outcome.clean, f"{outcome.end}\n{outcome.console[-1000:]}"
    assert races(outcome) == []


def test_each_section_was_slept_in(slept: tuple[Outcome, ktap.Report]) -> None:
    """By the sources, each has hooks at its ends and within, and the kernel came by them when another CPU
    was there."""
    ends: Counter[str] = Counter()
    middles: Counter[str] = Counter()
    others = 0
    for each in sections_of(slept[0]):
        ends[each["section"]] += int(each["slept"])
        middles[each["section"]] += int(each["middle"])
        others += int(each["others"])
    assert sections() - {name for name in ends if ends[name]} == UNREACHED | NOT_ASKED_FOR
    assert sections(BEGINS) - {name for name in middles if middles[name]} == UNREACHED | NOT_ASKED_FOR
    assert others > sum(ends.values())
