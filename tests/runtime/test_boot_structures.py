# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a loader leaves, taken apart by the runtime: good, wrong and hostile.

The runtime's sources are compiled as a Linux process (harness.c) in which memory that must not be
read is not mapped, so that reading it ends in a signal.
"""

from __future__ import annotations

import itertools
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.backends import backends
from ci.util import ARCHITECTURES

from ..seeds import drawn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = [
    *("loader.c", "memory_map.c", "multiboot.c", "multiboot2.c", "options.c", "protocols.c", "pvh.c"),
    "string.c",
]

MULTIBOOT, PVH, MULTIBOOT2 = 1, 2, 4
MULTIBOOT_MAGIC, MULTIBOOT2_MAGIC, PVH_MAGIC = 0x2BADB002, 0x36D76289, 0x336EC578
USABLE, RESERVED, ACPI, NVS, UNUSABLE, IMAGE, BOOT, MODULE = 1, 2, 3, 4, 5, 16, 17, 18

MIB = 1 << 20
SIZE = 4 * MIB  # of the memory that the runtime may read
IMAGE_START, IMAGE_END = MIB, MIB + 0x40000
INFO, MAP, MODULES, TEXT = 0x9000, 0x9100, 0x9800, 0xA000
LONG_MAP = 0x20000  # where a map goes that is too long for its place
ABOVE = 0x20000000  # memory above the linear region: FAR of harness.c

MULTIBOOT_WORDS = ["flags", "lower", "upper", "device", "line", "modules_count", "modules"]
MULTIBOOT_WORDS += [
    "s0",
    "s1",
    "s2",
    "s3",
    "map_length",
    "map",
    "drives_length",
    "drives",
    "config",
    "loader",
]

MAP_OF_A_PC = [
    (0, 0x9FC00, USABLE),
    (0x9FC00, 0x400, RESERVED),
    (0xF0000, 0x10000, RESERVED),
    (MIB, 63 * MIB, USABLE),
]


@dataclass
class Memory:
    """Memory as a loader left it."""

    protocol: int = MULTIBOOT
    magic: int = MULTIBOOT_MAGIC
    info: int = INFO
    size: int = SIZE
    bits: int = 0
    """Of the processor's addresses; 0: no matter."""
    pieces: list[tuple[int, bytes]] = field(default_factory=list)

    def put(self, address: int, content: bytes) -> int:
        self.pieces.append((address, content))
        return address

    def encode(self) -> bytes:
        head = struct.pack(
            "<8I", self.protocol, self.magic, self.info, IMAGE_START, IMAGE_END, self.size, self.bits,
            len(self.pieces),
        )  # fmt: skip
        return head + b"".join(struct.pack("<2I", at, len(what)) + what for at, what in self.pieces)


@dataclass
class Result:
    refused: str = ""
    command_line: bytes = b""
    loader: bytes = b""
    debug_exit: int = 0
    ranges: list[tuple[int, int, int]] = field(default_factory=list)
    modules: list[tuple[int, int, bytes]] = field(default_factory=list)
    linear_pages: int = 0
    rsdp: int = 0
    screen: tuple[int, ...] | None = None
    efi: tuple[int, ...] = (0, 0)
    quiet: int | None = None
    claim: int = 0
    claims: int = 0
    """Of 400 more."""


Read = Callable[[Memory], Result]


MACHINE = {"i386": ("-m32", "-march=i686"), "x86_64": ("-m64", "-mno-red-zone")}


def reader(arch: str, out: Path) -> Read:
    """Has an architecture's runtime read a memory."""
    folders = sorted(path.parent for path in (ROOT / "backends").glob("*/backend.yaml"))
    generate = [sys.executable, "-m", "vmigen", "generate", "--spec", str(ROOT / "spec/vmi.yaml")]
    generate += ["--arch", arch, "--backends"]
    generate += [str(folder) for folder in folders if folder.name in backends(arch=arch)]
    generate += ["--out", str(out)]
    subprocess.run(generate, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "codegen")})
    compiler = ["gcc", *MACHINE[arch], "-std=gnu11", "-O1", "-g", "-ffreestanding", "-fno-pic", "-no-pie"]
    compiler += ["-mgeneral-regs-only", "-fno-stack-protector", "-nostdlib", "-static"]
    compiler += ["-Wall", "-Wextra", "-Werror"]
    compiler += [f"-I{out / 'include'}", f"-I{ROOT / 'runtime'}", "-o", str(out / "harness")]
    compiler += [str(HERE / "harness.c"), *(str(ROOT / "runtime" / name) for name in SOURCES)]
    subprocess.run(compiler, check=True)

    def run(memory: Memory) -> Result:
        done = subprocess.run([out / "harness"], input=memory.encode(), capture_output=True, timeout=300)
        assert done.returncode == 0, f"the harness ended with {done.returncode}: {done.stdout!r}"
        return parse(done.stdout.decode())

    return run


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return reader(ARCHITECTURES[0], tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="session")
def both(read: Read, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Read]:
    """Of each architecture."""
    wide = ARCHITECTURES[1]
    return {ARCHITECTURES[0]: read, wide: reader(wide, tmp_path_factory.mktemp(f"runtime-{wide}"))}


def parse(text: str) -> Result:
    result = Result()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        values = [bytes.fromhex(value[1:]) if value.startswith("=") else value for value in rest.split()]
        if word == "refused":
            result.refused = rest
        elif word in ("command_line", "loader"):
            setattr(result, word, values[0])
        elif word in ("screen", "efi"):
            setattr(result, word, tuple(int(str(value), 16) for value in values))
        elif word == "range":
            base, size, kind = (int(str(value), 16) for value in values)
            result.ranges.append((base, size, kind))
        elif word == "module":
            result.modules.append((int(str(values[0]), 16), int(str(values[1]), 16), bytes(values[2])))  # type: ignore[arg-type]
        elif word != "ok":
            setattr(result, word, int(str(values[0]), 16))
    return result


