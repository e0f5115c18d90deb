# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Dumps of Xen's toolstack, invented here, sound and not."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci.core import read
from ci.elf_core import CR0_PG, PAGE, Piece, Range, ranges
from ci.util import UserError
from ci.xen_core import HVM, NO_FRAME, PV

X86_64 = "x86_64"
# Offsets in struct vcpu_guest_context for 64 bits (arch-x86/xen.h, xen-x86_64.h).
CONTEXT = 5168
PLACES = {
    "flags": 512, "r15": 520, "rbp": 552, "rax": 600, "rdi": 632, "rip": 648, "cs": 656, "mask": 660,
    "rflags": 664, "rsp": 672, "ss": 680, "fs_base": 5144, "gs_kernel": 5152, "gs_user": 5160,
    **{f"cr{number}": 4984 + 8 * number for number in range(8)},
}  # fmt: skip
IN_KERNEL = 4
RAM = 16 * PAGE


def context(**registers: int) -> bytes:
    data = bytearray(CONTEXT)
    for name, value in registers.items():
        if name in ("cs", "mask"):
            data[PLACES[name] : PLACES[name] + (2 if name == "cs" else 1)] = value.to_bytes(
                2 if name == "cs" else 1, "little"
            )
        else:
            struct.pack_into("<Q", data, PLACES[name], value)
    return bytes(data)


def note(kind: int, *words: int, name: bytes = b"Xen\0") -> bytes:
    return struct.pack("<3I", len(name), 8 * len(words), kind) + name + struct.pack(f"<{len(words)}Q", *words)


