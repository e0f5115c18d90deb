# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Memory above 4 GiB: on both architectures beside what is below; and on x86-64 nearly alone, where every
address that is cut to 32 bits leads to no memory. Guests touch few pages of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci import machines
from ci.build import kernels
from ci.util import ARCHITECTURES

from ..guests import Run, places
from .loaders import carry
from .test_own_kernel import compiled

HARDWARE = places("x86_64")[0]
MIB = 6 * 1024
KERNEL = Path(__file__).with_name("memory_kernel.c")
GIB = 1 << 30
BELOW, HOLE = 3 * GIB, 4 * GIB
"""Where QEMU's PC has a hole, if it has memory for more."""


def memory_kib(console: str) -> int:
    found = re.search(r"^# boot .* memory_kib=(\d+)", console, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_six_gib(run: Run, arch: str) -> None:
    outcome, report = run(places(arch)[0], memory_mib=MIB, options={"machine": "q35", "cpu": "max"})
    machines.note("q35, 6 GiB", "max", "SeaBIOS", arch, machines.judged(outcome))
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert memory_kib(outcome.console) > (MIB - 64) * 1024


@pytest.mark.parametrize("kernel", ["sample", "conformance"])
def test_memory_only_above_four_gib(kernel: str, run: Run, tmp_path: Path) -> None:
    """But for the first 8 MiB, in which the kernel lies."""
    image = carry("above", kernels(kernel, "x86_64")[HARDWARE.backend], tmp_path)
    # The loader is 32-bit code.
    outcome, report = run(HARDWARE, kernel=image, memory_mib=MIB, options={"cpu": "qemu64"})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    # What QEMU's PC has above 4 GiB of that much.
    assert (MIB - 3584 - 64) * 1024 < memory_kib(outcome.console) < (MIB - 3072 + 64) * 1024


# A processor of an emulator's with PAE, but 32 bits of address: what it cannot address is no memory.
SHORT = {"cpu": "qemu32"}
LARGE = {"machine": "pc,vmport=off,memory-backend=ram"}


@pytest.mark.parametrize(
    ("arch", "gib", "options", "top"),
    [
        *((arch, gib, {"cpu": "qemu64"}, gib * GIB + (HOLE - BELOW if gib > 3 else 0))
          for arch in ARCHITECTURES for gib in (3, 4, 8)),
        ("i386", 8, SHORT, BELOW),
        ("i386", 60, {"cpu": "pentium3", **LARGE}, 61 * GIB),
        ("x86_64", 1000, {"cpu": "qemu64", **LARGE}, 1001 * GIB),
    ],
    ids=lambda value: str(value) if isinstance(value, (str, int)) else "-",
)  # fmt: skip
def test_pages_all_over_memory(
    arch: str, gib: int, options: dict[str, str], top: int, run: Run, tmp_path: Path
) -> None:
    """Are each another one, also those whose addresses differ in one bit; none is in the hole."""
    hardware = places(arch)[0]
    image = compiled(KERNEL.read_text(), hardware.backend, tmp_path, arch, "-Wall", "-Wextra", "-Werror")
    if "machine" in options:  # QEMU wants no promise of the memory then
        options = {**options, "qemu": f"-object memory-backend-ram,id=ram,size={gib}G,reserve=off"}
    outcome, _ = run(hardware, kernel=image, memory_mib=gib * 1024, cpus=1, options=options)
    found = re.search(r"^pages (\w+) highest (\w+)$", outcome.console, re.MULTILINE)
    verdict = "runs" if outcome.clean and found else "fails"
    words = f"{int(found[1], 16)} pages, the last at 0x{int(found[2], 16):x}" if found else outcome.end
    machines.note(f"pc, {gib} GiB", options["cpu"], "SeaBIOS", arch, (verdict, words))
    assert outcome.clean, (outcome.end, outcome.console)
    ranges = [(int(start, 16), int(end, 16)) for start, end in
              re.findall(r"^usable (\w+) (\w+)$", outcome.console, re.MULTILINE)]  # fmt: skip
    assert all(end <= BELOW or start >= HOLE for start, end in ranges), ranges
    # At its end QEMU and the firmware keep a little.
    assert top - GIB // 8 < ranges[-1][1] <= top
    assert found and int(found[1], 16) > 64 and int(found[2], 16) == ranges[-1][1] - 4096