def place_of(entries: bytes) -> int:
    return MAP if MAP + len(entries) <= MODULES else LONG_MAP


def multiboot(
    ranges: list[tuple[int, int, int]] | None = None,
    modules: list[tuple[int, int, int]] | None = None,
    command_line: bytes | None = b"kernel quiet vmi.debug_exit=0xf4",
    loader: bytes | None = b"tester",
    words_to: dict[str, int] | None = None,
) -> Memory:
    """A multiboot information, some of whose words are set to something else in the end."""
    memory = Memory()
    words = dict.fromkeys(MULTIBOOT_WORDS, 0)
    text = TEXT
    ranges = MAP_OF_A_PC if ranges is None else ranges
    entries = b"".join(struct.pack("<IQQI", 20, *entry) for entry in ranges)
    words["flags"] |= 1 << 6
    words["map_length"], words["map"] = len(entries), memory.put(place_of(entries), entries)
    if command_line is not None:
        words["flags"] |= 1 << 2
        words["line"] = memory.put(text, command_line + b"\0")
        text += len(command_line) + 1
    if loader is not None:
        words["flags"] |= 1 << 9
        words["loader"] = memory.put(text, loader + b"\0")
    if modules:
        words["flags"] |= 1 << 3
        words["modules_count"] = len(modules)
        content = b"".join(struct.pack("<4I", *module, 0) for module in modules)
        words["modules"] = memory.put(MODULES, content)
    words |= words_to or {}
    memory.put(INFO, struct.pack("<17I", *words.values()))
    return memory


def pvh(
    ranges: list[tuple[int, int, int]] | None = None,
    modules: list[tuple[int, int, int]] | None = None,
    command_line: bytes = b"quiet=1 vmi.debug_exit=244",
    words_to: dict[str, int] | None = None,
) -> Memory:
    """A PVH start information, likewise."""
    memory = Memory(protocol=PVH, magic=0)
    ranges = MAP_OF_A_PC if ranges is None else ranges
    modules = modules or []
    entries = b"".join(struct.pack("<QQII", *entry, 0) for entry in ranges)
    words: dict[str, int] = {
        "magic": PVH_MAGIC,
        "version": 1,
        "flags": 0,
        "modules_count": len(modules),
        "modules": memory.put(MODULES, b"".join(struct.pack("<4Q", *module, 0) for module in modules)),
        "line": memory.put(TEXT, command_line + b"\0"),
        "rsdp": 0xF5A40,
        "map": memory.put(place_of(entries), entries),
        "map_count": len(ranges),
        "reserved": 0,
    }
    words |= words_to or {}
    memory.put(INFO, struct.pack("<4I4Q2I", *words.values()))
    return memory


def tag(kind: int, content: bytes, size: int | None = None) -> bytes:
    """A tag of a multiboot2 information, padded; its size is a lie if it is given."""
    length = 8 + len(content)
    return struct.pack("<2I", kind, length if size is None else size) + content + bytes(-length % 8)


def multiboot2(
    ranges: list[tuple[int, int, int]] | None = None,
    modules: list[tuple[int, int, int]] | None = None,
    command_line: bytes = b"kernel quiet vmi.debug_exit=0xf4",
    tags: bytes = b"",
    total: int | None = None,
    entry: int = 24,
    end: bytes | None = None,
) -> Memory:
    """A multiboot2 information; `tags` come first, `total` and `entry` (size of the map's) may be lies."""
    memory = Memory(protocol=MULTIBOOT2, magic=MULTIBOOT2_MAGIC, info=LONG_MAP)
    ranges = MAP_OF_A_PC if ranges is None else ranges
    entries = b"".join(struct.pack("<QQII", *each, 0) for each in ranges)
    content = tags + tag(1, command_line + b"\0") + tag(2, b"tester\0")
    content += b"".join(
        tag(3, struct.pack("<2I", start, stop) + b"quiet vmi.debug_exit=0xf4\0")
        for start, stop, _ in modules or []
    )
    content += tag(6, struct.pack("<2I", entry, 0) + entries)
    content += tag(15, b"RSD PTR " + bytes(28)) + (tag(0, b"") if end is None else end)
    memory.put(LONG_MAP, struct.pack("<2I", 8 + len(content) if total is None else total, 0) + content)
    return memory


def kind_at(result: Result, address: int) -> int:
    for base, size, kind in result.ranges:
        if base <= address < base + size:
            return kind
    return 0


LINEAR = {"i386": 256 * MIB, "x86_64": 0x770000000000}
"""What the direct map has room for (runtime/arch/ARCH/layout.h)."""


def check_map(result: Result, arch: str = ARCHITECTURES[0]) -> None:
    """What holds for every map that the kernel is shown."""
    end = 0
    for base, size, kind in result.ranges:
        assert base >= end and size > 0 and base + size <= 1 << 64
        if kind == USABLE:
            assert base % 4096 == 0 and size % 4096 == 0
        end = base + size
    for address in range(IMAGE_START, IMAGE_END, 4096):
        assert kind_at(result, address) == IMAGE
    assert kind_at(result, 0) != USABLE
    for base, size, _ in result.modules:
        if size:
            assert kind_at(result, base) == kind_at(result, base + size - 1) == MODULE
    top = max(base + size for base, size, kind in result.ranges if kind in (USABLE, IMAGE, BOOT, MODULE))
    assert 0 < result.linear_pages <= (min(top, LINEAR[arch]) + 4095) // 4096
    # What is in memory below the end of the linear region is mapped.
    for base, size, kind in result.ranges:
        if kind in (USABLE, IMAGE, BOOT, MODULE) and base < LINEAR[arch]:
            assert min(base + size, LINEAR[arch]) <= result.linear_pages * 4096


