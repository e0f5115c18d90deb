# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The x86-64 kernels by the rules of the loader that Firecracker and Cloud Hypervisor share, neither of which
Debian has: the crate linux-loader (src/loader/elf). Both hand it no offset and the first mebibyte as the end
of low memory, and enter at the address of the PVH note."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ci.build import bound_kernel, kernels
from ci.kernel import PVH, look

MEMORY = 64 << 20
HIGH = 1 << 20
"""Where high memory begins; what lies below is the monitor's own."""
HEADER = struct.Struct("<16s2HI3QI6H")
SEGMENT = struct.Struct("<2I6Q")
NOTE = struct.Struct("<3I")
LOAD, NOTES = 1, 4
PHYS32_ENTRY = 18
ENTRY_AT, PHOFF_AT, PHENTSIZE_AT = 24, 32, 54


def up(size: int) -> int:
    return (size + 3) & ~3


def note(data: bytes) -> int:
    """The address in the first note "Xen" of type PHYS32_ENTRY, at which the monitor enters."""
    at = 0
    while at + NOTE.size <= len(data):
        name, size, kind = NOTE.unpack_from(data, at)
        at += NOTE.size
        if kind == PHYS32_ENTRY and data[at : at + name] == b"Xen\0":
            if size < 4:
                raise ValueError("the note has no room for an address")
            return int.from_bytes(data[at + up(name) :][:4], "little")
        at += up(name) + up(size)
    raise ValueError("no PVH note")


def load(image: bytes) -> int:
    """The address at which the kernel is entered; ValueError with the rule that it does not keep."""
    ident, _, _, _, entry, table, _, _, _, size, count, *_ = HEADER.unpack_from(image)
    if ident[:4] != b"\x7fELF" or ident[5] != 1:
        raise ValueError("no ELF file with the low byte first")
    if size != SEGMENT.size or table < HEADER.size:
        raise ValueError("program headers of another size, or within the header")
    if entry < HIGH:
        raise ValueError("the entry point of the header is in low memory")
    entered, loaded = 0, []
    for number in range(count):
        kind, flags, offset, _, physical, length, whole, _ = SEGMENT.unpack_from(image, table + size * number)
        if offset + length > len(image):
            raise ValueError("a segment is not whole in the file")
        if kind == NOTES:
            entered = note(image[offset : offset + length])
        if kind == LOAD and length:
            if physical + whole > MEMORY:
                raise ValueError("a segment is not in memory")
            loaded.append((flags, physical, physical + length))
    if not any(flags & 1 and begin <= entered < end for flags, begin, end in loaded):
        raise ValueError("the note's address is in no code that was loaded")
    if any(begin < HIGH for _, begin, _ in loaded):
        raise ValueError("a segment is in the monitor's own memory")
    return entered


KERNELS = [
    bound_kernel("sample", "x86_64"),
    *(path for name in ("sample", "hello") for path in kernels(name, "x86_64").values()),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.stem)
def test_each_rule_is_kept(kernel: Path) -> None:
    """By all that say that they can be entered so."""
    if PVH in look(kernel).ways:
        assert HIGH <= load(kernel.read_bytes()) < MEMORY
    else:
        with pytest.raises(ValueError, match="no PVH note"):
            load(kernel.read_bytes())


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (5, b"\2", "low byte first"),
        (PHENTSIZE_AT, b"\x20\0", "of another size"),
        (PHOFF_AT, bytes(8), "within the header"),
        (ENTRY_AT, (0x1000).to_bytes(8, "little"), "in low memory"),
    ],
)
def test_a_rule_that_is_broken_is_named(at: int, value: bytes, says: str) -> None:
    image = bytearray(kernels("sample", "x86_64")["native"].read_bytes())
    image[at : at + len(value)] = value
    with pytest.raises(ValueError, match=says):
        load(bytes(image))


def test_segments_and_note_are_looked_at() -> None:
    image = kernels("sample", "x86_64")["native"].read_bytes()
    table = HEADER.unpack_from(image)[5]
    moved = bytearray(image)
    struct.pack_into("<Q", moved, table + 24, 0x8000)
    with pytest.raises(ValueError, match="in no code that was loaded"):
        load(bytes(moved))
    struct.pack_into("<Q", moved, table + 24, MEMORY)
    with pytest.raises(ValueError, match="not in memory"):
        load(bytes(moved))
    with pytest.raises(ValueError, match="not whole in the file"):
        load(image[:0x2000])
    with pytest.raises(ValueError, match="no PVH note"):
        load(image.replace(b"Xen\0", b"NeX\0"))
