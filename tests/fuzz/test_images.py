# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Provider images read and call sites bound (runtime/bind), byte by byte, on the build machine."""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from codegen import vmirom
from codegen.vmirom import PAGE, ROM, get, put, word_sum

from .host import CODE, DATA, SLOT, SLOTS, TEXT, Binder, Loaded, Rom, Site, binder
from .images import (
    BROKEN,
    JUMP,
    NEWER,
    NONE,
    NOP,
    Broken,
    Call,
    Form,
    for_machine,
    later,
    moved,
    seal,
    sign,
    synthetic,
)  # fmt: skip

# A pytest worker's other thread waits for its pipe and holds nothing that a child of `apart` takes.
pytestmark = pytest.mark.filterwarnings("ignore:.* is multi-threaded:DeprecationWarning")

CPUID, SET_CR3, IRET = (bytes.fromhex(code) for code in ("0fa2", "0f22d8", "cf"))
CALLS = (
    Call(0, NONE, CPUID), Call(1), Call(2, NOP), Call(17, NONE, SET_CR3), Call(40, NONE, IRET), Call(129),
)  # fmt: skip
ORDINALS = {call.ordinal for call in CALLS}

# Intel SDM vol. 2B, NOP, table 4-12.
NOPS = {
    0: "", 1: "90", 2: "6690", 3: "0f1f00", 4: "0f1f4000", 5: "0f1f440000", 6: "660f1f440000",
    7: "0f1f8000000000", 8: "0f1f840000000000", 9: "660f1f840000000000",
}  # fmt: skip


def nops(length: int) -> bytes:
    return bytes.fromhex(NOPS[min(length, 9)] + NOPS[max(length - 9, 0)])


@pytest.fixture(scope="module", name="binder", params=ARCHITECTURES)
def make_binder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Binder:
    return binder(tmp_path_factory.mktemp("binder"), request.param)


@pytest.fixture
def provider(binder: Binder) -> Loaded:
    loaded = Loaded(binder, synthetic(CALLS))
    assert loaded.refused == ""
    return loaded


def branch(opcode: int, address: int, to: int) -> bytes:
    return struct.pack("<BI", opcode, (to - address - 5) & 0xFFFFFFFF)


def target(image: bytes, ordinal: int) -> int:
    """Address of a call's routine, from the table of calls."""
    start, count = get(image, "X_CALLS_OFFSET"), get(image, "X_CALLS_COUNT")
    entries = struct.iter_unpack("<IHBBI", image[start : start + count * ROM["CALL_SIZE"]])
    return TEXT + next(entry[0] for entry in entries if entry[1] == ordinal)


def kernel(*sites: tuple[int, int, int], jump: bool = False) -> tuple[bytes, list[Site]]:
    """A text of 64 bytes that calls or jumps to slots at these offsets, for (offset, ordinal, length)."""
    code = bytearray(b"\xf4" * 64)
    for offset, ordinal, length in sites:
        site = branch(0xE9 if jump else 0xE8, CODE + offset, SLOTS + SLOT * ordinal).ljust(length, b"\x90")
        code[offset : offset + length] = site[: max(0, 64 - offset)]
    return bytes(code), [Site(CODE + offset, ordinal, length, 0) for offset, ordinal, length in sites]


# ---- images ----


def test_image_is_described_and_put_into_place(provider: Loaded) -> None:
    image = provider.image.raw
    rom = provider.rom
    assert rom.name == b"synthetic"
    assert (rom.size, rom.calls_count, rom.reloc_count) == (len(image), len(CALLS), 4)
    reason, text, data = provider.load()
    assert reason == ""
    start, probe = get(image, "X_START"), get(image, "X_PROBE")
    assert struct.unpack_from("<I", text, probe + 1)[0] == DATA + 8
    assert struct.unpack_from("<I", text, start + 1)[0] == TEXT + probe
    assert struct.unpack_from("<2I", data) == (TEXT + start, DATA + rom.memory_size)
    assert data[8 : rom.data_size] == bytes(range(64))
    assert data[rom.data_size : rom.memory_size] == bytes(rom.memory_size - rom.data_size)
    changed = {at for at in range(rom.text_size) if text[at] != image[at]}
    assert changed <= {*range(probe + 1, probe + 5), *range(start + 1, start + 5)}
    assert set(text[rom.text_size :]) == {0xCC}, "nothing is left of an image that was there before"


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_broken_image_is_refused(binder: Binder, broken: Broken) -> None:
    loaded = Loaded(binder, broken.of(synthetic(CALLS)))
    reason = loaded.refused or loaded.slots(ORDINALS)[0] or loaded.load()[0]
    assert reason == broken.reason


