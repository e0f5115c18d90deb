# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Kernels that are linked with a library's flavour (runtime/flavour.h): which are, where in a kernel's source
its callers are, and what the console says with the flavour `checked` (runtime/checked/README.md)."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from .util import UserError

CHECKED, TRACED = "checked", "traced"
DOCUMENTS = {CHECKED: "runtime/checked/README.md", TRACED: "docs/trace.md"}
"""Of each flavour."""
OPTIONS = {CHECKED: "--checked", TRACED: "vmi trace"}
"""What wants a kernel to be linked with it."""
_CALLER = re.compile(r"^(# checked:   (?:caller|(store)): )0x([0-9a-f]+)\s*$")
_LAST = re.compile(r"^# checked: rules broken=(\d+) checked calls=(\d+)", re.MULTILINE)


def has(kernel: Path, name: str) -> bool:
    """Whether a kernel is linked with a flavour, by the mark in its hooks.c."""
    return f"vmi-flavour {name}\0".encode() in kernel.read_bytes()


def linked(kernel: Path, backend: str, name: str) -> Path:
    """The kernel, or the one beside it that the build has linked with the flavour; UserError without one."""
    beside = kernel.with_name(f"{kernel.stem}-{name}{kernel.suffix}")
    for each in (kernel, beside):
        if each.is_file() and has(each, name):
            return each
    raise UserError(
        f"{OPTIONS[name]}: expected a kernel that is linked with libvmi-{backend}-{name}.a; {kernel} is not, "
        f"and there is no {beside.name} beside it: link its objects with that library in place of "
        f"libvmi-{backend}.a ({DOCUMENTS[name]})",
        2,
    )


@cache
def place(kernel: Path, address: int) -> str:
    """The function of the call that returns there, and, where the kernel was compiled with -g, file and line,
    and those that it was inlined into."""
    try:
        done = subprocess.run(
            ["addr2line", "-i", "-f", "-s", "-e", str(kernel), f"{address - 1:#x}"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return "unknown, for there is no addr2line; install binutils"
    lines = done.stdout.splitlines()
    found = [
        function if where.startswith("??") else f"{function}, {where.split(' ')[0]}"
        for function, where in zip(lines[::2], lines[1::2], strict=False)
        if function != "??" and not where.startswith("vmi.h:")  # the call's own wrapper
    ]
    return "; ".join(found) or "no function that the kernel's file names"


def named(kernel: Path, line: str) -> str:
    """The line with the name of the caller, or of what stores, if it has an address."""
    found = _CALLER.match(line)
    if not found:
        return line
    # A store's is the instruction's own.
    behind = int(found[3], 16) + bool(found[2])
    return f"{found[1]}{place(kernel, behind)} (0x{found[3]})"


def failures(console: str) -> list[str]:
    """Why a kernel has not kept the rules; none if it has."""
    last = _LAST.search(console)
    if not last:
        return ["no line says how many rules were broken: the kernel did not end by a call"]
    return [f"{last[1]} times a rule was broken"] if int(last[1]) else []
