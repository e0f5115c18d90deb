# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What backends/xen/backend.yaml says about Xen, held against Xen's public headers by a C compiler."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.util import ROOT

BACKEND = YAML(typ="safe").load(ROOT / "backends/xen/backend.yaml")
CALLS: list[dict[str, Any]] = BACKEND["hypercalls"]["calls"]
VERSION = re.search(r"-D(__XEN_INTERFACE_VERSION__=\w+)", (ROOT / "backends/xen/meson.build").read_text())


def compiles(assertions: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compiles assertions for i386 with Xen's headers."""
    assert VERSION
    source = folder / "numbers.c"
    source.write_text(f"#include <stdint.h>\n#include <xen/xen.h>\n{assertions}")
    command = ["gcc", "-m32", "-ffreestanding", "-Wall", "-Werror", f"-D{VERSION[1]}",
               "-idirafter", "/usr/include", "-fsyntax-only", str(source)]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_numbers_are_those_of_the_header(tmp_path: Path) -> None:
    same = "".join(
        f'_Static_assert({call["macro"]} == {call["number"]}, "{call["name"]}");\n' for call in CALLS
    )
    done = compiles(same, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["name"])
def test_a_wrong_number_is_noticed(call: dict[str, Any], tmp_path: Path) -> None:
    done = compiles(f'_Static_assert({call["macro"]} == {call["number"] + 1}, "differs");\n', tmp_path)
    assert done.returncode != 0
    assert "differs" in done.stderr


def test_every_number_once() -> None:
    for key in ("name", "number", "macro"):
        values = [call[key] for call in CALLS]
        assert len(set(values)) == len(values), key


def test_arguments_fit_the_registers() -> None:
    """Five registers (arch-x86/xen-x86_32.h); 64 bits take two of them."""
    registers = BACKEND["hypercalls"]["i386"]["arguments"]
    assert registers == ["ebx", "ecx", "edx", "esi", "edi"]
    for call in CALLS:
        words = sum(2 if argument["type"] == "u64" else 1 for argument in call.get("arguments", []))
        assert words <= len(registers), call["name"]


def test_what_the_task_needs_is_there() -> None:
    """The hypercalls of Xen's public interface that an i386 guest can use."""
    needed = (
        "set_trap_table mmu_update set_gdt stack_switch set_callbacks fpu_taskswitch set_debugreg "
        "get_debugreg update_descriptor memory_op multicall update_va_mapping set_timer_op xen_version "
        "console_io grant_table_op vm_assist vcpu_op mmuext_op sched_op event_channel_op physdev_op "
        "hvm_op iret"
    )
    assert set(needed.split()) <= {call["name"] for call in CALLS}