@pytest.mark.parametrize("length", [0, 1, 143, 144, 511, 512, 4607])
def test_image_that_ends_early_is_refused(binder: Binder, length: int) -> None:
    image = synthetic(CALLS)
    assert len(image) == 4608
    wanted = "it is longer than the memory that it lies in" if length >= 144 else "it is no VMI ROM"
    assert Loaded(binder, image[:length]).refused == wanted


def test_image_without_length_is_refused(binder: Binder) -> None:
    image = bytearray(synthetic(CALLS))
    image[ROM["LENGTH"]] = 0
    assert Loaded(binder, bytes(image)).refused == "it is shorter than its header"


def test_image_needs_room(provider: Loaded) -> None:
    text, data = provider.rom.text_size, provider.rom.memory_size
    assert provider.load(text, data)[0] == ""
    assert provider.load(text - 1, data)[0] == "there is no room for it"
    assert provider.load(text, data - 1)[0] == "there is no room for it"


def test_name_has_at_most_31_characters(binder: Binder) -> None:
    assert Loaded(binder, synthetic(CALLS, name=b"n" * 31)).rom.name == b"n" * 31
    assert Loaded(binder, synthetic(CALLS, name=b"n" * 32)).refused == "its name cannot be printed"


@pytest.mark.parametrize("part", ["text", "data"])
def test_relocation_that_reaches_beyond_its_part_is_refused(binder: Binder, part: str) -> None:
    """A place of four bytes must lie in one part; the last one that does is relocated."""
    for more, reason in ((0, ""), (1, "one of its relocations is outside of it")):
        image = bytearray(synthetic(CALLS))
        end = get(image, "X_TEXT_SIZE") if part == "text" else PAGE + get(image, "X_DATA_SIZE")
        place = end - 4 + more
        struct.pack_into("<I", image, place, 0)
        struct.pack_into("<I", image, get(image, "X_RELOC_OFFSET"), moved(place))
        image[ROM["X_RELOC_COUNT"]] = 1
        seal(image)
        loaded = Loaded(binder, bytes(image))
        assert loaded.refused == ""
        got, text, data = loaded.load()
        assert got == reason
        if not reason:
            relocated = text[place:] if part == "text" else data[place - PAGE :]
            assert struct.unpack_from("<I", relocated) == (TEXT,)


@pytest.mark.parametrize(("more", "length"), [(-2, 2), (-2, 3), (3, 1), (4, 1)])
def test_instructions_beside_a_relocation(binder: Binder, more: int, length: int) -> None:
    """Not one byte of what is copied to sites may be relocated."""
    image = bytearray(synthetic([Call(0, NONE, CPUID)]))
    place = get(image, "X_PROBE") + 1
    entry = get(image, "X_CALLS_OFFSET")
    image[entry + ROM["CALL_INLINE_LENGTH"]] = length
    struct.pack_into("<I", image, entry + ROM["CALL_INLINE"], place + more)
    seal(image)
    reason = Loaded(binder, bytes(image)).load()[0]
    beside = more + length <= 0 or more >= 4
    assert reason == ("" if beside else "one of its calls has instructions that are relocated")


def test_every_word_of_the_header_can_be_anything(binder: Binder) -> None:
    """Whatever stands in one word, the image is refused or can be put into place; no read or write ends the
    process."""
    image = synthetic(CALLS)
    accepted = 0
    for offset in range(ROM["X_TEXT_SIZE"], ROM["X_END"], 4):
        for value in (0, 1, 3, 200, 4095, 4096, 4097, 4608, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0xFFFFFFFF):
            broken = bytearray(image)
            struct.pack_into("<I", broken, offset, value)
            seal(broken)
            loaded = Loaded(binder, bytes(broken))
            accepted += not (loaded.refused or loaded.load()[0])
    assert accepted >= 12  # every priority is good