def file(sections: Mapping[str, bytes], machine: int = 62) -> bytes:
    """An ELF file of nothing but sections; with a first one that is none, as the toolstack writes."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    contents = {"": b"", ".shstrtab": names, **sections}
    at = 64 + 64 * len(contents)
    headers, body = b"", b""
    for name, content in contents.items():
        place = names.index(b"\0" + name.encode() + b"\0") + 1 if name else 0
        headers += struct.pack("<2I4Q2I2Q", place, 1, 0, 0, at + len(body), len(content), 0, 0, 0, 0)
        body += content
    head = struct.pack("<2HI3QI6H", 4, machine, 1, 0, 0, 64, 0, 64, 56, 0, 64, len(contents), 1)
    return b"\x7fELF\2\1\1" + bytes(9) + head + headers + body


def memory(tables: Mapping[int, Mapping[int, int]]) -> bytes:
    """Pages, the first word of each its number, or page tables."""
    data = bytearray(b"".join(struct.pack("<I", page).ljust(PAGE, b"\0") for page in range(RAM // PAGE)))
    for table, entries in tables.items():
        data[table * PAGE : (table + 1) * PAGE] = bytes(PAGE)
        for number, entry in entries.items():
            struct.pack_into("<Q", data, table * PAGE + 8 * number, entry)
    return bytes(data)


def sections(magic: int, pages: bytes, frames: list[int], *contexts: bytes) -> dict[str, bytes]:
    count = len(pages) // PAGE
    header = note(0x2000001, magic, len(contexts), count, PAGE)
    table = ".xen_p2m" if magic == PV else ".xen_pfn"
    return {
        ".note.Xen": note(0x2000000) + header + note(0x2000003, 1),
        ".xen_prstatus": b"".join(contexts),
        ".xen_shared_info": bytes(PAGE),
        ".xen_pages": pages,
        table: struct.pack(f"<{len(frames)}Q", *frames),
    }


def hvm(**changed: bytes) -> dict[str, bytes]:
    found = sections(HVM, memory({}), list(range(16)), context(rip=1))
    return {**found, **{f".{name}": content for name, content in changed.items()}}


def written(folder: Path, content: bytes) -> Path:
    (folder / "dump").write_bytes(content)
    return folder / "dump"


def test_a_domain_with_its_own_frames(tmp_path: Path) -> None:
    """Frames in any order, with holes, and one that was gone when it was read; two VCPUs."""
    tables = {1: {0: 0x2003}, 2: {0: 0x3003}, 3: {0: 0x4003}, 4: {5: 0x6003, 6: 0x100003}}
    frames = [0, 1, 2, 3, 4, 5, 6, 7, 0x100, 0x101, 0x103, 0x102, NO_FRAME, NO_FRAME, 8, 9]
    general = {"r15": 15, "rbp": 5, "rax": 1 << 63, "rdi": 7, "rip": 0x5000, "rflags": 2, "rsp": 0x5800}
    first = context(cr0=CR0_PG, cr3=0x1000, cr4=0x20, cs=0x10, ss=0x18, gs_kernel=3, gs_user=4, **general)
    dump = read(written(tmp_path, file(sections(HVM, memory(tables), frames, first, context(rip=9)))))
    at = dump.pieces[0].offset
    assert dump.pieces == [
        Piece(0, 8 * PAGE, at), Piece(8 * PAGE, 2 * PAGE, at + 14 * PAGE),
        Piece(0x100000, 2 * PAGE, at + 8 * PAGE), Piece(0x102000, PAGE, at + 11 * PAGE),
        Piece(0x103000, PAGE, at + 10 * PAGE),
    ]  # fmt: skip
    assert [dump.read(frame * PAGE, 1)[0] for frame in (0, 7, 8, 0x101, 0x103)] == [0, 7, 14, 9, 10]
    one, two = dump.cpus
    assert {name: one[name] for name in general} == general
    assert (one["cs"], one["ss"], one["gs_base"], one["cr4"], two["rip"], two["cr3"]) == (16, 24, 3, 32, 9, 0)
    dump.cpus = [one]
    assert ranges(dump, X86_64) == [
        Range(0x5000, 0x6000, PAGE),
        Range(0x6000, 0x100000, PAGE),
    ]


def test_page_tables_with_the_machine_s_frames(tmp_path: Path) -> None:
    """What they have of others' memory, or of the hypervisor's, is left out."""
    tables = {
        1: {0: 0x7002003, 256: 0x9999003, 257: 0x7001003},
        2: {0: 0x7003003}, 3: {0: 0x7004003, 1: 0x80000083},
        4: {5: 0x700A003, 6: 0x700B003, 7: 0x8888003, 8: 0x2003},
    }  # fmt: skip
    machine = [0x7000 + page for page in range(16)]
    words = [word for page, frame in enumerate(machine) for word in (page, frame)]
    words[-2:] = NO_FRAME, NO_FRAME
    cpu = {"cr3": 0x7001000, "cs": 0xE033, "mask": 1, "gs_kernel": 3, "gs_user": 4}
    contexts = context(flags=IN_KERNEL, **cpu), context(**cpu)
    dump = read(written(tmp_path, file(sections(PV, memory(tables), words, *contexts))))
    assert dump.pieces[0].size == 15 * PAGE
    assert [(cpu["cs"], cpu["cr0"], cpu["gs_base"]) for cpu in dump.cpus] == [
        (0xE033, CR0_PG, 3), (0xE033, CR0_PG, 4),
    ]  # fmt: skip
    found = ranges(dump, X86_64)
    assert found[0] == Range(0x5000, 0xA000, 2 * PAGE)
    # A slot that leads to the table itself shows the tables.
    assert all(each.linear >> 47 for each in found[1:])
    assert {each.physical // PAGE for each in found[1:]} <= set(range(1, 5))


def header(*words: int) -> bytes:
    return note(0x2000001, *words)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (hvm(**{"note.Xen": note(0x2000000)}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(HVM, 1, 16, PAGE) * 2}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(1, 1, 16, PAGE)}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(HVM, 1, 16, 0)}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(HVM, 0, 16, PAGE)}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(HVM, 1, 0, PAGE)}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(HVM, 1)}), "no note says what is in it"),
        (hvm(**{"note.Xen": header(PV, 1, 16, PAGE)}), "with a section .xen_p2m; found none"),
        (hvm(**{"note.Xen": header(HVM, 2, 16, PAGE)}), ".xen_prstatus has 5168 bytes, expected 10336"),
        (hvm(**{"note.Xen": header(HVM, 1 << 62, 16, PAGE)}), ".xen_prstatus has 5168 bytes, expected"),
        (hvm(**{"note.Xen": header(HVM, 1, 15, PAGE)}), ".xen_pages has 65536 bytes, expected 61440"),
        (hvm(xen_pfn=bytes(8 * 15)), ".xen_pfn has 120 bytes, expected 128"),
        (hvm(xen_pfn=bytes(8 * 16)), "frame 0x0 is there twice"),
        (hvm(xen_pfn=struct.pack("<16Q", 1 << 60, *range(15))), "page 0 is frame 0x1000000000000000"),
    ],
)
def test_damaged_dumps_are_refused(tmp_path: Path, content: dict[str, bytes], says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        read(written(tmp_path, file(content)))
    assert refused.value.status == 2


def test_a_dump_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Wherever it ends, and with any byte of its beginning spoiled: one line, or what can be read of it."""
    whole = file(hvm())
    for end in (*range(1, 1024, 29), len(whole) - 9 * PAGE, len(whole) - 1):
        with pytest.raises(UserError) as refused:
            read(written(tmp_path, whole[:end]))
        assert refused.value.status == 2
    for at in range(4, 1024, 7):
        spoiled = bytearray(whole)
        spoiled[at] ^= 0xFF
        try:
            read(written(tmp_path, bytes(spoiled)))
        except UserError as refused_too:
            assert refused_too.status == 2
