# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Whose code is whose in a linked kernel: the kernel's own, or the library's that it is linked with.

All global names of the libraries begin with `vmi_`. Their local functions have any names; the symbol table
says from which object those come (STT_FILE, System V ABI, "Symbol Table"), and a linker keeps an object's
code together. So the global symbols around an object's local ones tell whose they are.
"""

from __future__ import annotations

import bisect
from itertools import accumulate

from .elf import Image, Symbol

_GLOBAL, _LOCAL = "vmi_", "vmi__"


class Owners:
    """Answers for one image. Objects and partly linked ones are their author's throughout."""

    def __init__(self, image: Image) -> None:
        self._linked = not image.relocatable
        self._groups: dict[int, bool] = {}
        if self._linked:
            self._decide(image)

    def is_library(self, symbol: Symbol | None) -> bool:
        """Whether a symbol is the library's."""
        if symbol is None or not self._linked:
            return False
        if not symbol.group:
            return symbol.name.startswith(_GLOBAL)
        return symbol.name.startswith(_LOCAL) or self._groups.get(symbol.group, False)

    def _decide(self, image: Image) -> None:
        public = [symbol for symbol in image.symbols if not symbol.group]
        places = [symbol.address for symbol in public]
        # How many of them, from the first on, have a library's name.
        named = [0, *accumulate(symbol.name.startswith(_GLOBAL) for symbol in public)]
        members: dict[int, list[Symbol]] = {}
        for symbol in image.symbols:
            if symbol.group:
                members.setdefault(symbol.group, []).append(symbol)
        for group, symbols in members.items():
            if any(name.startswith(_LOCAL) for name in image.locals[group]):
                self._groups[group] = True
                continue
            first = bisect.bisect_left(places, symbols[0].address)
            last = bisect.bisect_right(places, symbols[-1].address)
            if first == last:
                first, last = max(first - 1, 0), min(first + 1, len(public))
            # In doubt it is the kernel's: better a finding too many than one that is not told.
            self._groups[group] = first < last and named[last] - named[first] == last - first