@pytest.mark.parametrize("at", [ROM["X_MAGIC"], ROM["X_SUM"], ROM["X_END"], 4607])
def test_words_of_the_extension_add_up(binder: Binder, at: int) -> None:
    """The sum of an image that comes with a kernel; the published one is made right again."""
    image = bytearray(for_machine(synthetic(CALLS), binder.arch))
    loaded = Loaded(binder, bytes(image))
    put(image, "X_SUM", word_sum(image))

    def said() -> bytes | None:
        memory = ctypes.create_string_buffer(bytes(image), len(image))
        rom = Rom.from_buffer_copy(bytes(loaded.rom))
        rom.bytes = ctypes.addressof(memory)
        reason: bytes | None = binder.library.vmi__rom_word_sum(ctypes.byref(rom))
        return reason

    assert said() is None
    image[at] ^= 0x10
    assert said() == b"its words do not add up"


KVM = (0x4B4D564B, 0x564B4D56, 0x4D)


@pytest.mark.parametrize(
    ("made", "there", "asked"),
    [
        (sign(), True, 0),
        (sign(leaves=0, registers=1), False, 0),  # not to be found by asking
        (sign(0x40000000, 256, 0xE, (0, *KVM)), True, 4),
        (sign(0x40000000, 4, 0xE, (0, *KVM)), True, 4),
        (sign(0x40000000, 3, 0xE, (0, *KVM)), False, 3),
        (sign(0x40000000, 256, 0xF, (1, *KVM)), False, 256),
        (sign(0x40000300, 1, 1, (0, 9, 9, 9)), True, 1),
        (sign(0x40000300, 1, 8, (0, 0, 0, 0x4D)), True, 1),
        (sign(0xFFFFFF00, 256, 4, (0, 0, 1, 0)), False, 256),
    ],
)
def test_sign(binder: Binder, made: Callable[[bytearray], None], there: bool, asked: int) -> None:
    """Looked for in each of its leaves, up to the first that has all of its registers so."""
    image = bytearray(synthetic(CALLS))
    made(image)
    seal(image)
    leaves: list[int] = []

    @ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))
    def ask(leaf: int, registers: ctypes.Array[ctypes.c_uint32]) -> None:
        leaves.append(leaf)
        for number, value in enumerate((0, *KVM) if leaf == 0x40000300 else (0,) * 4):
            registers[number] = value

    loaded = Loaded(binder, bytes(image))
    assert loaded.refused == ""
    binder.library.vmi__rom_has_sign.restype = ctypes.c_bool
    assert binder.library.vmi__rom_has_sign(ctypes.byref(loaded.rom), ask) == there
    assert len(leaves) == asked


# ---- what only x86-64 has ----


@pytest.fixture(scope="module")
def binder64(tmp_path_factory: pytest.TempPathFactory) -> Binder:
    return binder(tmp_path_factory.mktemp("binder"), ARCHITECTURES[1])


def relocated(
    binder: Binder, place: int, content: bytes, relocation: int, text_room: int = 0x1000
) -> tuple[str, bytes]:
    """What is said of an image with these bytes, relocated so, and what then stands there."""
    image = bytearray(synthetic(CALLS))
    image[place : place + len(content)] = content
    struct.pack_into("<I", image, get(image, "X_RELOC_OFFSET"), relocation)
    image[ROM["X_RELOC_COUNT"]] = 1
    seal(image)
    loaded = Loaded(binder, bytes(image))
    assert loaded.refused == ""
    reason, text, data = loaded.load(text_room)
    part = text[place:] if place < PAGE else data[place - PAGE :]
    return reason, part[: len(content)]


PLACE = ROM["X_END"] + len(b"synthetic\0")
"""In the text part, of the probe."""


@pytest.mark.parametrize(
    ("value", "in_data", "wanted"),
    [
        (0x100, False, 0xFFFFFFFF00000000 + TEXT + 0x100),
        (PAGE + 16, True, 0xFFFFFFFF00000000 + DATA + 16),
        # Guest-physical: the image's address, of which the kernel code model's base is taken off.
        (0x80000000 + 0x100, False, TEXT + 0x100 - 0x80000000),
    ],
)
def test_long_words_are_relocated(binder64: Binder, value: int, in_data: bool, wanted: int) -> None:
    relocation = moved(PAGE + 8, in_data, "LONG")
    reason, found = relocated(binder64, PAGE + 8, struct.pack("<Q", value), relocation)
    assert reason == ""
    assert struct.unpack("<Q", found) == (wanted,)


