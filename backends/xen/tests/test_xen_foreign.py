# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The hypercall library alone, in code that has nothing else of this tree: whatever convention it is compiled
with, each function loads the registers that Xen wants. README.md shows how it is used."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.util import BUILD, ROOT

FOLDER = ROOT / "backends/xen"
BACKEND = YAML(typ="safe").load(FOLDER / "backend.yaml")
PREFIX: str = BACKEND["hypercalls"]["prefix"]


def on_i386(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [part for part in parts if "i386" in part.get("architectures", ["i386"])]


CALLS = on_i386(BACKEND["hypercalls"]["calls"])
README = (FOLDER / "README.md").read_text()
ANSWER = -7
CONVENTIONS = [[], ["-mregparm=3"], ["-mrtd"], ["-mregparm=3", "-mrtd"]]

# Registers at the transfer, in the order of arguments: eax, ebx, ecx, edx, esi, edi.
GATE = f"""
uint32_t seen[6];
__asm__("played_transfer:\\n"
        "    mov %eax, seen; mov %ebx, seen + 4; mov %ecx, seen + 8\\n"
        "    mov %edx, seen + 12; mov %esi, seen + 16; mov %edi, seen + 20\\n"
        "    mov ${ANSWER}, %eax\\n"
        "    ret\\n"
        "    .globl played_transfer\\n");
"""


def check(call: dict[str, Any], index: int) -> str:
    """A C function that makes one hypercall with arguments of its own."""
    given: list[str] = []
    words: list[int] = []
    for argument in on_i386(call.get("arguments", [])):
        first = 0x1000 * (index + 1) + len(words)
        if argument["type"] == "u64":
            given.append(f"0x{first + 1:x}{first:08x}ull")
            words += [first, first + 1]
        else:
            pointer = {"buffer": "(void *)", "const_buffer": "(const void *)"}
            given.append(f"{pointer.get(argument['type'], '')}{first:#x}u")
            words.append(first)
    function = f"{PREFIX}{call['name']}"
    lines = [
        f"EXPECT({function}({', '.join(given)}) == {ANSWER});",
        f"EXPECT({function}_count == 1 && seen[0] == {call['number']}u);",
        *(f"EXPECT(seen[{place}] == {word:#x}u);" for place, word in enumerate(words, 1)),
    ]
    return f"static void {call['name']}(void)\n{{\n    " + "\n    ".join(lines) + "\n}\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two files, and nothing of this tree beside them but what checks want."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "xen").mkdir()
    for name in ("hypercalls.h", "hypercalls.S"):
        shutil.copy2(BUILD / "generated/xen" / name, folder / "xen")
    shutil.copy2(FOLDER / "tests/xen_transfer.inc", folder)
    for name in ("played.h", "played_check.h"):
        shutil.copy2(ROOT / "tests/backends" / name, folder)
    return folder


def run(compiler: str, flags: list[str], library: Path, source: str, folder: Path) -> dict[str, str]:
    """What each check in a program said."""
    file = folder / "foreign.c"
    file.write_text(source)
    common = [f"-I{library}", "-m32", "-ffreestanding", "-fno-pic"]
    objects = [folder / "foreign.o", folder / "hypercalls.o"]
    commands: tuple[list[str | Path], ...] = (
        [compiler, *common, "-O2", "-Wall", "-Wextra", "-Werror", "-Wcast-qual", "-fno-stack-protector",
         "-mgeneral-regs-only", *flags, "-c", file, "-o", objects[0]],
        ["gcc", *common, '-DVMI_TRANSFER_OVERRIDE="xen_transfer.inc"', "-c", library / "xen/hypercalls.S",
         "-o", objects[1]],
        ["gcc", "-m32", "-no-pie", "-nostdlib", "-static", *objects, "-o", folder / "foreign"],
    )  # fmt: skip
    for command in commands:
        subprocess.run(command, check=True)
    done = subprocess.run([folder / "foreign"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    return dict(re.findall(r"^(?:not )?ok (\w+)(?:: )?(.*)$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("flags", CONVENTIONS, ids=lambda flags: " ".join(flags) or "default")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_hypercall(compiler: str, flags: list[str], library: Path, tmp_path: Path) -> None:
    source = ["#include <xen/hypercalls.h>", '#include "played.h"', GATE]
    source += [check(call, index) for index, call in enumerate(CALLS)]
    source += ["static const struct played_check checks[] = {"]
    source += [f"    CHECK({call['name']})," for call in CALLS]
    source += ["};", "PLAY(checks)"]
    results = run(compiler, flags, library, "\n".join(source) + "\n", tmp_path)
    assert results == {call["name"]: "" for call in CALLS}


def test_the_readmes_kernel(library: Path, tmp_path: Path) -> None:
    """The header that the README shows, in a kernel compiled as it says."""
    block = re.search(r"^```c\n(/\* .*?xen/hypercalls\.h.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert block
    flags = re.search(r"^gcc (.*) -c kernel\.c$", README, re.MULTILINE)
    assert flags and "-mregparm=3" in flags[1]
    source = block[1] + GATE.join(
        [
            '#include "played.h"\n',
            """
static void power_off(void)
{
    foreign_shutdown(0);
    EXPECT(seen[0] == 29 && seen[1] == 2 && *(unsigned int *)seen[2] == 0);
}

static void page_table(void)
{
    static const unsigned long long update[2] = {0x123, 0x456};

    EXPECT(HYPERVISOR_mmu_update(update, 1, 0, 0x7ff0) == -7);
    EXPECT(seen[1] == (unsigned int)update && seen[2] == 1 && !seen[3] && seen[4] == 0x7ff0);
}

static const struct played_check checks[] = {
    CHECK(power_off),
    CHECK(page_table),
};
PLAY(checks)
""",
        ]
    )
    assert run("gcc", ["-mregparm=3"], library, source, tmp_path) == {"power_off": "", "page_table": ""}
