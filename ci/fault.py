# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Where a kernel faulted that had no IDT yet: the library says an address (runtime/faults.c), the kernel's
file has the function's name."""

from __future__ import annotations

import re
from pathlib import Path

_SAID = re.compile(r"^vmi: the kernel faulted before it had an IDT: .* at 0x([0-9a-f]+)", re.MULTILINE)


def where(kernel: Path, console: str) -> str:
    """The function of a fault that a console speaks of, and whose it is: the call that faulted, where it is
    the library's. Empty if there was none, or the file has no symbol for it."""
    said = _SAID.search(console)
    if not said:
        return ""
    # Imported here: only a kernel that faulted needs them.
    from vmi_lint import elf, owner, rules
    from vmi_lint.problems import InputError

    try:
        image = elf.load(str(kernel), kernel.read_bytes())
    except (InputError, OSError):
        return ""
    address = int(said[1], 16)
    before = [each for each in image.symbols if each.kind == "function" and each.address <= address]
    inside = [each for each in before if not each.size or address < each.address + each.size]
    if not inside:
        return ""
    # Of several names of one place a public one is what people know.
    last = max(each.address for each in inside)
    function = min((each for each in inside if each.address == last), key=lambda each: len(each.name))
    place = f"{address:#x} is {function.name}+{address - function.address:#x}"
    if not owner.Owners(image).is_library(function):
        return f"{place}, the kernel's own"
    calls = {symbol: name for name, symbol in rules.read(None).calls.items()}
    call = calls.get(function.name.replace("vmi__", "vmi_", 1))
    if not call:
        return f"{place}, of the library: see what the kernel gave to the call that led there"
    return f"{place}, of the library: see what the kernel gave to {call}"