@pytest.mark.parametrize("operand", [0, 1, 4])
def test_distances_between_parts_are_relocated(binder64: Binder, operand: int) -> None:
    """From the place's part to the other; the instruction may end with an operand behind them."""
    to_data = PAGE + 8 - (PLACE + 4 + operand)
    reason, found = relocated(binder64, PLACE, struct.pack("<i", to_data), moved(PLACE, True, "DISTANCE"))
    assert reason == ""
    assert struct.unpack("<i", found) == (DATA + 8 - (TEXT + PLACE + 4 + operand),)
    to_text = PLACE - (PAGE + 8 + 4 + operand)
    reason, found = relocated(
        binder64, PAGE + 8, struct.pack("<i", to_text), moved(PAGE + 8, False, "DISTANCE")
    )
    assert reason == ""
    assert struct.unpack("<i", found) == (TEXT + PLACE - (DATA + 8 + 4 + operand),)


@pytest.mark.parametrize(
    ("content", "relocation"),
    [
        (struct.pack("<Q", 0x4000), moved(PAGE + 8, False, "LONG")),
        (struct.pack("<i", 8), moved(PAGE + 8, True, "DISTANCE")),  # to its own part
        (struct.pack("<i", 0x10000), moved(PAGE + 8, False, "DISTANCE")),
    ],
)
def test_what_refers_elsewhere_is_refused(binder64: Binder, content: bytes, relocation: int) -> None:
    assert "does not refer to its" in relocated(binder64, PAGE + 8, content, relocation)[0]


def test_forms_of_the_other_machine_are_refused(tmp_path: Path) -> None:
    for form in ("LONG", "DISTANCE"):
        reason, _ = relocated(binder(tmp_path), PAGE + 8, bytes(8), moved(PAGE + 8, True, form))
        assert reason == "one of its relocations is of an unknown form"


def nothing_is_bound(provider: Loaded, length: int, behind: str, prefix: bytes, size: int) -> None:
    """A site of a call that is nothing, in front of an instruction of `size` bytes that takes the prefix, if
    there is one."""
    before, sites = kernel((0, 2, length))
    rest = bytes.fromhex(behind)
    before = before[:length] + rest + before[length + len(rest) :]
    reason, code, counts = provider.bind(before, sites)
    assert (reason, counts) == ("", (0, 0, 1))
    assert code[:length] == (prefix * length if prefix and length + size <= 15 else nops(length))
    assert code[length:] == before[length:]


@pytest.mark.parametrize(
    ("behind", "prefix", "size"),
    [
        ("4889c2", b"\x2e", 3),  # mov %rax, %rdx
        ("4c63c7", b"\x2e", 3),  # movslq %edi, %r8
        ("48c7c001000000", b"\x2e", 7),  # mov $1, %rax
        ("48b80102030405060708", b"\x2e", 10),  # movabs
        ("488d0510000000", b"\x2e", 7),  # lea 16(%rip), %rax: makes an address only
        ("488d04c5efbeadde", b"\x2e", 8),  # lea disp32(, %rax, 8), %rax
        ("4154", b"\x2e", 2),  # push %r12
        ("48c3", b"\x2e", 2),
        ("488b442408", b"\x36", 5),  # mov 8(%rsp), %rax
        ("48c744241001000000", b"\x36", 9),  # movq $1, 16(%rsp)
        ("498b442408", b"", 5),  # mov 8(%r12), %rax: no frame
        ("488b0510000000", b"", 7),  # mov 16(%rip), %rax: memory
        ("488b00", b"", 3),
        ("c7f800000000", b"", 6),  # xbegin
    ],
)
def test_site_of_nothing_before_rex(binder64: Binder, behind: str, prefix: bytes, size: int) -> None:
    """REX and its register, operands relative to RIP: an instruction is as long as the processor finds it."""
    provider = Loaded(binder64, synthetic(CALLS))
    for length in range(5, 16):
        nothing_is_bound(provider, length, behind, prefix, size)


def test_prefixes_stand_in_front_of_rex(binder64: Binder) -> None:
    inline = bytes.fromhex("440f22c0")  # mov %rax, %cr8
    provider = Loaded(binder64, synthetic([Call(0, NONE, inline)]))
    assert provider.bind(*kernel((0, 0, 5)))[1][:5] == b"\x3e" + inline


# ---- slots ----


