# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Code that nobody here wrote: the modules of GRUB, as Debian ships them (275 objects for i386)."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ci import packages
from ci.util import ROOT, progress

GRUB = packages.Selection(("grub-pc-bin",), (), (("grub-pc-bin", ("./usr/lib/grub/i386-pc/*.mod",)),))
# Mnemonics that objdump writes as the specification does; they stand in no data of these modules.
PLAIN = "cli|sti|hlt|cpuid|rdtsc|rdmsr|wrmsr|pushf|popf|iret"


@pytest.fixture(scope="module")
def modules() -> list[Path]:
    apt, found = packages.resolve(GRUB, progress)
    trees = packages.unpack(apt, GRUB, found, progress)
    return sorted(path for tree in trees for path in tree.glob("**/*.mod"))


@pytest.fixture(scope="module")
def result(modules: list[Path]) -> Any:
    done = subprocess.run(
        [ROOT / "tools/vmi-lint", "--format=json", *modules], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    return json.loads(done.stdout)


def test_grub(modules: list[Path], result: Any) -> None:
    assert len(modules) > 200
    found = [(Path(each["file"]).name, each["symbol"], each["instruction"]) for each in result["findings"]]
    halts = {(symbol, name) for file, symbol, name in found if file == "halt.mod" and name == "hlt"}
    assert halts == {("grub_halt", "hlt")}
    assert sum(file == "cpuid.mod" and name == "cpuid" for file, _, name in found) == 4
    assert ("rdmsr.mod", None, "rdmsr") in found, "its static functions have no symbols"
    assert ("relocator.mod", "grub_relocator32_boot", "cli") in found
    assert {name for file, _, name in found if file == "pci.mod"} >= {"outl", "inl"}
    # Nearly everything was told apart: only relocator.mod has data in text, its pieces of other modes.
    assert sum(gap["size"] for gap in result["unknown"]) * 100 < result["code_bytes"]


def test_as_many_as_a_disassembler_finds(modules: list[Path], result: Any) -> None:
    """Here, where the text is all code, a plain disassembly is the same."""
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", *modules], capture_output=True, text=True, check=True
    ).stdout
    theirs = re.findall(rf"^ +[0-9a-f]+:\t({PLAIN})\b", listing, re.MULTILINE)
    ours = [name for each in result["findings"] if re.fullmatch(PLAIN, name := each["instruction"])]
    assert {name: ours.count(name) for name in set(ours)} == {
        name: theirs.count(name) for name in set(theirs)
    }
    assert len(ours) > 80
