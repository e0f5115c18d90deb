# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A CPU loses its processor within each critical section of the library (xen_sections.c), while others work:
nothing is lost."""

from __future__ import annotations

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
HERE = Path(__file__).parent
ENTRY = re.compile(r"\bvmi__xen_(?:mask|take|set_bit)\(")
DEFINES_THEM = "base.c"
FUNCTION = re.compile(r"^(?!#|static const|typedef)[^\s/*{}].*?\b(\w+)\(", re.MULTILINE)

UNREACHED = {"mmu.c:vmi__xen_protect"}
"""Sections that are for i386: of a local descriptor table's pages."""


def commands(output: str, folder: Path) -> dict[Path, list[str]]:
    """How each C source in a folder is compiled for a library of the build."""
    found = {}
    for entry in json.loads((tree(ARCH) / "compile_commands.json").read_text()):
        source = (Path(entry["directory"]) / entry["file"]).resolve()
        if f"{output}.p/" in entry["output"] and folder in source.parents and source.suffix == ".c":
            found[source] = shlex.split(entry["command"])
    return found


def library_commands() -> dict[Path, list[str]]:
    every = commands("libvmi-xen.a", FOLDER)
    return {source: command for source, command in every.items() if source.name != DEFINES_THEM}


def sections() -> set[str]:
    """FILE:FUNCTION of each function that has a critical section, by the sources."""
    found = set()
    for source in library_commands():
        function = ""
        for line in source.read_text().splitlines():
            if begun := FUNCTION.match(line):
                function = begun[1]
            elif line[:1].isspace() and ENTRY.search(line):
                found.add(f"{source.name}:{function}")
    return found


def compiled(command: list[str], source: Path, out: Path, *more: str) -> None:
    kept = command[: command.index("-MD")]
    subprocess.run([*kept, *more, "-c", str(source), "-o", str(out)], cwd=tree(ARCH), check=True)


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
        header = ("-I", str(ROOT / "backends"), "-I", str(FOLDER), "-include", str(HERE / "xen_sections.h"))
        for source, command in library_commands().items():
            hooked.append(folder / Path(command[command.index("-o") + 1]).name)
            compiled(command, source, hooked[-1], *header)
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
    return run(pv, kernel=build(), cpus=3)


def test_nothing_is_lost(slept: tuple[Outcome, ktap.Report]) -> None:
    outcome, report = slept
    assert report.failures() == [], outcome.console[-3000:]
    assert outcome.clean, f"{outcome.end}\n{outcome.console[-1000:]}"


def test_each_section_was_slept_in(slept: tuple[Outcome, ktap.Report]) -> None:
    """By the sources, each has a hook, and the kernel came by it when another CPU was there."""
    times: Counter[str] = Counter()
    others = 0
    lines = re.findall(
        r"^# section (\S+) entered=\d+ slept=(\d+) others=(\d+)", slept[0].console, re.MULTILINE
    )
    for name, count, happened in lines:
        times[name] += int(count)
        others += int(happened)
    assert sections() - {name for name in times if times[name]} == UNREACHED
    assert others > sum(times.values())