def test_slots_lead_to_the_provider(provider: Loaded) -> None:
    reason, slots = provider.slots(ORDINALS)
    assert reason == ""
    for ordinal in range(len(slots) // SLOT):
        slot = slots[ordinal * SLOT :][:SLOT]
        wanted = b""
        if ordinal in ORDINALS:
            wanted = branch(0xE9, SLOTS + ordinal * SLOT, target(provider.image.raw, ordinal))
        assert slot == wanted.ljust(SLOT, b"\xcc")


@pytest.mark.parametrize("missing", [3, 128, 130])
def test_provider_must_have_every_call(provider: Loaded, missing: int) -> None:
    assert provider.slots(ORDINALS | {missing})[0] == "it lacks a call of the interface"


def test_provider_may_have_more_calls(provider: Loaded) -> None:
    assert provider.slots({0, 129})[0] == ""


@pytest.mark.parametrize(
    "ordinals", [(), (NEWER,), (NEWER, NEWER + 1, 0xFFFF), tuple(range(NEWER, NEWER + 200))]
)
def test_provider_of_a_later_minor_version(binder: Binder, ordinals: tuple[int, ...]) -> None:
    """Calls that nobody here knows are passed over, however many; the others are found as ever."""
    image = bytes(later(synthetic(CALLS), *ordinals))
    loaded = Loaded(binder, image)
    assert loaded.refused == ""
    assert loaded.rom.calls_count == len(CALLS) + len(ordinals)
    reason, slots = loaded.slots(ORDINALS)
    assert reason == ""
    for ordinal in ORDINALS:
        wanted = branch(0xE9, SLOTS + ordinal * SLOT, target(image, ordinal))
        assert slots[ordinal * SLOT :][: len(wanted)] == wanted
    reason, text, data = loaded.load()
    assert reason == ""
    assert struct.unpack_from("<I", text, get(image, "X_PROBE") + 1)[0] == DATA + 8
    assert struct.unpack_from("<2I", data) == (TEXT + get(image, "X_START"), DATA + loaded.rom.memory_size)


# ---- sites ----


@pytest.mark.parametrize("length", range(5, 16))
def test_instructions_fill_a_site_by_prefixes_and_nops(provider: Loaded, length: int) -> None:
    """A DS override, which says what is so anyhow, makes them as long as a call; beyond are nops."""
    for ordinal, wanted in ((0, b"\x3e\x3e\x3e" + CPUID), (17, b"\x3e\x3e" + SET_CR3)):
        before, sites = kernel((8, ordinal, length))
        reason, code, counts = provider.bind(before, sites)
        assert (reason, counts) == ("", (1, 0, 0))
        assert code[8 : 8 + length] == wanted + nops(length - 5)
        assert code[:8] + code[8 + length :] == before[:8] + before[8 + length :]


@pytest.mark.parametrize("first", bytes.fromhex("262e363e6465707fc2c3cccdcfe8e9ebff"))
def test_what_takes_no_prefix_is_filled_by_nops(binder: Binder, first: int) -> None:
    inline = bytes([first, 0xC0])
    provider = Loaded(binder, synthetic([Call(0, NONE, inline)]))
    assert provider.bind(*kernel((0, 0, 7)))[1][:7] == inline + nops(5)


def test_instructions_of_the_length_of_a_site_are_put_as_they_are(binder: Binder) -> None:
    for length in range(5, 16):
        inline = bytes(range(0x40, 0x40 + length))
        provider = Loaded(binder, synthetic([Call(0, NONE, inline)]))
        assert provider.bind(*kernel((3, 0, 15)))[1][3:18] == inline + nops(15 - length)


@pytest.mark.parametrize("length", range(5, 16))
def test_site_becomes_a_direct_call(provider: Loaded, length: int) -> None:
    reason, code, counts = provider.bind(*kernel((1, 129, length)))
    assert (reason, counts) == ("", (0, 1, 0))
    assert code[1 : 1 + length] == branch(0xE8, CODE + 1, target(provider.image.raw, 129)) + nops(length - 5)


def test_instructions_that_do_not_fit_are_called(binder: Binder) -> None:
    provider = Loaded(binder, synthetic([Call(0, NONE, bytes(6))]))
    reason, code, counts = provider.bind(*kernel((0, 0, 5)))
    assert (reason, counts) == ("", (0, 1, 0))
    assert code[:5] == branch(0xE8, CODE, target(provider.image.raw, 0))


def test_form_of_the_processor_is_bound(binder: Binder) -> None:
    """The first whose feature is there; on processors with none of them what the table of calls says."""
    fast, wide = (7, 0, 1, 3), (0x80000001, 2, 3, 31)
    calls = [Call(0, NONE, CPUID), Call(17, NONE, SET_CR3), Call(129)]
    forms = [
        Form(0, fast, NONE, b"\x0f\x01\xcb"),
        Form(0, wide, NOP),
        Form(17, wide),
        Form(129, wide, NONE, b"\x0f\x01\xca"),
    ]
    image = synthetic(calls, forms=forms)

    def bound(*features: tuple[int, int, int, int]) -> list[bytes]:
        provider = Loaded(binder, image)
        provider.choose(*features)
        reason, code, _ = provider.bind(*kernel((0, 0, 5), (5, 17, 5), (10, 129, 5)))
        assert reason == ""
        return [code[0:5], code[5:10], code[10:15]]

    calls_of = [branch(0xE8, CODE + at, target(image, n)) for at, n in ((0, 0), (5, 17), (10, 129))]
    plain = [b"\x3e\x3e\x3e" + CPUID, b"\x3e\x3e" + SET_CR3, calls_of[2]]
    assert bound() == plain
    assert bound(fast) == [b"\x3e\x3e\x0f\x01\xcb", *plain[1:]]
    assert bound(fast, wide) == [b"\x3e\x3e\x0f\x01\xcb", calls_of[1], b"\x3e\x3e\x0f\x01\xca"]
    assert bound(wide) == [b"\x2e" * 5, calls_of[1], b"\x3e\x3e\x0f\x01\xca"]
    assert bound((7, 0, 1, 2), (7, 1, 1, 3)) == plain


# Bound again, on another processor

FAST, WIDE = (7, 0, 1, 3), (0x80000001, 2, 3, 31)
CLAC, LOAD = b"\x0f\x01\xca", b"\xb8\x01\x00\x00\x00"  # the second takes prefixes: mov $1, %eax
FORMED = synthetic(
    [Call(0, NONE, CPUID), Call(2, NOP), Call(17, NONE, LOAD), Call(40, NOP), Call(129)],
    forms=[
        Form(0, FAST, NONE, CLAC, number=3),
        Form(0, WIDE, NOP, number=4),
        Form(17, WIDE, number=4),
        Form(40, FAST, NONE, CLAC, number=3),
        Form(129, WIDE, NONE, CLAC, number=4),
        Form(129, FAST, NONE, bytes(6), number=3),
    ],
)
"""Calls that become instructions, nothing and calls of the provider, in and out of the features; 2 is nothing
always, and prefixes of what follows it if that takes them."""
ROW = [(0, 2, 5), (5, 17, 5), (10, 40, 5), (15, 2, 7), (22, 0, 9), (31, 40, 5), (36, 129, 15), (51, 2, 5)]
Features = tuple[tuple[int, int, int, int], ...]
PROCESSORS: list[Features] = [(), (FAST,), (WIDE,), (FAST, WIDE)]


def bound_by(binder: Binder, features: Features, without: int = 0) -> bytes:
    provider = Loaded(binder, FORMED)
    provider.choose(*features, without=without)
    reason, code, _ = provider.bind(*kernel(*ROW))
    assert reason == ""
    return code


@pytest.mark.parametrize("after", PROCESSORS, ids=["none", "fast", "wide", "both"])
@pytest.mark.parametrize("before", PROCESSORS, ids=["none", "fast", "wide", "both"])
def test_bound_again_as_if_it_had_started_there(binder: Binder, before: Features, after: Features) -> None:
    """Every byte of the code, from each processor to each other, and back."""
    provider, code = Loaded(binder, FORMED), bound_by(binder, before)
    assert (code == bound_by(binder, after)) == (before == after)
    provider.choose(*before)
    old = bytes(provider.rom.form_at)
    provider.choose(*after)
    new = bytes(provider.rom.form_at)
    assert provider.bind_again(code, kernel(*ROW)[1], old, write=False) == ("", code)
    reason, code = provider.bind_again(code, kernel(*ROW)[1], old)
    assert (reason, code) == ("", bound_by(binder, after))
    provider.choose(*before)
    assert provider.bind_again(code, kernel(*ROW)[1], new) == ("", bound_by(binder, before))


def test_features_that_are_left_out_count_as_absent(binder: Binder) -> None:
    assert bound_by(binder, (FAST, WIDE), 1 << 3) == bound_by(binder, (WIDE,))
    assert bound_by(binder, (FAST, WIDE), 1 << 4) == bound_by(binder, (FAST,))
    assert bound_by(binder, (FAST, WIDE), 0xFFFFFFFF) == bound_by(binder, ())
    assert bound_by(binder, (FAST, WIDE), 0xFFFFFFE7) == bound_by(binder, (FAST, WIDE))


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (Site(CODE + 64, 0, 5), "a call site is outside the kernel's text"),
        (Site(CODE + 60, 0, 5), "a call site is outside the kernel's text"),
        (Site(CODE - 1, 0, 5), "a call site is outside the kernel's text"),
        (Site(CODE + 56, 0, 4), "a call site has an impossible length"),
        (Site(CODE, 0, 16), "a call site has an impossible length"),
        (Site(CODE, 1, 5), "a call site is for a call that the provider does not have"),
        (Site(CODE, 0xFFFF, 5), "a call site is for a call that the provider does not have"),
        (Site(CODE + 56, 0, 5), "a call site does not hold what binding left there"),
        (Site(CODE + 56, 40, 5), "a call site does not hold what binding left there"),
        (Site(CODE + 56, 129, 5), "a call site does not hold what binding left there"),
    ],
)
def test_bound_again_holds_records_to_what_they_say(binder: Binder, site: Site, reason: str) -> None:
    """As at the start, and beyond: what is written over is what was written there."""
    provider, code = Loaded(binder, FORMED), bound_by(binder, (FAST,))
    provider.choose(FAST)
    old = bytes(provider.rom.form_at)
    provider.choose(WIDE)
    for sites in ([site, *kernel(*ROW)[1]], [*kernel(*ROW)[1], site]):
        assert provider.bind_again(code, sites, old) == (reason, code)


