# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Linux's instructions where a plugin of QEMU's counts them (bench/beside_linux.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backends.native.bench.beside_linux import (
    OF_TWO,
    QEMU_PLUGIN,
    READINGS_AT,
    build_counter,
    of_two,
    readings_at,
)
from ci.rig import Guest, Outcome, discover
from ci.util import UserError, progress, tied

ROUNDS = 3
NOTHING = [0, 1, 100, 108, 200, 209, 300]
IPI = [400, 900, 1000, 1510, 2000, 2508, 3000]
"""Readings: at the begin, and behind the operation and the rest of each round. In the first round counting
has only begun."""


def linux(readings: list[int], *names: str) -> tuple[float, float]:
    console = "".join(f"# workload {name} rounds={ROUNDS}\r\n" for name in names or OF_TWO)
    outcome = Outcome(Guest(Path("kernel"), "ipi"), console, True, "", "", 0.0, "", Path("log"), {})
    return of_two(outcome, readings)


def test_instructions_of_an_interrupt() -> None:
    assert linux([*NOTHING, *IPI]) == (508 - 8, 509 - 8)


@pytest.mark.parametrize("readings", [[], NOTHING, [*NOTHING, *IPI[:-1]], [*NOTHING, *IPI, 4000]])
def test_missing_reading_is_an_error(readings: list[int]) -> None:
    with pytest.raises(UserError, match="not 14; log: log"):
        linux(readings)


def test_other_workloads_are_an_error() -> None:
    with pytest.raises(UserError, match="its workloads are"):
        linux([*NOTHING, *IPI], "nothing", "timer_tick")


# Three instructions are executed from the first reading to the second (the second among them), and 301 to the
# third; the first sector of a disk is executed at 0x7c00.
PROGRAM = f"""
    .code16
    .globl _start
_start:
    jmp 5f
5:  mov $3, %bx
1:  rdtsc
    .pushsection {READINGS_AT}, "a"
    .long 1b, 0
    .popsection
    nop
    nop
2:  rdtsc
    .pushsection {READINGS_AT}
    .long 2b, 0
    .popsection
    mov $298, %cx
3:  loop 3b
    nop
4:  rdtsc
    .pushsection {READINGS_AT}
    .long 4b, 0
    .popsection
    dec %bx
    jnz 1b
    mov $0x10, %al
    out %al, $0xf4
    hlt
    .org 510
    .word 0xaa55
"""


def test_counter_counts_each_instruction(tmp_path: Path) -> None:
    """In the second round and the third: amid the first it begins."""
    source, program, sector, out = (tmp_path / name for name in ("p.S", "p.elf", "p.bin", "readings"))
    source.write_text(PROGRAM)
    link = ["-m32", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-Ttext=0x7c00"]
    subprocess.run(["gcc", *link, "-o", program, source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", program, sector], check=True)
    version = discover(progress)["native"].describe()["qemu"]
    places = ",".join(f"at={place:x}" for place in readings_at(program))
    plugin = QEMU_PLUGIN.format(plugin=build_counter(tmp_path, version), out=out, places=places)
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-m", "16", "-nodefaults", "-display", "none",
         "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-no-reboot", "-drive",
         f"file={sector},format=raw", *plugin.split()],
        check=False, timeout=120, preexec_fn=tied(),
    )  # fmt: skip
    assert done.returncode == 33
    readings = [int(line) for line in out.read_text().split()]
    assert len(readings) == 9
    for first, second, third in (readings[3:6], readings[6:9]):
        assert (second - first, third - second) == (3, 301)
    assert readings[6] - readings[5] == 3