def test_multiboot(read: Read) -> None:
    result = read(multiboot(modules=[(2 * MIB, 2 * MIB + 5, TEXT + 7)]))
    assert not result.refused
    check_map(result)
    assert result.command_line == b"kernel quiet vmi.debug_exit=0xf4"
    assert result.loader == b"tester"
    assert result.debug_exit == 0xF4
    assert result.quiet == 0
    assert result.modules == [(2 * MIB, 5, b"quiet vmi.debug_exit=0xf4")]
    assert result.linear_pages == 64 * MIB // 4096
    assert result.claim == 0x9D000
    assert result.ranges[:3] == [(0, 0x1000, RESERVED), (0x1000, 0x9E000, USABLE), (0x9FC00, 0x400, RESERVED)]
    assert (2 * MIB, 0x1000, MODULE) in result.ranges


def test_multiboot2(read: Read) -> None:
    result = read(multiboot2(modules=[(2 * MIB, 2 * MIB + 5, 0)]))
    assert not result.refused
    check_map(result)
    assert result.command_line == b"kernel quiet vmi.debug_exit=0xf4"
    assert (result.loader, result.debug_exit, result.quiet) == (b"tester", 0xF4, 0)
    assert result.modules == [(2 * MIB, 5, b"quiet vmi.debug_exit=0xf4")]
    assert LONG_MAP < result.rsdp < LONG_MAP + 0x1000
    assert (2 * MIB, 0x1000, MODULE) in result.ranges


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"total": 4}, "outside memory"),
        ({"total": 1 << 30}, "outside memory"),
        ({"total": 64}, "wrong size"),
        ({"end": b""}, "no end tag"),
        ({"tags": tag(7, b"", size=4)}, "wrong size"),
        ({"tags": tag(7, b"", size=1 << 20)}, "wrong size"),
        ({"tags": tag(3, b"1234")}, "too short"),
        ({"tags": tag(3, struct.pack("<2I", 3 * MIB, 2 * MIB) + b"\0")}, "ends before it starts"),
        ({"entry": 0}, "entries of a wrong size"),
        ({"entry": 20}, "entries of a wrong size"),
        ({"entry": 1 << 25}, "entries of a wrong size"),
        ({"entry": 1 << 20}, "no memory map"),
        ({"ranges": []}, "no memory map"),
        ({"command_line": b"x" * 9000}, "not terminated"),
    ],
)
def test_wrong_multiboot2(read: Read, wrong: dict[str, object], reason: str) -> None:
    assert reason in read(multiboot2(**wrong)).refused  # type: ignore[arg-type]


SCREEN = (0xE0000000, 4096, 1024, 768, 32, 1)
COLORS = (16, 8, 8, 8, 0, 8)
SHOWN = (*SCREEN, 16 | 8 << 8 | 8 << 16 | 8 << 24, 0 | 8 << 8)


def screen_tag(screen: tuple[int, ...] = SCREEN, colors: tuple[int, ...] = COLORS) -> bytes:
    return tag(8, struct.pack("<Q3I2BH", *screen, 0) + bytes(colors))


def test_screen(read: Read) -> None:
    """By both versions of multiboot; in kinds that the kernel knows."""
    assert read(multiboot2(tags=screen_tag())).screen == SHOWN
    memory = multiboot(words_to={"flags": 1 << 6 | 1 << 12})
    memory.put(INFO + 88, struct.pack("<Q3I2B", *SCREEN) + bytes(COLORS))
    assert read(memory).screen == SHOWN
    text = (0xB8000, 160, 80, 25, 0, 2)
    assert read(multiboot2(tags=screen_tag(text, ()))).screen == (*text[:4], 16, 2, 0, 0)
    assert read(multiboot2()).screen is None


@pytest.mark.parametrize(
    "wrong",
    [
        screen_tag(colors=(25, 8, 8, 8, 0, 8)),
        screen_tag(colors=(16, 0, 8, 8, 0, 8)),
        screen_tag(colors=(16, 8, 8, 8)),
        screen_tag((0, *SCREEN[1:])),
        screen_tag((*SCREEN[:1], 4095, *SCREEN[2:])),
        screen_tag((*SCREEN[:2], 0, *SCREEN[3:])),
        screen_tag((2**64 - 4096, *SCREEN[1:])),
        screen_tag((*SCREEN[:4], 7, 1)),
        screen_tag((*SCREEN[:5], 0)),
        screen_tag((*SCREEN[:5], 9)),
        screen_tag((8 * MIB, *SCREEN[1:])),
        screen_tag((IMAGE_END - 1, *SCREEN[1:])),
        screen_tag() + screen_tag((*SCREEN[:5], 9)),
        tag(8, b"1234"),
    ],
)
def test_screens_that_are_none(read: Read, wrong: bytes) -> None:
    result = read(multiboot2(tags=wrong))
    assert not result.refused and result.screen is None


def test_efi(read: Read) -> None:
    """A system table is one if it says so, and lies in memory that the map knows of."""
    place = 3 * MIB
    for kind, form, bits in ((11, "<I", 32), (12, "<Q", 64)):
        memory = multiboot2(tags=tag(kind, struct.pack(form, place)))
        memory.put(place, b"IBI SYST" + bytes(16))
        assert read(memory).efi == (place, bits)
    memory.put(place, b"IBI SISt")
    assert read(memory).efi == (0, 0)
    for wrong in (struct.pack("<Q", 1 << 40), struct.pack("<Q", 2**64 - 4), struct.pack("<Q", IMAGE_START),
                  b"1234"):  # fmt: skip
        assert read(multiboot2(tags=tag(12, wrong))).efi == (0, 0)