@pytest.mark.parametrize("at", [22, 23, 26, 30, 36, 37, 50])
def test_site_that_was_changed_since_is_left(binder: Binder, at: int) -> None:
    """A debugger's breakpoint, for example; then no other site is written either."""
    provider, code = Loaded(binder, FORMED), bytearray(bound_by(binder, ()))
    code[at] ^= 0xFF
    old = bytes(provider.rom.form_at)
    provider.choose(FAST, WIDE)
    reason, now = provider.bind_again(bytes(code), kernel(*ROW)[1], old)
    assert (reason, now) == ("a call site does not hold what binding left there", bytes(code))


@pytest.mark.parametrize("length", range(5, 16))
@pytest.mark.parametrize(
    ("behind", "prefix", "size"),
    [
        ("f4", b"\x2e", 1),  # hlt
        ("89c2", b"\x2e", 2),  # mov %eax, %edx
        ("8b442408", b"\x36", 4),  # mov 8(%esp), %eax
        ("8b00", b"", 2),  # mov (%eax), %eax
        ("74fe", b"", 2),  # je
        ("0f1f00", b"", 3),  # nop, with an operand
        ("2e8b00", b"", 3),  # mov %cs:(%eax), %eax
    ],
)
def test_site_of_nothing(provider: Loaded, length: int, behind: str, prefix: bytes, size: int) -> None:
    """Prefixes of the instruction behind, where these say nothing and it stays within 15 bytes; else nops."""
    nothing_is_bound(provider, length, behind, prefix, size)


