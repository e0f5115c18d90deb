# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Core files of guests: page tables of each kind, invented here, and what gdb finds in what comes of them."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from ci import elf_core
from ci.elf_core import (
    CR0_PG,
    CR4_LA57,
    CR4_PAE,
    CR4_PSE,
    PAGE,
    Cpu,
    Dump,
    Piece,
    Range,
    ranges,
    read_qemu,
    write,
)
from ci.setup import provide
from ci.util import UserError

I386, X86_64 = "i386", "x86_64"
SIZE = 64 * PAGE


def dump(tables: dict[int, dict[int, int]], width: int, *cpus: dict[str, int], first: int = 0) -> Dump:
    """Memory with page tables, by their addresses and their entries; the rest of a page says which it is."""
    memory = bytearray()
    for page in range(SIZE // PAGE):
        memory += struct.pack("<I", page) * (PAGE // 4)
    for table, entries in tables.items():
        memory[table - first : table - first + PAGE] = bytes(PAGE)
        for number, entry in entries.items():
            at = table - first + number * width
            memory[at : at + width] = entry.to_bytes(width, "little")
    return Dump(bytes(memory), [Piece(first, SIZE, 0)], [Cpu({"cr0": CR0_PG, **cpu}) for cpu in cpus])


def test_four_levels_with_large_pages_and_sign() -> None:
    tables = {
        0x1000: {0: 0x2003, 511: 0x3003},
        0x2000: {1: 0x4003},
        0x3000: {510: 0x5003},
        0x4000: {2: 0x83},
        0x5000: {0: 0x6003},
        0x6000: {0: 0x8003, 1: 0x9003, 3: 0xB003, 4: 0xC002},
    }
    assert ranges(dump(tables, 8, {"cr3": 0x1000}), X86_64) == [
        Range(0x4040_0000, 0, SIZE),  # what is behind the end of memory is not there
        Range(0xFFFF_FFFF_8000_0000, 0x8000, 0x2000),
        Range(0xFFFF_FFFF_8000_3000, 0xB000, 0x1000),
    ]


def test_five_levels() -> None:
    tables = {0x1000: {256: 0x2003}, 0x5000: {7: 0x7003}}
    tables |= {table: {0: table + 0x1003} for table in (0x2000, 0x3000, 0x4000)}
    found = ranges(dump(tables, 8, {"cr3": 0x1000, "cr4": CR4_LA57 | CR4_PAE}), X86_64)
    assert found == [Range(0xFF00_0000_0000_7000, 0x7000, 0x1000)]


def test_pae_has_four_entries_anywhere_on_32_bytes() -> None:
    tables = {0x1000: {4 + 3: 0x2001}, 0x2000: {0: 0x3003, 1: 0x83}, 0x3000: {5: 0xA003}}
    found = ranges(dump(tables, 8, {"cr3": 0x1020, "cr4": CR4_PAE}), I386)
    assert found == [Range(0xC000_5000, 0xA000, 0x1000), Range(0xC020_0000, 0, SIZE)]


def test_two_levels() -> None:
    tables = {0x1000: {768: 0x2003, 769: 0x83}, 0x2000: {1023: 0xA003}}
    found = ranges(dump(tables, 4, {"cr3": 0x1000, "cr4": CR4_PSE}), I386)
    assert found == [Range(0xC03F_F000, 0xA000, 0x1000), Range(0xC040_0000, 0, SIZE)]


def test_without_paging_addresses_are_physical() -> None:
    assert ranges(dump({}, 4, {"cr0": 1}), I386) == [Range(0, 0, SIZE)]


def test_the_first_cpu_is_right_where_they_differ() -> None:
    """The second one adds what the first has not, around it and before it."""
    tables = {
        0x1000: {0: 0x2001}, 0x2000: {0: 0x3003}, 0x3000: {4: 0xA003},
        0x5000: {0: 0x6001}, 0x6000: {0: 0x83},
    }  # fmt: skip
    both = dump(tables, 8, {"cr3": 0x1000, "cr4": CR4_PAE}, {"cr3": 0x5000, "cr4": CR4_PAE})
    assert ranges(both, I386) == [
        Range(0, 0, 0x4000),
        Range(0x4000, 0xA000, 0x1000),
        Range(0x5000, 0x5000, SIZE - 0x5000),
    ]


@pytest.mark.parametrize("entry", [0xFFFF_FFFF_F003, 0x10_0000_0003, 0x1003])
def test_tables_that_lead_nowhere_or_to_themselves_end(entry: int) -> None:
    assert all(each.size <= SIZE for each in ranges(dump({0x1000: {0: entry}}, 8, {"cr3": 0x1000}), X86_64))


def test_tables_that_map_more_than_a_kernel_would_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry leads to the same table."""
    monkeypatch.setattr(elf_core, "LEAVES_MAX", 1000)
    tables = {0x1000: dict.fromkeys(range(512), 0x1003)}
    with pytest.raises(UserError, match="they map more than a kernel would"):
        ranges(dump(tables, 8, {"cr3": 0x1000}), X86_64)


def header(at: int, count: int) -> bytes:
    """Of an ELF file for 64 bits, with so many program headers there."""
    return b"\x7fELF\2" + bytes(27) + struct.pack("<Q14x2H6x", at, 56, count)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "found an empty file"),
        (b"hello, world", "found something else"),
        (header(0, 0), "with CPUs and memory; found none"),
        (header(1 << 40, 3), "cut off"),
        (header(1 << 63, 3), "cut off"),
        (header(64, 1) + struct.pack("<2I6Q", 1, 7, 0, 0, 0, 1 << 40, 0, 0), "cut off"),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "dump").write_bytes(content)
    with pytest.raises(UserError, match=says) as refused:
        read_qemu(tmp_path / "dump")
    assert refused.value.status == 2


def test_memory_alone_needs_no_cpus(tmp_path: Path) -> None:
    content = header(64, 1) + struct.pack("<2I6Q", 1, 7, 120, 0, 0x5000, 2, 0, 0) + b"ab"
    (tmp_path / "dump").write_bytes(content)
    assert read_qemu(tmp_path / "dump", alone=True).read(0x5000, 2) == b"ab"
    with pytest.raises(UserError, match="with CPUs and memory; found none"):
        read_qemu(tmp_path / "dump")
    (tmp_path / "dump").write_bytes(header(0, 0))
    with pytest.raises(UserError, match="expected a dump of a guest's memory; found none"):
        read_qemu(tmp_path / "dump", alone=True)


TABLES = {
    I386: {0x1000: {3: 0x2001}, 0x2000: {0: 0x3003}, 0x3000: {5: 0xA003}},
    X86_64: {0x1000: {0: 0x2003}, 0x2000: {0: 0x3003}, 0x3000: {0: 0x4003}, 0x4000: {5: 0xA003}},
}
LINEAR = {I386: 0xC000_5000, X86_64: 0x5000}
NAMES = {I386: {"eax": "rax", "esp": "rsp"}, X86_64: {"rax": "rax", "rsp": "rsp", "r15": "r15"}}


@pytest.mark.parametrize("arch", TABLES)
def test_gdb_finds_registers_and_memory(tmp_path: Path, arch: str) -> None:
    if not shutil.which("gdb"):
        provide({"gdb": "gdb"})
    word = (1 << (32 if arch == I386 else 64)) - 0x1234
    general = {"rax": word, "r15": 15, "rip": LINEAR[arch], "rsp": LINEAR[arch] + 8, "cr4": CR4_PAE}
    cpus = ({"cr3": 0x1000, **general}, {"cr3": 0x1000, **general, "rax": 2})
    write(dump(TABLES[arch], 8, *cpus), arch, tmp_path / "core")
    names = " ".join(NAMES[arch])
    commands = [f"p/x ${name}" for name in NAMES[arch]]
    commands += [f"p/x *(unsigned *){LINEAR[arch]}", "thread 2", f"p/x ${names.split()[0]}"]
    words = [word for each in commands for word in ("-ex", each)]
    said = subprocess.run(
        ["gdb", "-batch", "-nx", *words, "-core", tmp_path / "core"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.findall(r"^\$\d+ = (0x[0-9a-f]+)", said, re.MULTILINE)
    assert found == [*(hex(general[name]) for name in NAMES[arch].values()), "0xa", "0x2"]
