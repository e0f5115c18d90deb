# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Finds functions of x86-64 that keep data below the stack pointer.

User programs may: 128 bytes there are theirs (System V ABI, AMD64 supplement, "The Stack Frame"). In a
kernel the next interrupt pushes its frame over them, and so does a call in inline assembly, of which the
compiler knows nothing: a function that only calls the library is a leaf to it. Compilers reach what is there
by the stack pointer, or, without optimization, by a frame pointer that the stack pointer has not been moved
away from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .code import Instruction, Walk

_OPERAND = re.compile(r"\[(rsp|rbp)( \+ r\w+(?:\*\d)?)? - (0x[0-9a-f]+|\d+)\]")
# They take an address, or touch nothing.
_NO_ACCESS = frozenset(("lea", "nop", "prefetcht0", "prefetcht1", "prefetcht2", "prefetchnta", "prefetchw"))
_WORD = 8
_NEAR = 64
"""Bytes by which an index may be corrected."""


def find(walk: Walk) -> list[Instruction]:
    """The first use of each function that has one."""
    found: dict[int, Instruction] = {}
    for start, end in walk.frames():
        use = _use(list(walk.again(start, end)))
        if use:
            found[start] = use
    return list(found.values())


def _use(function: list[Instruction]) -> Instruction | None:
    framed = next(
        (i for i, (_, _, word, operands) in enumerate(function) if (word, operands) == ("mov", "rbp, rsp")),
        None,
    )
    moved = _moved(function)
    below_frame = _moved(function[framed + 1 :]) if framed is not None else None
    for i, instruction in enumerate(function):
        _, _, word, operands = instruction
        operand = _OPERAND.search(operands)
        if not operand or word in _NO_ACCESS:
            continue
        base, index, number = operand.groups()
        if base == "rsp":
            # `array[i - 1]` of an array in the frame looks alike, with a small number.
            if not index or moved == 0 or int(number, 0) > _NEAR:
                return instruction
        elif framed is not None and i > framed and below_frame is not None:
            kept = below_frame + (_NEAR if index and below_frame else 0)
            if int(number, 0) > kept:
                return instruction
    return None


def _moved(instructions: Iterable[Instruction]) -> int | None:
    """By how many bytes the stack pointer is moved down in all; None where that is not a number."""
    moved = 0
    for _, _, word, operands in instructions:
        to, _, by = operands.partition(", ")
        if word == "push":
            moved += _WORD
        elif word == "enter" or (word == "mov" and to == "rbp" and by != "rsp"):
            return None
        elif to == "rsp" and word != "pop":
            if word not in ("add", "sub") or not re.fullmatch(r"-?(0x)?[0-9a-f]+", by):
                return None
            number = int(by, 0)
            number -= 1 << 64 if number >= 1 << 63 else 0
            moved += max(0, number if word == "sub" else -number)
    return moved