def test_site_of_nothing_at_the_end(provider: Loaded) -> None:
    reason, code, _ = provider.bind(*kernel((64 - 5, 2, 5)))
    assert reason == ""
    assert code[64 - 5 :] == nops(5)


def test_sites_of_nothing_in_a_row(provider: Loaded) -> None:
    """Two of them are prefixes of one instruction, three are too many for it."""
    _, code, counts = provider.bind(*kernel((0, 2, 5), (5, 2, 5), (10, 2, 5)))
    assert counts == (0, 0, 3)
    assert code[:16] == nops(5) + b"\x2e" * 10 + b"\xf4"


def test_jump_stays_a_jump(binder: Binder) -> None:
    """Whatever kind the call is of: nothing comes back from a jump, so that it is never left out."""
    provider = Loaded(binder, synthetic([Call(0), Call(1, JUMP), Call(2, NOP), Call(3, NONE, IRET)]))
    for ordinal in (0, 1, 2):
        reason, code, counts = provider.bind(*kernel((0, ordinal, 5), jump=True))
        assert (reason, counts) == ("", (0, 1, 0))
        assert code[:5] == branch(0xE9, CODE, target(provider.image.raw, ordinal))
    assert provider.bind(*kernel((0, 3, 5), jump=True))[1][:5] == IRET + nops(4)


