# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The witness: QEMU's exception log."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.witness import Hypercall, before_mark, between_marks, of_workloads, software_interrupts

STATE = """\
EAX={eax} EBX=00000001 ECX={ecx} EDX=00000003
ESI=00000004 EDI=00000005 EBP=00000006 ESP=c0104344
EIP=c0102256 EFL=00000203 [------C] CPL=1 II=0 A20=1 SMM=0 HLT=0
TR =e040 {tr} 00000067 00008900 DPL=0 TSS64-avl
"""
LOG = (
    "check_exception old: 0xffffffff new 0xe\n"
    "    10: v=0e e=0002 i=0 cpl=3 IP=0033:0000000000401000 pc=0 SP=002b:7ffe CR2=0000000000000082\n"
    "RAX=0000000000000000 RBX=0000000000000000\n"
    "TR =e040 00000001 00000067 00008900\n"
    "    11: v=82 e=0000 i=1 cpl=1 IP=e019:00000000c0102256 pc=0 SP=e021:0 env->regs[R_EAX]=0c\n"
    + STATE.format(eax="0000000c", ecx="00000002", tr="40819040")
    + "    12: v=80 e=0000 i=1 cpl=3 IP=0023:0000000008048000 pc=0 SP=002b:0 env->regs[R_EAX]=04\n"
    + STATE.format(eax="00000004", ecx="00000002", tr="40819040")
    + "    13: v=82 e=0000 i=1 cpl=3 IP=e02b:00000000c0102256 pc=0 SP=e033:0 env->regs[R_EAX]=1d\n"
    + STATE.format(eax="0000001d", ecx="00000077", tr="50819040")
    + "    14: v=82 e=0000 i=0 cpl=0 IP=e008:ffff82d040200000 pc=0 SP=0000:0 env->regs[R_EAX]=01\n"
    + STATE.format(eax="00000001", ecx="00000077", tr="50819040")
    + "    15: v=82 e=0000 i=1 cpl=3 IP=0033:0000000000401000 pc=0 SP=002b:0 env->regs[R_EAX]=01\n"
    + "RAX=0000000000000001 RBX=0000000000000000\n"
    + "TR =e040 00000001 00000067 00008900\n"
)


def hypercall(number: int, second: int, privilege: int, selector: int, processor: str) -> Hypercall:
    arguments = (1, second, 3, 4, 5)
    return Hypercall(number, arguments, privilege, selector, 0xC0102256, 0xC0104344, processor)


def test_only_software_interrupts_of_the_vector(tmp_path: Path) -> None:
    """Not faults, not hardware's interrupts, not other vectors, not 64-bit code."""
    log = tmp_path / "int.log"
    log.write_text(LOG)
    first = hypercall(12, 2, 1, 0xE019, "40819040")
    second = hypercall(29, 0x77, 3, 0xE02B, "50819040")
    assert software_interrupts(log, 0x82) == [first, second]
    assert [each.number for each in software_interrupts(log, 0x80)] == [4]
    assert software_interrupts(log, 0x83) == []
    assert before_mark([first, second, first], 0x77) == [first]
    assert before_mark([first, second, first], 2) == [first, second]
    assert before_mark([first, second], 0x78) == []


def test_between_marks() -> None:
    def call(number: int, second: int) -> Hypercall:
        return Hypercall(number, (0, second, 0, 0, 0), 1, 0xE019, 0xC0100000, 0xC0200000, "0")

    mark, other = call(8, 77), call(1, 5)
    assert between_marks([other, mark, mark, other, mark, other, other, mark, other], 77) == [0, 2]
    with pytest.raises(ValueError, match="shorter"):
        between_marks([mark, other, mark, mark], 77)


def test_workloads_are_without_their_process() -> None:
    def call(second: int) -> Hypercall:
        return Hypercall(8, (0, second, 0, 0, 0))

    def between(count: int) -> list[Hypercall]:
        return [call(77), *[call(5)] * count, call(77)]

    assert of_workloads([*between(10), *between(1010), *between(10), *between(138), *between(20)], 77) == [
        1000, 128, 20,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="makes 10 hypercalls, and 11 the next time"):
        of_workloads([*between(10), *between(1010), *between(11), *between(138)], 77)
