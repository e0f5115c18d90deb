# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""IRET and SYSRET of the library for Xen PVH on x86-64: which stack the one is executed on, and what the
other takes from its frame (xen_pvh_iret.c)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("xen_pvh_iret.c")
IRET = SOURCE.parents[1] / "arch/x86_64/iret.S"
OF_RING_0 = {
    "testb   $3, CS(%rsp)\n        jnz     2f": "cmpb    $0, to_ring_3(%rip)\n        jnz     2f",
    "mov     %gs:VMI_PERCPU_KERNEL_STACK, %rax": "mov     kernel_stack(%rip), %rax",
    "mov     %gs:VMI_PERCPU_KERNEL_STACK, %rcx": "mov     kernel_stack(%rip), %rcx",
    "        jns     3f": "        jz      3f",
    "        cli\n        swapgs\n4:": "4:",
    "        cli\n        mov     RSP(%rsp), %rsp\n": "        mov     RSP(%rsp), %rsp\n",
    "process_stack:\n        swapgs\n        sysretq\n": "process_stack:\n        jmp     *%rcx\n",
}
"""What a process cannot execute, and what stands for it: kernel addresses are those with the sign."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("iret")
    text = IRET.read_text()
    for old, new in OF_RING_0.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    changed = folder / "iret.S"
    changed.write_text(text)
    return played.results(SOURCE, folder, changed, arch="x86_64")


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_iret(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