def test_sites_of_each_kind_are_counted(provider: Loaded) -> None:
    before, sites = kernel(*((index * 8, call.ordinal, 5) for index, call in enumerate(CALLS)))
    reason, code, counts = provider.bind(before, sites)
    assert (reason, counts) == ("", (3, 2, 1))
    assert all(code[at] == 0xF4 for at in range(64) if at % 8 > 4 or at >= 48)


def stays(provider: Loaded, before: bytes, sites: list[Site]) -> str:
    """The reason to stop; nothing may have changed."""
    reason, after, _ = provider.bind(before, sites)
    assert after == before
    return reason


def test_binding_twice_is_refused(provider: Loaded) -> None:
    before, sites = kernel((0, 0, 5), (8, 1, 5), (16, 2, 5), (24, 17, 11))
    _, after, _ = provider.bind(before, sites)
    for site in sites:
        assert stays(provider, after, [site]) == "a call site was bound before, or is no call of its slot"


def test_site_that_holds_something_else_is_refused(provider: Loaded) -> None:
    before, sites = kernel((0, 0, 5), (8, 1, 5))
    sites[1].ordinal = 2
    assert stays(provider, before, sites) == "a call site was bound before, or is no call of its slot"
    before, sites = kernel((0, 0, 5))
    assert stays(provider, b"\x90" * 64, sites) == "a call site was bound before, or is no call of its slot"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("offset", [0, 5, 9])
def test_overlapping_sites_are_refused(provider: Loaded, offset: int, order: int) -> None:
    """In whichever order they are recorded."""
    code, sites = kernel((0, 17, 10), (offset, 17, 10))
    reason, _, _ = provider.bind(code, sites[::order])
    assert reason in ("two call sites overlap", "a call site was bound before, or is no call of its slot")


def test_neighbours_do_not_overlap(provider: Loaded) -> None:
    before, sites = kernel((0, 17, 11), (11, 17, 5), (16, 0, 15))
    assert provider.bind(before, sites[::-1])[0] == ""


@pytest.mark.parametrize("offset", [-1, 60, 64, 1 << 20, -(1 << 20)])
def test_site_outside_the_text_is_refused(provider: Loaded, offset: int) -> None:
    before, sites = kernel((0, 0, 5))
    sites.append(Site(CODE + offset, 0, 5, 0))
    assert stays(provider, before, sites) == "a call site is outside the kernel's text"


def test_site_at_the_end_of_the_text(provider: Loaded) -> None:
    assert provider.bind(*kernel((59, 0, 5)))[0] == ""
    assert stays(provider, *kernel((59, 0, 6))) == "a call site is outside the kernel's text"


@pytest.mark.parametrize("length", [0, 1, 4, 16, 255])
def test_site_of_impossible_length_is_refused(provider: Loaded, length: int) -> None:
    before, sites = kernel((0, 0, 5))
    sites[0].length = length
    assert stays(provider, before, sites) == "a call site has an impossible length"


@pytest.mark.parametrize("ordinal", [3, 41, 0xFFFF])
def test_site_of_a_call_that_there_is_not_is_refused(provider: Loaded, ordinal: int) -> None:
    wanted = "a call site is for a call that the provider does not have"
    assert stays(provider, *kernel((0, ordinal, 5))) == wanted


def test_tool_shows_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever file it is given."""
    good, bad = tmp_path / "good.rom", tmp_path / "bad.rom"
    good.write_bytes(synthetic(CALLS))
    assert vmirom.main(["show", str(good)]) == 0
    assert re.fullmatch(r"synthetic: i386, 4608 bytes, .* 4 relocations, 6 calls\n", capsys.readouterr().out)
    for content in (b"", bytes(4096), *(broken.of(synthetic(CALLS)) for broken in BROKEN)):
        bad.write_bytes(content)
        status = vmirom.main(["show", str(good), str(bad)])
        out, err = capsys.readouterr()
        if status:
            assert (out, err) == ("", f"vmirom: {bad} is no provider image\n")
        else:
            assert out.count("\n") == 2 and not err