def test_multiboot2_needs_its_loader(read: Read) -> None:
    memory = multiboot2()
    memory.magic = MULTIBOOT_MAGIC
    assert "not a multiboot2 loader" in read(memory).refused


def test_pvh(read: Read) -> None:
    result = read(pvh(modules=[(3 * MIB + 1, 4096, 0)]))
    assert not result.refused
    check_map(result)
    assert result.command_line == b"quiet=1 vmi.debug_exit=244"
    assert (result.loader, result.debug_exit, result.quiet, result.rsdp) == (b"", 0xF4, 1, 0xF5A40)
    assert result.modules == [(3 * MIB + 1, 4096, b"")]
    assert (3 * MIB, 0x2000, MODULE) in result.ranges


def test_memory_sizes_stand_in_for_a_map(read: Read) -> None:
    result = read(multiboot(words_to={"flags": 1, "lower": 640, "upper": 7 * 1024}))
    assert not result.refused
    check_map(result)
    assert kind_at(result, 0x9F000) == USABLE and kind_at(result, 0xA0000) == 0
    assert result.linear_pages == 8 * MIB // 4096


def test_as_many_claims_as_there_is_memory_for(read: Read) -> None:
    """They lie next to each other: that many ranges would be too many."""
    assert read(multiboot()).claims == 400
    assert read(multiboot([(MIB, IMAGE_END + 100 * 4096, USABLE)])).claims == 356


def test_more_memory_than_the_linear_region(read: Read) -> None:
    result = read(multiboot([*MAP_OF_A_PC[:3], (MIB, 3 << 30, USABLE), (1 << 32, 1 << 32, USABLE)]))
    check_map(result)
    assert result.linear_pages == 256 * MIB // 4096
    assert kind_at(result, (1 << 33) - 1) == USABLE


def test_loader_cannot_claim_the_runtimes_kinds(read: Read) -> None:
    result = read(multiboot([*MAP_OF_A_PC, (8 * MIB, MIB, IMAGE), (9 * MIB, MIB, 99), (10 * MIB, MIB, 0)]))
    check_map(result)
    assert [kind_at(result, at * MIB) for at in (7, 8, 9, 10, 11)] == [USABLE, *[RESERVED] * 3, USABLE]


@pytest.mark.parametrize(
    ("above", "wanted"),
    [
        ([(2 * MIB, MIB, RESERVED)], RESERVED),
        ([(2 * MIB, MIB, ACPI), (2 * MIB, MIB, USABLE)], ACPI),
        ([(2 * MIB, MIB, NVS), (2 * MIB, MIB, ACPI)], NVS),
        ([(2 * MIB, MIB, RESERVED), (2 * MIB, MIB, NVS)], RESERVED),
        ([(2 * MIB, MIB, UNUSABLE), (2 * MIB, MIB, RESERVED)], UNUSABLE),
        ([(2 * MIB + 1, 1, RESERVED)], 0),
    ],
)
def test_of_overlapping_ranges_the_one_that_allows_least_wins(
    read: Read, above: list[tuple[int, int, int]], wanted: int
) -> None:
    for ranges in ([*MAP_OF_A_PC, *above], [*above, *reversed(MAP_OF_A_PC)]):
        result = read(multiboot(ranges))
        check_map(result)
        # One reserved byte takes its page from what is usable, but is not made larger.
        assert kind_at(result, 2 * MIB) == wanted
        assert kind_at(result, 4 * MIB) == USABLE


def in_holes(count: int, kinds: tuple[int, ...] = (NVS, RESERVED, ACPI)) -> list[tuple[int, int, int]]:
    """That many ranges which touch nothing, the last ones first."""
    return [((300 + 2 * at) * MIB, MIB, kinds[at % len(kinds)]) for at in reversed(range(count))]


@pytest.mark.parametrize("protocol", [multiboot, pvh])
@pytest.mark.parametrize("count", [60, 61, 128, 312, 1000])
def test_a_map_of_any_length(read: Read, protocol: Callable[..., Memory], count: int) -> None:
    """All of it is there, and a long one's own place is not the kernel's to use."""
    ranges = in_holes(count)
    module = (4 * MIB - 0x800, 4 * MIB, 0) if protocol is multiboot else (4 * MIB - 0x800, 0x800, 0)
    result = read(protocol([*MAP_OF_A_PC, *ranges], modules=[module]))
    assert not result.refused
    check_map(result)
    assert [entry for entry in result.ranges if entry[0] >= 300 * MIB] == sorted(ranges)
    own = [(base, size) for base, size, kind in result.ranges if kind == BOOT]
    assert len(own) == (count + len(MAP_OF_A_PC) > 64)
    for base, size in own:  # below the module, which is at the top of what the harness has
        assert base % 4096 == 0 and base + size == 4 * MIB - 0x1000 and size >= 2 * 24 * count


RANK = {USABLE: 1, ACPI: 2, NVS: 3, RESERVED: 4, UNUSABLE: 5}


