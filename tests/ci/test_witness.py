# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The witness: QEMU's exception log."""

from __future__ import annotations

from pathlib import Path

from ci.witness import Entry, software_interrupts

LOG = """\
check_exception old: 0xffffffff new 0xe
    10: v=0e e=0002 i=0 cpl=3 IP=0033:0000000000401000 pc=0000000000401000 SP=002b:7ffe CR2=0000000000000082
RAX=0000000000000000 RBX=0000000000000000
    11: v=82 e=0000 i=1 cpl=1 IP=e019:00000000c0102256 pc=00000000c0102256 SP=e021:00000000c0104344 env->regs[R_EAX]=000000000000000c
EAX=0000000c EBX=00000001
    12: v=80 e=0000 i=1 cpl=3 IP=0023:0000000008048000 pc=0000000008048000 SP=002b:0 env->regs[R_EAX]=0000000000000004
    13: v=82 e=0000 i=1 cpl=3 IP=e02b:0000000000001000 pc=0000000000001000 SP=e033:0 env->regs[R_EAX]=ffffffff0000001d
    14: v=82 e=0000 i=0 cpl=0 IP=e008:ffff82d040200000 pc=ffff82d040200000 SP=0000:0 env->regs[R_EAX]=0000000000000001
"""  # noqa: E501


def test_only_software_interrupts_of_the_vector(tmp_path: Path) -> None:
    log = tmp_path / "int.log"
    log.write_text(LOG)
    assert software_interrupts(log, 0x82) == [Entry(12, 1, 0xE019), Entry(29, 3, 0xE02B)]
    assert software_interrupts(log, 0x80) == [Entry(4, 3, 0x23)]
    assert software_interrupts(log, 0x83) == []
