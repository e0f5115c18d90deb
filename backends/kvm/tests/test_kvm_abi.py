# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the KVM library says about KVM, held against Linux's public headers by a C compiler."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.build import kernels
from ci.util import ROOT

FOLDER = ROOT / "backends/kvm"

# para.h's names as the headers have them, where they differ by more than the prefix.
CONSTANTS = {
    "KVM__FEATURE_CLOCKSOURCE_STABLE": "KVM_FEATURE_CLOCKSOURCE_STABLE_BIT",
    "KVM__HINT_REALTIME": "KVM_HINTS_REALTIME",
    "KVM__MSR_WALL_CLOCK_OLD": "MSR_KVM_WALL_CLOCK",
    "KVM__MSR_SYSTEM_TIME_OLD": "MSR_KVM_SYSTEM_TIME",
    "KVM__MSR_WALL_CLOCK": "MSR_KVM_WALL_CLOCK_NEW",
    "KVM__MSR_SYSTEM_TIME": "MSR_KVM_SYSTEM_TIME_NEW",
    "KVM__MSR_STEAL_TIME": "MSR_KVM_STEAL_TIME",
    "KVM__MSR_PV_EOI": "MSR_KVM_PV_EOI_EN",
    "KVM__MSR_POLL_CONTROL": "MSR_KVM_POLL_CONTROL",
    "KVM__MSR_ENABLED": "KVM_MSR_ENABLED",
    "KVM__PREEMPTED": "KVM_VCPU_PREEMPTED",
    "KVM__FLUSH_TLB": "KVM_VCPU_FLUSH_TLB",
    "KVM__EOI_BIT": "KVM_PV_EOI_BIT",
    "KVM__ENOSYS": "KVM_ENOSYS",
    "KVM__MAP_PRIVATE": "KVM_MAP_GPA_RANGE_ENCRYPTED",
    "KVM__MAP_SHARED": "(KVM_MAP_GPA_RANGE_DECRYPTED | KVM_MAP_GPA_RANGE_PAGE_SZ_4K)",
}

# The time structures are in Linux's internal asm/pvclock-abi.h; msr.rst documents them as they are here.
LAYOUT = """
SAME(sizeof(struct kvm__steal_time), sizeof(struct kvm_steal_time));
SAME(offsetof(struct kvm__steal_time, steal), offsetof(struct kvm_steal_time, steal));
SAME(offsetof(struct kvm__steal_time, version), offsetof(struct kvm_steal_time, version));
SAME(offsetof(struct kvm__steal_time, flags), offsetof(struct kvm_steal_time, flags));
SAME(offsetof(struct kvm__steal_time, preempted), offsetof(struct kvm_steal_time, preempted));
SAME(sizeof(struct kvm__time), 32);
SAME(offsetof(struct kvm__time, tsc_timestamp), 8);
SAME(offsetof(struct kvm__time, system_time), 16);
SAME(offsetof(struct kvm__time, multiplier), 24);
SAME(offsetof(struct kvm__time, shift), 28);
SAME(offsetof(struct kvm__time, flags), 29);
SAME(sizeof(struct kvm__wall_clock), 12);
SAME(sizeof(KVM__SIGNATURE), 12);
SAME(__builtin_memcmp(KVM__SIGNATURE, KVM_SIGNATURE, 12), 0);
"""


def hypercalls() -> list[dict[str, Any]]:
    """The table of backends/kvm/backend.yaml."""
    table: list[dict[str, Any]] = YAML(typ="safe").load(FOLDER / "backend.yaml")["hypercalls"]["calls"]
    return table


def defined() -> list[str]:
    """Constants of para.h that are numbers."""
    names = re.findall(r"^#define (KVM__\w+)\s", (FOLDER / "para.h").read_text(), re.MULTILINE)
    return [name for name in names if name not in ("KVM__SIGNATURE",)]


def compiles(assertions: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compiles assertions for i386 with Linux's headers and the library's."""
    source = folder / "abi.c"
    source.write_text(
        "#include <stddef.h>\n#include <linux/kvm_para.h>\n"
        '#include "para.h"\n#define SAME(a, b) _Static_assert((a) == (b), #a " is not " #b)\n' + assertions
    )
    # The kernel's headers for x86 are the same for 32 and 64 bits; Debian keeps them in the latter's folder.
    command = ["gcc", "-m32", "-ffreestanding", "-Wall", "-Werror", f"-I{FOLDER}",
               "-idirafter", "/usr/include/x86_64-linux-gnu", "-fsyntax-only", str(source)]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_hypercall_numbers(tmp_path: Path) -> None:
    calls = hypercalls()
    assert len(calls) == 7
    lines = [f"SAME({call['number']}, {call['macro']});" for call in calls]
    done = compiles("\n".join(lines) + "\n", tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_hypercall_of_x86_is_in_the_table() -> None:
    """As far as the table's highest number. FEATURES is none on x86."""
    header = Path("/usr/include/linux/kvm_para.h").read_text()
    found = {
        name: int(number)
        for name, number in re.findall(r"^#define (KVM_HC_\w+)\s+(\d+)$", header, re.MULTILINE)
        if not re.match(r"KVM_HC_(PPC_|MIPS_|FEATURES$)", name)
    }
    table = {call["macro"]: call["number"] for call in hypercalls()}
    highest = max(table.values())
    assert table == {name: number for name, number in found.items() if number <= highest}


@pytest.mark.parametrize("name", defined())
def test_constant(name: str, tmp_path: Path) -> None:
    theirs = CONSTANTS.get(name, name.replace("KVM__", "KVM_"))
    if name.startswith("KVM__TIME_"):
        # PVCLOCK_TSC_STABLE_BIT and PVCLOCK_GUEST_STOPPED, which are not in a public header.
        theirs = {"KVM__TIME_STABLE": "(1 << 0)", "KVM__TIME_GUEST_STOPPED": "(1 << 1)"}[name]
    done = compiles(f"SAME({name}, {theirs});\n", tmp_path)
    assert done.returncode == 0, done.stderr


def test_layout(tmp_path: Path) -> None:
    done = compiles(LAYOUT, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_wrong_number_is_noticed(tmp_path: Path) -> None:
    done = compiles("SAME(9, KVM_HC_KICK_CPU);\n", tmp_path)
    assert done.returncode != 0
    assert "is not KVM_HC_KICK_CPU" in done.stderr


@pytest.mark.parametrize("call", [call["name"] for call in hypercalls()])
def test_transfer(call: str) -> None:
    """Each stub counts right before it enters KVM, by the instruction that vmi__kvm_vmcall chooses."""
    symbol = f"vmi__kvm_hypercall_{call}"
    kernel = str(kernels("sample")["kvm"])
    command = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={symbol}", kernel]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = [found[1] for found in re.finditer(r"^\s*[0-9a-f]+:\s+(lock \w+|\w+)", text, re.MULTILINE)]
    start = names.index("lock incl")
    assert names[start : start + 6] == ["lock incl", "cmpb", "je", "vmcall", "jmp", "vmmcall"]
    assert names.count("vmcall") == names.count("vmmcall") == names.count("lock incl") == 1