def flattened(ranges: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """What a map of whole pages says, sorted, without overlap, joined."""
    found: list[tuple[int, int, int]] = []
    edges = sorted({edge for base, size, _ in ranges for edge in (base, base + size)})
    for start, end in itertools.pairwise(edges):
        kinds = [kind for base, size, kind in ranges if base <= start < base + size]
        kind = max(kinds, key=RANK.__getitem__, default=0)
        if found and found[-1][2] == kind and sum(found[-1][:2]) == start:
            start = found.pop()[0]
        if kind:
            found.append((start, end - start, kind))
    return found


def scattered(top: int) -> list[tuple[int, int, int]]:
    """400 ranges from 300 MiB to `top`, in no order: most touch their neighbours, some overlap them."""
    chance = random.Random(400)
    page = 4096
    edges = sorted(chance.sample(range(300 * MIB // page, top // page), 401))
    ranges = []
    for start, end in itertools.pairwise(edges):
        over = chance.choice([0, 0, 0, 1, 200])
        end = min(end + over * (end - start) // 100, top // page)
        ranges.append((start * page, (end - start) * page, chance.choice([USABLE, USABLE, *RANK])))
    chance.shuffle(ranges)
    return ranges


GIB, TIB = 1 << 30, 1 << 40


@pytest.mark.parametrize(("arch", "top"), [("i386", 64 * GIB), ("x86_64", 64 * GIB), ("x86_64", 200 * TIB)])
@pytest.mark.parametrize("protocol", [multiboot, multiboot2, pvh])
def test_400_ranges_in_any_order(
    both: dict[str, Read], protocol: Callable[..., Memory], arch: str, top: int
) -> None:
    ranges = scattered(top)
    assert len(ranges) == 400
    result = both[arch](protocol([*MAP_OF_A_PC, *ranges]))
    assert not result.refused
    check_map(result, arch)
    assert [entry for entry in result.ranges if entry[0] >= 300 * MIB] == flattened(ranges)


@pytest.mark.parametrize(
    ("arch", "bits", "end", "shown"),
    [
        ("i386", 36, 64 * GIB, 64 * GIB),
        ("x86_64", 46, 6 * TIB + 3 * GIB, 6 * TIB + 3 * GIB),
        ("x86_64", 52, 1 << 52, 1 << 52),
        # A processor of an emulator's with fewer bits than its machine needs.
        ("i386", 32, 9 * GIB, 0),
        ("i386", 36, 65 * GIB, 64 * GIB),
        ("x86_64", 40, 2 * TIB, TIB),
    ],
)
@pytest.mark.parametrize("protocol", [multiboot, multiboot2, pvh])
def test_memory_above_4_gib_as_far_as_addresses_reach(
    both: dict[str, Read], protocol: Callable[..., Memory], arch: str, bits: int, end: int, shown: int
) -> None:
    """With the hole of a PC below, and one in the middle."""
    below, low, hole = (3 * GIB - MIB), 4 * GIB, (6 * GIB, GIB)
    ranges = [*MAP_OF_A_PC[:3], (low, sum(hole[:1]) - low, USABLE), (MIB, below, USABLE)]
    ranges += [(sum(hole), end - sum(hole), USABLE), (0xFEC00000, 0x1400000, RESERVED)]
    memory = protocol(ranges)
    memory.bits = bits
    result = both[arch](memory)
    assert not result.refused
    check_map(result, arch)
    wanted = [(low, hole[0] - low, USABLE), (sum(hole), shown - sum(hole), USABLE)] if shown else []
    assert [each for each in result.ranges if each[0] >= GIB * 4] == wanted
    assert kind_at(result, 3 * GIB - 1) == USABLE and kind_at(result, 3 * GIB) == 0
    assert result.linear_pages == min(shown or 3 * GIB, LINEAR[arch]) // 4096


EFI_KIND = {
    USABLE: (1, 2, 3, 4, 7), RESERVED: (0, 5, 6, 11, 12, 13, 14), ACPI: (9,), NVS: (10,), UNUSABLE: (8,),
}  # fmt: skip
"""Kinds of UEFI's (2.10, 7.2.3) that are as good as each of the BIOS's to a kernel."""


@pytest.mark.parametrize("entry_size", [40, 48])
def test_400_ranges_of_uefi(both: dict[str, Read], tmp_path: Path, entry_size: int) -> None:
    """As the loader of `./vmi efi` hands them on, read once more where the map changes while it leaves."""
    program = tmp_path / "efi_map"
    command = ["clang", "-std=gnu11", "-O1", "-fshort-wchar", "-fno-builtin", "-fno-pic", "-no-pie"]
    command += ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-const-variable"]
    subprocess.run([*command, "-o", program, HERE / "efi_map.c"], check=True)
    ranges = [(0, 0xA0000, USABLE), (MIB, 63 * MIB, USABLE), *scattered(200 * TIB)]
    kinds = {kind: itertools.cycle(numbers) for kind, numbers in EFI_KIND.items()}
    entries = b"".join(
        struct.pack("<2I4Q", next(kinds[kind]), 0, base, 0, size // 4096, 0xF).ljust(entry_size, b"\xee")
        for base, size, kind in ranges
    )
    head = struct.pack("<2I", entry_size, len(ranges))
    done = subprocess.run([program], input=head + entries, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for arch, read in both.items():
        memory = Memory(MULTIBOOT2, MULTIBOOT2_MAGIC, LONG_MAP)
        memory.put(LONG_MAP, done.stdout)
        result = read(memory)
        assert not result.refused and result.command_line == b"quiet"
        check_map(result, arch)
        assert [entry for entry in result.ranges if entry[0] >= 300 * MIB] == flattened(ranges[2:])


def test_a_long_map_keeps_clear_of_what_is_in_memory(read: Read) -> None:
    """Modules, the loader's structures and what is reserved are all higher than the free place."""
    taken = [(2 * MIB + 0x10000 + at * 0x4000, 0x1000, RESERVED) for at in range(110)]
    memory = multiboot(
        [*MAP_OF_A_PC, *in_holes(300), *taken],
        modules=[(4 * MIB - 0x38000, 4 * MIB - 0x3000, 4 * MIB - 0x2000)],
    )
    memory.put(4 * MIB - 0x2000, b"a module\0")
    result = read(memory)
    assert not result.refused
    check_map(result)
    assert result.modules[0][2] == b"a module"
    [(base, size)] = [(base, size) for base, size, kind in result.ranges if kind == BOOT]
    assert base >= IMAGE_END and base + size <= 2 * MIB + 0x10000
    for start, length, kind in taken:
        assert kind_at(result, start) == kind_at(result, start + length - 1) == kind


def test_a_long_map_without_room_is_refused(read: Read) -> None:
    for memory in (
        multiboot([(MIB, 0x48000, USABLE), *in_holes(1000)]),
        multiboot([(0x100000, MIB, USABLE), (300 * MIB, 300 * MIB, USABLE), *in_holes(100_000 // 24)]),
    ):
        result = read(memory)
        assert "too long for the memory there is" in result.refused or "less than 1 MiB" in result.refused


def test_ranges_may_end_where_addresses_end(read: Read) -> None:
    top = 1 << 64
    for kind in (RESERVED, NVS, UNUSABLE, USABLE):
        result = read(pvh([*MAP_OF_A_PC, (top - MIB, MIB, kind)]))
        assert not result.refused
        check_map(result)
        assert result.ranges[-1] == (top - MIB, MIB, kind)
        assert kind_at(result, top - 1) == kind
    # Cut, joined and beneath another.
    result = read(pvh([*MAP_OF_A_PC, (1 << 63, 1 << 63, USABLE), (top - 5, 5, RESERVED), (top - 5, 3, NVS)]))
    assert not result.refused
    assert result.ranges[-2:] == [(1 << 63, (1 << 63) - 4096, USABLE), (top - 5, 5, RESERVED)]


def test_an_empty_list_may_be_anywhere(read: Read) -> None:
    for where in (0, 3, IMAGE_START, 0xFFFFFFFC):
        memory = multiboot(words_to={"flags": 1 << 3 | 1 << 6, "modules_count": 0, "modules": where})
        assert not read(memory).refused
        assert not read(pvh(words_to={"modules_count": 0, "modules": where << 32 | where})).refused


def test_an_empty_module_takes_no_memory(read: Read) -> None:
    for memory in (pvh(modules=[(2 * MIB + 1, 0, 0)]), multiboot(modules=[(2 * MIB + 1, 2 * MIB + 1, 0)])):
        result = read(memory)
        assert result.modules == [(2 * MIB + 1, 0, b"")]
        assert kind_at(result, 2 * MIB) == USABLE


def test_what_a_loader_left_above_the_linear_region(read: Read) -> None:
    """GRUB and QEMU put their structures behind the modules, wherever those end."""
    memory = Memory(info=ABOVE + 0x100)
    ranges = [*MAP_OF_A_PC[:3], (MIB, 1 << 30, USABLE), *in_holes(200, (RESERVED,))]
    entries = b"".join(struct.pack("<IQQI", 20, *entry) for entry in ranges)
    line = b"kernel " + b"quiet=" + b"q" * 4090  # over a page's end
    words = dict.fromkeys(MULTIBOOT_WORDS, 0) | {
        "flags": 1 << 2 | 1 << 3 | 1 << 6,
        "map_length": len(entries),
        "map": memory.put(ABOVE + 0x1001, entries),
        "line": memory.put(ABOVE + 0x8001, line + b"\0"),
        "modules_count": 1,
        "modules": memory.put(ABOVE + 0xA000, struct.pack("<4I", 2 * MIB, 3 * MIB, ABOVE + 0xB000, 0)),
    }
    memory.put(ABOVE + 0xB000, b"far\0")
    memory.put(ABOVE + 0x100, struct.pack("<17I", *words.values()))
    result = read(memory)
    assert not result.refused
    check_map(result)
    assert (result.command_line, result.quiet) == (line, 4090)
    assert result.modules == [(2 * MIB, MIB, b"far")]
    # At the end of what is there, without an end of its own.
    memory.put(ABOVE + MIB - 4, b"abcd")
    words["line"] = ABOVE + MIB - 4
    memory.put(ABOVE + 0x100, struct.pack("<17I", *words.values()))
    assert "command line is not terminated" in read(memory).refused


@pytest.mark.parametrize("kind", [RESERVED, ACPI, NVS, 12])
def test_taken_memory_under_kernel_and_modules(read: Read, kind: int) -> None:
    """A loader may mark as taken what it has filled."""
    taken = [(IMAGE_START, IMAGE_END - IMAGE_START, kind), (2 * MIB, 0x5000, kind)]
    result = read(multiboot([*MAP_OF_A_PC, *taken], modules=[(2 * MIB, 2 * MIB + 0x5000, 0)]))
    assert not result.refused
    check_map(result)
    assert kind_at(result, 2 * MIB + 0x4FFF) == MODULE and kind_at(result, 2 * MIB + 0x5000) == USABLE
    # Both in one range, and the module above all that is usable.
    whole = [(0, 0xA0000, USABLE), (MIB, 2 * MIB, kind), (3 * MIB, 8 * MIB, USABLE), (11 * MIB, MIB, kind)]
    result = read(multiboot(whole, modules=[(11 * MIB + 3, 12 * MIB, 0)]))
    assert not result.refused
    check_map(result)
    assert result.linear_pages == 12 * MIB // 4096


FAR = 0xF0000000
INTO_THE_IMAGE = multiboot(words_to={"line": IMAGE_START - 2})
INTO_THE_IMAGE.put(IMAGE_START - 2, b"ab")
REFUSALS: dict[str, tuple[Memory, str]] = {
    "magic": (Memory(magic=0), "is not a multiboot loader"),
    "information far away": (Memory(info=FAR), "multiboot information is outside"),
    "information across the end": (Memory(info=SIZE - 4), "multiboot information is outside"),
    "information in the image": (Memory(info=IMAGE_START - 4), "multiboot information is outside"),
    "no map at all": (multiboot(words_to={"flags": 0}), "no memory map"),
    "empty map": (multiboot([]), "no memory map"),
    "map far away": (multiboot(words_to={"map": FAR}), "multiboot memory map is outside"),
    "map too long": (multiboot(words_to={"map_length": SIZE}), "multiboot memory map is outside"),
    "map of all memory": (multiboot(words_to={"map_length": 0xFFFFFFFF}), "multiboot memory map is outside"),
    "map in the image": (multiboot(words_to={"map": IMAGE_START}), "multiboot memory map is outside"),
    "map cut": (multiboot(words_to={"map_length": 4 * 24 - 1}), "ends inside an entry"),
    "map cut in a header": (multiboot(words_to={"map_length": 3}), "ends inside an entry"),
    "map with a short entry": (multiboot(words_to={"map": MAP + 24 + 4}), "entry of a wrong size"),
    "line far away": (multiboot(words_to={"line": FAR}), "command line is not terminated"),
    "line at the end": (multiboot(words_to={"line": SIZE}), "command line is not terminated"),
    "line in the image": (multiboot(words_to={"line": IMAGE_END - 1}), "command line is not terminated"),
    "line into the image": (INTO_THE_IMAGE, "command line is not terminated"),
    "line too long": (multiboot(command_line=b"x" * 9000), "command line is not terminated"),
    "loader's name far away": (multiboot(words_to={"loader": FAR}), "loader's name is not terminated"),
    "modules far away": (
        multiboot(modules=[(2 * MIB, 3 * MIB, 0)], words_to={"modules_count": 0x10000000}),
        "module list",
    ),
    "many modules": (
        multiboot(modules=[(at * 4096, at * 4096 + 1, 0) for at in range(600, 617)]),
        "more than 16 boot modules",
    ),
    "module backwards": (multiboot(modules=[(3 * MIB, 2 * MIB, 0)]), "ends before it starts"),
    "module over the image": (multiboot(modules=[(IMAGE_END - 1, 2 * MIB, 0)]), "overlaps the kernel"),
    "module around the image": (multiboot(modules=[(0x1000, 2 * MIB, 0)]), "overlaps the kernel"),
    "module without memory": (multiboot(modules=[(63 * MIB, 65 * MIB, 0)]), "where there is no memory"),
    "module in faulty memory": (
        multiboot([*MAP_OF_A_PC, (3 * MIB, 1, UNUSABLE)], modules=[(2 * MIB, 3 * MIB + 1, 0)]),
        "faulty memory",
    ),
    "image in faulty memory": (
        multiboot([*MAP_OF_A_PC, (IMAGE_END - 1, 1, UNUSABLE)]),
        "has it as faulty",
    ),
    "module fills the linear region": (
        multiboot([(MIB, 1 << 30, USABLE)], modules=[(MIB + 0x40000, 300 * MIB, 0)]),
        "boot modules leave less than 1 MiB of the memory below 256 MiB",
    ),
    "modules overlap": (
        multiboot(modules=[(2 * MIB, 3 * MIB, 0), (3 * MIB - 1, 4 * MIB, 0)]),
        "two boot modules overlap",
    ),
    "module line far away": (multiboot(modules=[(2 * MIB, 3 * MIB, FAR)]), "command line of a boot module"),
    "image not in the map": (
        multiboot([*MAP_OF_A_PC[:3], (2 * MIB, MIB, USABLE)]),
        "memory that the kernel is in",
    ),
    "no room": (multiboot([(MIB, MIB, USABLE)]), "less than 1 MiB"),
    "range wraps": (multiboot([*MAP_OF_A_PC, ((1 << 64) - 4096, 8192, USABLE)]), "wraps around"),
    "structures in a hole": (
        multiboot([(MIB, 2 * MIB, USABLE)], modules=[(2 * MIB, 2 * MIB + 1, 3 * MIB + 5)]),
        "where there is no memory",
    ),
    "exit port": (multiboot(command_line=b"vmi.debug_exit=0x10000"), "vmi.debug_exit"),
    "exit port without a number": (multiboot(command_line=b"vmi.debug_exit"), "vmi.debug_exit"),
    "exit port with rubbish": (multiboot(command_line=b"vmi.debug_exit=0xf4;"), "vmi.debug_exit"),
    "PVH magic": (pvh(words_to={"magic": 1}), "wrong magic number"),
    "PVH version": (pvh(words_to={"version": 0}), "no memory map"),
    "PVH information far away": (Memory(protocol=PVH, info=FAR), "PVH start information is outside"),
    "PVH information at the end": (Memory(protocol=PVH, info=SIZE - 39), "PVH start information is outside"),
    "PVH information that goes on past the end": (
        Memory(
            protocol=PVH,
            info=SIZE - 40,
            pieces=[(SIZE - 40, struct.pack("<4I3Q", PVH_MAGIC, 1, 0, 0, 0, 0, 0))],
        ),
        "PVH start information is outside",
    ),
    "PVH empty map": (pvh([]), "no memory map"),
    "PVH map far away": (pvh(words_to={"map": 1 << 40}), "PVH memory map is outside"),
    "PVH map at the top": (pvh(words_to={"map": (1 << 64) - 24}), "PVH memory map is outside"),
    "PVH map endless": (pvh(words_to={"map_count": 0xFFFFFFFF}), "PVH memory map is outside"),
    "PVH modules far away": (pvh(words_to={"modules_count": 1, "modules": 1 << 33}), "PVH module list"),
    "PVH modules endless": (pvh(words_to={"modules_count": 0xFFFFFFFF}), "PVH module list"),
    "PVH module wraps": (pvh(modules=[((1 << 64) - 1, 2, 0)]), "wraps around"),
    "PVH line at the top": (pvh(words_to={"line": (1 << 64) - 256}), "command line is not terminated"),
    "PVH line above 4 GiB": (pvh(words_to={"line": (1 << 32) + TEXT}), "command line is not terminated"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(read: Read, case: str) -> None:
    memory, reason = REFUSALS[case]
    assert reason in read(memory).refused


def test_refusal_still_reaches_the_exit_port(read: Read) -> None:
    """The command line is read first, so that its port is known when something later is refused."""
    for memory in (multiboot([]), pvh([])):
        result = read(memory)
        assert result.refused and result.debug_exit == 0xF4


WORDS = st.one_of(
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from(
        [0, 1, 20, 24, INFO, MAP, MODULES, TEXT, IMAGE_START, IMAGE_END, SIZE - 1, SIZE, 0xFFFFFFFF]
    ),
)
LONG_WORDS = st.one_of(WORDS, st.integers(0, (1 << 64) - 1))
RANGES = st.lists(
    st.tuples(
        st.one_of(LONG_WORDS, st.integers(0, 64).map(lambda at: at * 0x81000)),
        st.one_of(LONG_WORDS, st.integers(0, 64).map(lambda at: at * 0x7FF00)),
        st.integers(0, 20),
    ),
    max_size=20,
)
hostile = drawn(max_examples=150)


@hostile
@given(ranges=RANGES)
def test_any_ranges(read: Read, ranges: list[tuple[int, int, int]]) -> None:
    """Whatever ranges a loader gives, the map is sound, or refused; and right at each boundary."""
    result = read(multiboot([*MAP_OF_A_PC, *ranges]))
    if result.refused:
        return
    check_map(result)
    for base, size, _ in ranges:
        for address in {base, max(base + size - 1, 0), base + size}:
            if address < 4096 or IMAGE_START <= address < IMAGE_END:
                continue
            kinds = [
                kind if kind in RANK else RESERVED
                for start, length, kind in [*MAP_OF_A_PC, *ranges]
                if start <= address < start + length
            ]
            wanted = max(kinds, key=lambda kind: RANK[kind], default=0)
            shown = kind_at(result, address)
            # What is usable shrinks to whole pages; everything else is shown as it is.
            assert shown == wanted or (wanted == USABLE and shown == 0)


@drawn(max_examples=20)
@given(seed=st.integers(0, 1 << 32), count=st.integers(65, 900))
def test_any_long_map(read: Read, seed: int, count: int) -> None:
    """As above, with more ranges than a strategy likes to make; they touch and overlap."""
    chance = random.Random(seed)
    ranges = [
        (chance.randrange(4 * MIB, 60 * MIB) & chance.choice([-1, -4096]), chance.randrange(MIB),
         chance.randrange(1, 6))
        for _ in range(count)
    ]  # fmt: skip
    result = read(multiboot([*MAP_OF_A_PC, *ranges]))
    assert not result.refused
    check_map(result)
    for base, size, _ in chance.sample(ranges, 40):
        for address in (base, base + size):
            wanted = max(
                (kind for start, length, kind in [*MAP_OF_A_PC, *ranges]
                 if start <= address < start + length),
                key=lambda kind: RANK[kind],
            )  # fmt: skip
            shown = kind_at(result, address)
            assert shown == wanted or (wanted == USABLE and shown == 0)


@hostile
@given(
    which=st.lists(st.tuples(st.integers(0, 16), WORDS), min_size=1, max_size=6),
    garbage=st.lists(st.tuples(st.sampled_from([MAP, MODULES, TEXT]), st.binary(max_size=256)), max_size=3),
)
def test_any_multiboot_information(
    read: Read, which: list[tuple[int, int]], garbage: list[tuple[int, bytes]]
) -> None:
    memory = multiboot(modules=[(2 * MIB, 3 * MIB, TEXT)])
    for index, value in which:
        memory.put(INFO + 4 * index, struct.pack("<I", value))
    for address, content in garbage:
        memory.put(address, content)
    result = read(memory)
    if not result.refused:
        check_map(result)


@hostile
@given(
    which=st.lists(st.tuples(st.integers(1, 6), LONG_WORDS), min_size=1, max_size=6),
    garbage=st.lists(st.tuples(st.sampled_from([MAP, MODULES, TEXT]), st.binary(max_size=256)), max_size=3),
)
def test_any_pvh_information(
    read: Read, which: list[tuple[int, int]], garbage: list[tuple[int, bytes]]
) -> None:
    memory = pvh(modules=[(2 * MIB, MIB, TEXT)])
    for index, value in which:
        memory.put(INFO + 8 * index, struct.pack("<Q", value))
    for address, content in garbage:
        memory.put(address, content)
    result = read(memory)
    if not result.refused:
        check_map(result)


@hostile
@given(line=st.binary(max_size=200).map(lambda line: line.replace(b"\0", b"")))
def test_any_command_line(read: Read, line: bytes) -> None:
    result = read(multiboot(command_line=line))
    assert result.command_line == line
    words = [word.partition(b"=") for word in line.replace(b"\t", b" ").split(b" ")]
    lengths = [len(value) for name, _, value in words if name == b"quiet"]
    if not result.refused:
        assert result.quiet == (lengths[-1] if lengths else None)
