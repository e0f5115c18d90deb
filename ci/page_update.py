# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""One update of a page table, exit by exit: three pages get frames, and are read (`op=update` of the sample
kernel's `bench=one`). The textbook's picture, from a trace: what is one store on the bare machine traps under
a hypervisor that keeps page tables of its own, and is a hypercall of a kernel that speaks to it."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .build import tree
from .exits import Exit

_SAID = re.compile(r"page (\d+): frame (\d+)")


@dataclass(frozen=True)
class Step:
    """One exit of the update."""

    reason: str
    what: str
    """The hypercall's name, or the instruction that left the guest; empty where neither is known."""
    function: str
    """In which it is; empty where that is not known."""


def frames(console: str) -> list[tuple[int, int]]:
    """Pages and the frames that they got, in the order of the update."""
    (said,) = re.findall(r"^# update( page .*)$", console, re.MULTILINE)[:1] or [""]
    return [(int(page), int(frame)) for page, frame in _SAID.findall(said)]


def hypercalls(library: str, arch: str) -> dict[int, str]:
    """The names of a library's hypercalls by number."""
    model = json.loads((tree(arch) / "generated/model.json").read_text())
    return {
        each["number"]: each["name"]
        for backend in model["backends"]
        if backend["name"] == library
        for each in backend["hypercalls"]
    }


class Code:
    """A kernel's instructions and functions by address."""

    def __init__(self, kernel: Path) -> None:
        # Imported here: nothing else of the word needs them.
        from vmi_lint import decode, elf

        self.image = elf.load(str(kernel), kernel.read_bytes())
        self.text = decode.text
        self.printer = decode.decoder(self.image.bits, att=True)
        named = sorted((each.address, each.name) for each in self.image.symbols if each.kind == "function")
        self.starts = [address for address, _ in named]
        self.names = [name for _, name in named]

    def function(self, address: int) -> str:
        place = bisect.bisect_right(self.starts, address) - 1
        return self.names[place] if place >= 0 and self.instruction(address) else ""

    def instruction(self, address: int) -> str:
        section = self.image.section(address)
        if section is None:
            return ""
        code = section.data[address - section.address :][:15]
        first = next(self.printer.disasm_lite(code, address, 1), None)
        return self.text(self.printer, code[: first[1]], address, self.image.bits) if first else ""


def steps(exits: Iterable[Exit], code: Code, names: dict[int, str]) -> list[Step]:
    """Those that the guest has caused."""
    found = []
    for each in exits:
        if each.hosts:
            continue
        called = "" if each.number is None else names.get(each.number, f"hypercall {each.number}")
        what = called or code.instruction(each.address)
        found.append(Step(each.reason, what, code.function(each.address)))
    return found
