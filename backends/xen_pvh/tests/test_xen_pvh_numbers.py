# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Numbers of hypercalls against Xen's public headers, by a C compiler."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.backends.played import COMPILE

FOLDER = Path(__file__).resolve().parents[1]
HYPERCALLS: dict[str, Any] = YAML(typ="safe").load(FOLDER / "backend.yaml")["hypercalls"]
CALLS: list[dict[str, Any]] = HYPERCALLS["calls"]

REGISTERS = {"i386": ["ebx", "ecx", "edx", "esi", "edi"], "x86_64": ["rdi", "rsi", "rdx", "r10", "r8"]}
"""arch-x86/xen-x86_32.h, xen-x86_64.h; xen/arch/x86/hvm/hypercall.c takes a sixth, r9 or ebp."""
SIXTH = {"i386": "ebp", "x86_64": "r9"}


def complaints(folder: Path, by: int, arch: str) -> list[str]:
    """The hypercalls whose number plus `by` is not the header's."""
    version = re.search(r"-D(__XEN_INTERFACE_VERSION__=\w+)", (FOLDER / "meson.build").read_text())
    assert version
    source = folder / "numbers.c"
    source.write_text("#include <stdint.h>\n#include <xen/xen.h>\n" + "".join(
        f'_Static_assert({call["macro"]} == {call["number"] + by}, "differs: {call["name"]}");\n'
        for call in CALLS
    ))  # fmt: skip
    command = ["gcc", *COMPILE[arch], "-ffreestanding", f"-D{version[1]}", "-idirafter", "/usr/include",
               "-fsyntax-only", str(source)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = re.findall(r'"differs: (\w+)"\n', done.stderr)
    assert bool(found) == bool(done.returncode), done.stderr
    return found


@pytest.mark.parametrize("arch", COMPILE)
def test_numbers_are_those_of_the_header(tmp_path: Path, arch: str) -> None:
    assert complaints(tmp_path, 0, arch) == []


@pytest.mark.parametrize("arch", COMPILE)
def test_a_wrong_number_is_noticed(tmp_path: Path, arch: str) -> None:
    assert complaints(tmp_path, 1, arch) == [call["name"] for call in CALLS]


@pytest.mark.parametrize("arch", REGISTERS)
def test_arguments_are_in_the_registers_that_xen_looks_at(arch: str) -> None:
    found = HYPERCALLS[arch]["arguments"]
    assert found == [*REGISTERS[arch], SIXTH[arch]][: len(found)]
    assert len(found) >= len(REGISTERS[arch])
