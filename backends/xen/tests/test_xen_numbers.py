# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What backends/xen/backend.yaml says about Xen, held against Xen's public headers by a C compiler."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.build import tree
from ci.util import ARCHITECTURES, ROOT
from tests.backends.played import COMPILE

BACKEND = YAML(typ="safe").load(ROOT / "backends/xen/backend.yaml")
CALLS: list[dict[str, Any]] = BACKEND["hypercalls"]["calls"]
VERSION = re.search(r"-D(__XEN_INTERFACE_VERSION__=\w+)", (ROOT / "backends/xen/meson.build").read_text())


REGISTERS = {"i386": ["ebx", "ecx", "edx", "esi", "edi"], "x86_64": ["rdi", "rsi", "rdx", "r10", "r8"]}
"""arch-x86/xen-x86_32.h, xen-x86_64.h"""


def here(part: dict[str, Any], arch: str) -> bool:
    return arch in part.get("architectures", REGISTERS)


def compiles(assertions: str, folder: Path, arch: str) -> subprocess.CompletedProcess[str]:
    """Compiles assertions with Xen's headers."""
    assert VERSION
    source = folder / "numbers.c"
    source.write_text(f"#include <stdint.h>\n#include <xen/xen.h>\n{assertions}")
    command = ["gcc", *COMPILE[arch], "-ffreestanding", "-Wall", "-Werror", f"-D{VERSION[1]}",
               "-idirafter", "/usr/include", "-fsyntax-only", str(source)]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("arch", REGISTERS)
def test_numbers_are_those_of_the_header(tmp_path: Path, arch: str) -> None:
    same = "".join(
        f'_Static_assert({call["macro"]} == {call["number"]}, "{call["name"]}");\n'
        for call in CALLS
        if here(call, arch)
    )
    done = compiles(same, tmp_path, arch)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["name"])
def test_a_wrong_number_is_noticed(call: dict[str, Any], tmp_path: Path) -> None:
    done = compiles(
        f'_Static_assert({call["macro"]} == {call["number"] + 1}, "differs");\n', tmp_path, ARCHITECTURES[-1]
    )
    assert done.returncode != 0
    assert "differs" in done.stderr


def test_every_number_once() -> None:
    for key in ("name", "number", "macro"):
        values = [call[key] for call in CALLS]
        assert len(set(values)) == len(values), key


@pytest.mark.parametrize("arch", REGISTERS)
def test_arguments_fit_the_registers(arch: str) -> None:
    """Five registers; on i386 64 bits take two of them."""
    registers = BACKEND["hypercalls"][arch]["arguments"]
    assert registers == REGISTERS[arch]
    for call in CALLS:
        arguments = [each for each in call.get("arguments", []) if here(each, arch)]
        words = sum(2 if each["type"] == "u64" and arch == "i386" else 1 for each in arguments)
        assert words <= len(registers), call["name"]


@pytest.mark.parametrize("arch", REGISTERS)
def test_every_hypercall_of_the_header_is_there(arch: str) -> None:
    """All that a guest can make, so that another kernel needs no table of its own."""
    header = Path("/usr/include/xen/xen.h").read_text()
    public = re.findall(r"^#define (__HYPERVISOR_(?!arch_)\w+) +(\d+)(.*)$", header, re.MULTILINE)
    needed = {macro for macro, _, comment in public if arch == "x86_64" or "x86/64 only" not in comment}
    assert len(needed) >= 40
    assert needed <= {call["macro"] for call in CALLS if here(call, arch)}


def test_const_is_what_xen_does_not_write() -> None:
    """Everything else may be an answer: multicall's list has room for results, CONSOLEIO_read fills text."""
    const = {
        call["name"]
        for call in CALLS
        if any(argument["type"] == "const_buffer" for argument in call.get("arguments", []))
    }
    assert const == {
        "set_trap_table", "mmu_update", "set_gdt", "mmuext_op", "nmi_op", "sched_op", "callback_op", "dm_op",
        "hypfs_op",
    }  # fmt: skip


@pytest.mark.parametrize("arch", REGISTERS)
def test_hypercalls_of_an_architecture_are_its_own(arch: str) -> None:
    """What backend.yaml says of architectures is what the header has."""
    header = (tree(arch) / "generated/xen/hypercalls.h").read_text()
    wide = arch == "x86_64"
    assert ("vmi__xen_hypercall_set_segment_base(" in header) == wide
    (prototype,) = re.findall(r"vmi__xen_hypercall_set_callbacks\((.*?)\)", header, re.DOTALL)
    assert ("syscall_address" in prototype) == wide
    assert prototype.count(",") + 1 == (3 if wide else 4)
