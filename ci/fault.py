# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Where a kernel faulted that had no IDT yet: the library says an address (runtime/faults.c), the kernel's
file has the function's name, and which calls of the kernel lead there."""

from __future__ import annotations

import bisect
import re
from pathlib import Path

_SAID = re.compile(r"^vmi: the kernel faulted before it had an IDT: .* at 0x([0-9a-f]+)", re.MULTILINE)
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_MOST = 3
"""Calls that are named; of more it is nothing to say that one of them led there."""


def where(kernel: Path, console: str) -> str:
    """The function of a fault that a console speaks of, and whose it is; where it is the library's, the calls
    of the kernel that lead there. Empty if there was none, or the file has no symbol for it."""
    said = _SAID.search(console)
    if not said:
        return ""
    # Imported here: only a kernel that faulted needs them.
    from vmi_lint import elf, owner
    from vmi_lint.problems import InputError

    try:
        image = elf.load(str(kernel), kernel.read_bytes())
    except (InputError, OSError):
        return ""
    # Of several names of one place a short one is what people know.
    named = {
        each.address: each
        for each in sorted(image.symbols, key=lambda each: len(each.name), reverse=True)
        if each.kind == "function"
    }
    starts = sorted(named)
    owners = owner.Owners(image)

    def function(address: int) -> elf.Symbol | None:
        i = bisect.bisect_right(starts, address) - 1
        found = named[starts[i]] if i >= 0 else None
        return found if found and (not found.size or address < found.address + found.size) else None

    address = int(said[1], 16)
    found = function(address)
    if not found:
        return ""
    place = f"{address:#x} is {found.name}+{address - found.address:#x}"
    if not owners.is_library(found):
        return f"{place}, the kernel's own"

    from vmi_lint.code import Walk
    from vmi_lint.rules import read

    calls = {symbol: name for name, symbol in read(None).calls.items()}
    walk = Walk(image)
    walk.run()
    made: set[str] = set()
    callers: dict[str, set[str]] = {}
    for i, start in enumerate(starts):
        source = named[start]
        end = start + source.size if source.size else (starts[i + 1] if i + 1 < len(starts) else start)
        for _, _, word, operands in walk.again(start, end) if end > start else ():
            direct = word in ("call", "jmp") and _ADDRESS.fullmatch(operands)
            target = function(int(operands, 16)) if direct else None
            if target is None:
                continue
            if owners.is_library(source):
                callers.setdefault(target.name, set()).add(source.name)
            elif target.name in calls:
                made.add(target.name)
    reached, waiting = {found.name}, [found.name]
    while waiting:
        new = callers.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    led = sorted(calls[name] for name in reached & made)
    given = " or ".join(led) if 0 < len(led) <= _MOST else "the call that led there"
    return f"{place}, of the library: see what the kernel gave to {given}"
