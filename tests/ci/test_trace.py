# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi trace`: rings invented here, sound and not, and their calls in words."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from ci import trace
from ci.build import kernels, tree
from ci.calls import Interface, chosen
from ci.chrome import document
from ci.elf_core import PAGE, Dump, Piece
from ci.rig import Rig
from ci.ring import (
    ANSWER,
    BESIDES,
    ELEMENT,
    ENTER,
    HYPERCALL,
    JUMPED,
    LEAVE,
    LISTED,
    MAGIC,
    NONE,
    RESULT,
    VERSION,
    Call,
    Followed,
    Hypercall,
    Pairing,
    Shape,
    entries,
    find,
)
from ci.run import Wanted
from ci.trace import Form, line, prepare, write
from ci.util import ARCHITECTURES, ROOT, UserError

I386, X86_64 = ARCHITECTURES
ORDINALS, RECORDS, RECORD_BYTES = 205, 8, 80
HEADER_BYTES = 888
FREQUENCY = 1000


def record(
    sequence: int, kind: int, number: int, frame: int, *values: int, words: int = -1, caller: int = 0xC0100000
) -> bytes:
    """As runtime/traced/ring.h has it; made at the time 10 * sequence on CPU 3."""
    filled = [*values, *[0xBAD] * (5 - len(values))]
    count = len(values) if words < 0 else words
    return struct.pack(
        "<2I2HI8Q", sequence & 0xFFFFFFFF, number, 3, count, kind, 10 * sequence, frame, caller, *filled
    )


def ring(made: list[bytes], *, begun: int | None = None, **other: int) -> bytes:
    """A ring with these records at its beginning."""
    header = {
        "version": VERSION, "header_bytes": HEADER_BYTES, "record_bytes": RECORD_BYTES, "records": RECORDS,
        "word_bits": 32, "ordinals": ORDINALS, "next": (len(made) if begun is None else begun) & 0xFFFFFFFF,
        "wraps": (begun or 0) >> 32,
    } | other  # fmt: skip
    counts = [0] * ORDINALS
    counts[0] = 7
    data = struct.pack(f"<24s8IQ{ORDINALS}I", MAGIC, *header.values(), FREQUENCY, *counts)
    return data.ljust(HEADER_BYTES, b"\0") + b"".join(made).ljust(RECORDS * RECORD_BYTES, b"\0")


def memory(*pages: tuple[int, bytes], size: int = 16, first: int = 0) -> Dump:
    """Memory with something at some pages; in the dump it begins anywhere."""
    data = bytearray(size * PAGE)
    for page, what in pages:
        data[page * PAGE : page * PAGE + len(what)] = what
    return Dump(b"\xff" * 100 + bytes(data), [Piece(first, size * PAGE, 100)], [])


@pytest.fixture(params=ARCHITECTURES)
def interface(request: pytest.FixtureRequest) -> Interface:
    return Interface.built(tree(str(request.param)))


def ordinal(interface: Interface, name: str) -> int:
    return next(number for number, call in interface.calls.items() if call["name"] == name)


def test_calls_come_back_by_their_frame() -> None:
    """One interrupts another; one never comes back, and its frame is used again."""
    found = find(
        memory((3, ring([
            record(0, LEAVE, 5, 0x900),  # whose beginning is not in the ring
            record(1, ENTER, 1, 0x1000, 11, 12),
            record(2, ENTER, 2, 0xF00),
            record(3, LEAVE, 2, 0xF00, 13),
            record(4, LEAVE, 1, 0x1000),
            record(5, ENTER, 33, 0xF00),
            record(6, ENTER, 1, 0xF00),
            record(7, LEAVE, 33, 0xF00),  # not what is under way there
        ])))
    )  # fmt: skip
    assert (found.begun, found.lost, found.damaged, found.frequency) == (8, 0, 0, FREQUENCY)
    assert found.counts[0] == 7
    assert entries(found.records, {}) == [
        Call(1, 3, 10, 0xC0100000, [11, 12], 40, []),
        Call(2, 3, 20, 0xC0100000, [], 30, [13]),
        Call(33, 3, 50, 0xC0100000, []),
        Call(1, 3, 60, 0xC0100000, []),
    ]


def test_hypercalls_belong_to_the_call_above_them() -> None:
    """By their frames, as far as the call's stack goes; those of no call stand by themselves."""
    shapes = {1: Shape(256), 2: Shape(64)}
    found = find(
        memory((3, ring([
            record(0, HYPERCALL, 70000, 0x5000),  # when the library starts
            record(1, ANSWER, 0, 0x5000, 7),
            record(2, ENTER, 1, 0x1000),
            record(3, ENTER, 2, 0xF00),  # by an interrupt
            record(4, HYPERCALL, 12, 0xF00 - 64 - BESIDES, 1, 2),
            record(5, HYPERCALL, 13, 0xF00 - 64 - BESIDES - 1),  # further below than the inner one may be
            record(6, ANSWER, 0, 0xF00 - 64 - BESIDES - 1, 0),
            record(7, HYPERCALL, 14, 0x1001),  # above the outer one
        ])))
    )  # fmt: skip
    made = entries(found.records, shapes)
    assert found.damaged == 0
    start, outer, inner, deep, above = made
    assert start == Hypercall(70000, 3, 0, [], 10, 7)
    assert isinstance(outer, Call) and isinstance(inner, Call)
    assert outer.hypercalls == []
    assert inner.hypercalls == [Hypercall(12, 3, 40, [1, 2])]
    assert deep == Hypercall(13, 3, 50, [], 60, 0) and above == Hypercall(14, 3, 70, [])


def test_hypercalls_of_a_jump_are_its_own() -> None:
    """It never comes back: what it has led to is not taken for its own."""
    shapes = {1: Shape(512), 33: Shape(512, jump=True)}
    found = find(
        memory((3, ring([
            record(0, ENTER, 1, 0x1000),
            record(1, ENTER, 33, 0xF00),  # the end of an interrupt that came within
            record(2, HYPERCALL, 4, 0xE80),  # of the call that goes on
            record(3, ANSWER, 0, 0xE80, 0),
            record(4, ENTER, 33, 0x2000),
            record(5, HYPERCALL, 13, 0x1F00),  # what was kept back is carried out before
            record(6, ANSWER, 0, 0x1F00, 0),
            record(7, HYPERCALL, 23, 0x2000 - JUMPED),  # which it is
            record(8, HYPERCALL, 5, 0x1F00),  # of an interrupt after it
            record(9, HYPERCALL, 6, 0xF00),  # the jump there is over
        ], records=16)))
    )  # fmt: skip
    made = entries(found.records, shapes)
    outer, first, second, other = made
    assert isinstance(outer, Call) and isinstance(first, Call) and isinstance(second, Call)
    assert [each.number for each in outer.hypercalls] == [4, 6] and first.hypercalls == []
    assert [each.number for each in second.hypercalls] == [13, 23]
    assert isinstance(other, Hypercall) and other.number == 5


@pytest.mark.parametrize("before", [8, 8 * 1000, (1 << 32) - 8, 1 << 32, 3 << 32])
def test_later_records_stand_in_place_of_others(before: int) -> None:
    """Also where their numbers go round."""
    later = [record(before + n, ENTER, n, n) for n in range(3)]
    old = [record(before - 8 + n, ENTER, n, n) for n in range(3, 8)]
    found = find(memory((0, ring(later + old, begun=before + 3))))
    assert (found.begun, found.lost, found.damaged) == (before + 3, before - 5, 0)
    assert [each.number for each in found.records] == [3, 4, 5, 6, 7, 0, 1, 2]


def test_damaged_records_are_counted_and_left_out() -> None:
    found = find(memory((0, ring([
        record(0, NONE, 1, 0),  # was being written
        record(1, 17, 1, 0),
        record(9, ENTER, 1, 0),
        record(3, ENTER, ORDINALS, 0),
        record(4, ENTER, 1, 0, words=6),
        record(5, ENTER, 1, 0, words=0xFFFF),
        b"\xff" * RECORD_BYTES,
        record(7, ENTER, 1, 0),
    ]))))  # fmt: skip
    assert (len(found.records), found.damaged) == (1, 7)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"version": 1}, "version 1, expected 3"),
        ({"header_bytes": 0}, "a header of 0 bytes for 205 ordinals"),
        ({"ordinals": 0xFFFFFFFF}, "for 4294967295 ordinals"),
        ({"ordinals": 0}, "for 0 ordinals"),
        ({"record_bytes": 0}, "records of 0 bytes"),
        ({"word_bits": 16}, "words of 16 bits"),
        ({"records": 0}, "0 records, expected a power of two"),
        ({"records": 7}, "7 records, expected a power of two"),
        ({"records": 1 << 31}, "2147483648 records, expected a power of two up to"),
        ({"records": 1024}, "1024 records, more than there is memory behind it"),
    ],
)
def test_a_header_that_does_not_hold_together_is_refused(other: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=f"is damaged.*{said}"):
        find(memory((3, ring([], **other))))


def test_the_fullest_sound_ring_is_taken() -> None:
    """Not a damaged one before it, nor what begins within a page or ends behind the memory."""
    one, two = [record(0, ENTER, 1, 0)], [record(0, ENTER, 2, 0), record(1, LEAVE, 2, 0)]
    pages = ((1, ring(one)), (2, ring(two * 4, version=9)), (4, ring(two)))
    found = find(memory(*pages, size=16, first=7 * PAGE))
    assert [each.number for each in found.records] == [2, 2]
    with pytest.raises(UserError, match="there is no ring in the kernel's memory"):
        find(memory((1, b"\0" * 8 + ring(two))))
    cut = ring(two)[:-1]
    with pytest.raises(UserError, match="8 records, more than there is memory behind it"):
        find(Dump(cut, [Piece(0, len(cut), 0)], []))


def test_a_ring_whose_frames_do_not_follow_each_other_is_refused() -> None:
    """Records of other pages are none, or of another number."""
    whole = ring([record(n, ENTER, n % 200, n) for n in range(256)], records=256)
    whole = whole.ljust(HEADER_BYTES + 256 * RECORD_BYTES, b"\0")
    assert len(find(memory((1, whole))).records) == 256
    pages = [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]
    (apart := pages.copy())[1:] = reversed(pages[1:])
    with pytest.raises(UserError, match=r"\d+ of the ring's 256 records are none: its frames do not follow"):
        find(memory((1, b"".join(apart))))


def followed() -> tuple[bytearray, Followed]:
    """The memory of a guest that runs, with nothing in it yet, and the ring that will be there."""
    data = bytearray(16 * PAGE)
    return data, Followed(Dump(memoryview(data), [Piece(0, len(data), 0)], []))  # type: ignore[arg-type]


def put(data: bytearray, content: bytes) -> None:
    """The guest has its ring so."""
    data[3 * PAGE : 3 * PAGE + len(content)] = content


@pytest.mark.parametrize("before", [0, 8 * 1000, (1 << 32) - 8])
def test_a_ring_is_followed(before: int) -> None:
    """Each record comes once; one that is being written is waited for, those that are gone are counted."""
    data, ring_there = followed()
    assert ring_there.take() == []
    assert not ring_there.found
    made = [record(before + n, ENTER, n, n) for n in range(3)]
    old = [record(before - 8 + n, ENTER, n, n) for n in range(2, 8)] if before else []
    put(data, ring(made[:1] + [record(before + 1, NONE, 1, 1)] + old, begun=before + 2))
    assert [each.number for each in ring_there.take()] == [each for each in range(2, 8) if before] + [0]
    assert ring_there.ring().lost == max(0, before + 2 - RECORDS)
    assert ring_there.take() == []
    put(data, ring(made + old[1:], begun=before + 3))
    assert [each.number for each in ring_there.take()] == [1, 2]
    lost = ring_there.ring().lost
    # Once round and two further: the record after the last one that was read is gone.
    round_on = [record(before + 8 + n, LEAVE, n, n) for n in range(4)]
    rest = [record(before + n, ENTER, n, n) for n in range(4, 8)]
    put(data, ring(round_on + rest, begun=before + 12))
    assert [each.number for each in ring_there.take()] == [4, 5, 6, 7, 0, 1, 2, 3]
    assert ring_there.ring().lost == lost + 1
    put(data, ring([*round_on, record(before + 12, NONE, 1, 1)], begun=before + 13))
    assert ring_there.take() == []
    assert ring_there.take(last=True) == []
    assert (ring_there.ring().damaged, ring_there.ring().begun) == (1, before + 13)


def test_calls_are_over_in_the_order_in_which_they_come_back() -> None:
    found = find(memory((3, ring([
        record(0, ENTER, 1, 0x1000),
        record(1, ENTER, 2, 0xF00),
        record(2, LEAVE, 2, 0xF00),
        record(3, ENTER, 33, 0xF00),
        record(4, LEAVE, 1, 0x1000),
        record(5, ENTER, 4, 0xF00),  # in whose place 33 never comes back
        record(6, ENTER, 5, 0xE00),
    ]))))  # fmt: skip
    pairing = Pairing({})
    over = [call for each in found.records if (call := pairing.feed(each)[1])]
    assert [(call.ordinal, call.ended) for call in over] == [(2, 20), (1, 40), (33, None)]
    assert [(call.ordinal, call.ended) for call in pairing.rest()] == [(4, None), (5, None)]


def words_of(interface: Interface, name: str, *words: int, results: tuple[int, ...] | None = None) -> str:
    call = Call(ordinal(interface, name), 0, 2000, 0, words)
    if results is not None:
        call.ended, call.results = 2042, results
    return line(call, interface, 1000, FREQUENCY)


def test_words(interface: Interface) -> None:
    wide = interface.calls[0]["arguments"][0]["registers"] == ["rax"]
    pages = words_of(interface, "AllocatePage", 0x41, 0x31, 7, 256, 1024, results=())
    assert pages == (
        "   1.000000000   0 AllocatePage(pfn=0x41, flags=VMI_PAGE_PT|VMI_PAGE_PAE|VMI_PAGE_CLONE, "
        "origin=0x7, first=256, count=0x400) <42>"
    )
    value = (0x8000000012345067,) if wide else (0x12345067, 0x80000000)
    number = "value=0x8000000012345067" if wide else "low=0x12345067, high=0x80000000"
    assert words_of(interface, "SetPxELong", *value, 0x9000, 0x32) == (
        f"   1.000000000   0 SetPxELong({number}, entry=0x9000, "
        "flags=VMI_PXE_CURRENT_AS|VMI_PXE_DEFER|VMI_PAGE_PD) = ?"
    )
    for bits, name in ((0xFFFFFFFF, "VMI_CPUS_ALL"), (1 << 33 | 2, "2")):
        assert f"bits={name}," in words_of(interface, "SendIPI", 0xC0000000, bits, 64, 0)
    assert "VMI_PAGE_PT|0x4000" in words_of(interface, "SetPxELong", *value, 0x9000, 0x4001)
    # Halves of a number, whatever else is in the registers.
    halves = (0xDEADBEEF00000001, 0xDEADBEEF00000002) if wide else (1, 2)
    assert words_of(interface, "RDMSR", 0x10, results=halves).endswith("(index=16) = 0x200000001 <42>")
    several = words_of(interface, "CPUID", 0x80000000, 0, results=(1, 2, 3, 0xABCD))
    assert several.endswith("CPUID(leaf=0x80000000, subleaf=0) = eax=1, ebx=2, ecx=3, edx=0xabcd <42>")
    assert words_of(interface, "EventUnmask", 5, results=((1 << 32) - 22,)).endswith("= VMI_EINVAL <42>")
    assert words_of(interface, "EventUnmask", 5, results=((1 << 32) - 1000,)).endswith("= -1000 <42>")
    assert "(how=VMI_REBOOT_" in words_of(interface, "Reboot", 0)


def test_words_of_what_is_none(interface: Interface) -> None:
    """A record may have fewer words than its call, or be of no call."""
    assert words_of(interface, "AllocatePage", 1).endswith("AllocatePage(pfn=0x1) = ?")
    assert words_of(interface, "AllocatePage").endswith("AllocatePage() = ?")
    none = next(number for number in range(ORDINALS) if number not in interface.calls)
    assert line(Call(none, 9, 5, 0, [1, 2], 6, [3]), interface, 0, 0) == (
        f"             5   9 call_{none}() <1>"
    )


def test_words_of_hypercalls(interface: Interface) -> None:
    """By the backend's table; a result has a sign, and a register may hold more than its argument."""
    spec = {
        "calls": [], "constants": [], "architecture": {"word_bits": interface.word_bits},
        "types": [
            {"name": "u32", "bits": 32, "c": "uint32_t"}, {"name": "buffer", "bits": 64, "c": "void *"},
        ],
    }  # fmt: skip
    argument = {"registers": ["any"]}
    tables = [{"number": 12, "name": "memory_op", "arguments": [
        argument | {"name": "command", "type": "u32"}, argument | {"name": "argument", "type": "buffer"},
    ]}]  # fmt: skip
    known = Interface(spec, tables)
    top = 1 << interface.word_bits
    words = [line(each, known, 0, 0) for each in (
        Hypercall(12, 1, 5, [0xF00000007, 0x9000, 3], 9, top - 22),
        Hypercall(12, 1, 5, [7], 9, 0x123456),
        Hypercall(13, 1, 5, [7]),
    )]  # fmt: skip
    assert words == [
        "             5   1   > memory_op(command=7, argument=0x9000) = -22 <4>",
        "             5   1   > memory_op(command=7) = 0x123456 <4>",
        "             5   1   > hypercall_13() = ?",
    ]


def test_what_is_in_lists(interface: Interface, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Below the hypercall that carries it out, with the call that has put it there if that is another one."""
    spec = {
        "calls": list(interface.calls.values()), "constants": [],
        "architecture": {"word_bits": interface.word_bits},
        "types": [{"name": "u32", "bits": 32, "c": "uint32_t"}, {"name": "u64", "bits": 64, "c": "uint64_t"}],
    }  # fmt: skip
    one = {"registers": ["any"], "type": "u32"}
    known = Interface(spec, [
        {"number": 13, "name": "all", "arguments": [one | {"name": "count"}], "elements": []},
        {"number": 1, "name": "update", "arguments": [one | {"name": "count"}],
         "elements": [{"name": "place", "type": "u64"}, {"name": "entry", "type": "u64"}]},
        {"number": 3, "name": "switch", "arguments": [one | {"name": "stack"}], "elements": []},
    ])  # fmt: skip
    lazy, own = ordinal(interface, "SetLazyMode") + 1, ordinal(interface, "SetPxELong") + 1
    bad = (1 << interface.word_bits) - 22
    sound = find(memory((0, ring([
        record(0, ENTER, lazy - 1, 0x1000),
        record(1, HYPERCALL, 13, 0xF80, 2),
        record(2, LISTED, 1, 0xF80, 1, 9, 9, 9, 9, caller=own),
        record(3, ELEMENT, 1, 0xF80, 0x123456789, 1 << 63, caller=own),
        record(4, LISTED, 3, 0xF80, 0x2000, caller=lazy),
        record(5, RESULT, 0, 0xF80, 0, caller=0),
        record(6, RESULT, 1, 0xF80, bad, caller=0),
        record(7, RESULT, 2, 0xF80, 7, caller=0),  # of what is not there
        record(8, ELEMENT, 1, 0x5000, 1, 2, caller=0),  # of a hypercall whose beginning is lost
        record(9, ANSWER, 0, 0xF80, 0),
        record(10, LEAVE, lazy - 1, 0x1000),
        record(11, HYPERCALL, 1, 0x9000, 1),
        record(12, ELEMENT, 1, 0x9000, 0x10, 0x20, caller=0),
    ], records=16).ljust(HEADER_BYTES + 16 * RECORD_BYTES, b"\0"))))  # fmt: skip
    form = Form(json=tmp_path / "json")
    write(sound, known, form, chosen(known, []), "k")
    shown, _ = capfd.readouterr()
    assert [each[19:] for each in shown.splitlines()[1:]] == [
        "  > all(count=2) = 0 <80>",
        "    - update(count=1) = 0 by SetPxELong",
        "        - place=0x123456789, entry=0x8000000000000000 by SetPxELong",
        "    - switch(stack=0x2000) = -22",
        "  > update(count=1) = ?",
        "    - place=16, entry=32",
    ]  # fmt: skip
    written = json.loads((tmp_path / "json").read_text())
    (made,) = written["calls"][0]["hypercalls"]
    assert [(each["hypercall"], each["call"]) for each in made["listed"]] == [
        ("update", "SetPxELong"), ("switch", "SetLazyMode"),
    ]  # fmt: skip
    assert made["listed"][0]["elements"] == [{"call": "SetPxELong", "values": {
        "place": {"value": 0x123456789, "text": "0x123456789"},
        "entry": {"value": 1 << 63, "text": "0x8000000000000000"},
    }}]  # fmt: skip
    assert made["listed"][1]["results"]["result"]["value"] == -22
    assert written["others"][0]["listed"] == [{"call": None, "values": {
        "place": {"value": 16, "text": "16"}, "entry": {"value": 32, "text": "32"},
    }}]  # fmt: skip


def test_what_is_written(interface: Interface, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = find(memory((0, ring([
        record(100, ENTER, 0, 16, 1, 2), record(101, LEAVE, 0, 16, 1, 2, 3, 4),
        record(102, ENTER, 33, 16),
    ] + [record(95 + n, ENTER, 33, 0) for n in range(5)], begun=103))))  # fmt: skip
    assert (len(found.records), found.damaged) == (0, 8)  # none is where its number says
    sound = find(memory((0, ring([record(0, ENTER, 0, 16, 1, 2), record(1, LEAVE, 0, 16, 1, 2, 3, 4),
                                  record(2, ENTER, 33, 16)]))))  # fmt: skip
    form = Form(["CPU*"], json=tmp_path / "json", output=tmp_path / "text")
    write(sound, interface, form, chosen(interface, form.calls), "k")
    shown, said = capfd.readouterr()
    assert (shown, said) == ("", "vmi: 1 calls of 7\n")
    assert (tmp_path / "text").read_text().split("CPUID")[1].endswith("edx=4 <10>\n")
    written: dict[str, Any] = json.loads((tmp_path / "json").read_text())
    assert written["counts"] == {"CPUID": 7}
    (only,) = written["calls"]
    assert only["arguments"] == {"leaf": {"value": 1, "text": "1"}, "subleaf": {"value": 2, "text": "2"}}
    assert only["results"]["edx"]["value"] == 4 and (only["begun"], only["ended"]) == (0, 10)
    write(found, interface, Form(counts=True), chosen(interface, []), "k")
    shown, said = capfd.readouterr()
    assert shown.splitlines()[1:] == [
        f"         7          ? {'':10} CPUID",
        f"         7 {'':10} {'':10} all",
    ]
    assert said == "vmi: 0 calls of 7; the ring has the last 8 records of 103; 8 records are damaged\n"


def test_calls_with_their_hypercalls_are_written(
    interface: Interface, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sound = find(memory((0, ring([
        record(0, HYPERCALL, 12, 0x9000), record(1, ENTER, 0, 0x1000, 1, 2),
        record(2, HYPERCALL, 9999, 0xF80), record(3, ANSWER, 0, 0xF80, 0),
        record(4, LEAVE, 0, 0x1000, 1, 2, 3, 4), record(5, ENTER, 33, 0x1000),
    ]))))  # fmt: skip
    files = {"json": tmp_path / "json", "chrome": tmp_path / "chrome"}
    for patterns, count, said in (((), 4, "2 calls of 7, 2 hypercalls"),
                                  (("CPU*",), 2, "1 calls of 7, 1 hypercalls")):  # fmt: skip
        form = Form(patterns, **files)
        write(sound, interface, form, chosen(interface, patterns), "k")
        shown, progress = capfd.readouterr()
        assert progress == f"vmi: {said}\n"
        assert len(shown.splitlines()) == count
        assert "CPUID(" in shown and "   3   > hypercall_9999() = 0 <10>\n" in shown
    written = json.loads((tmp_path / "json").read_text())
    assert written["hypercalls"] == {"hypercall_9999": 1} and written["others"] == []
    assert [each["hypercall"] for each in written["calls"][0]["hypercalls"]] == ["hypercall_9999"]
    events = json.loads((tmp_path / "chrome").read_text())["traceEvents"]
    assert [(each["cat"], each["ph"], each["dur"]) for each in events[2:]] == [
        ("call", "X", 30000), ("hypercall", "X", 10000),
    ]  # fmt: skip
    write(sound, interface, Form(counts=True), chosen(interface, []), "k")
    shown, _ = capfd.readouterr()
    assert "         7         30          1 CPUID" in shown.splitlines()
    assert shown.splitlines()[-3:] == [
        "         1          ? hypercall_12", "         1         10 hypercall_9999",
        f"         2 {'':10} all",
    ]  # fmt: skip


def test_events_for_viewers(interface: Interface) -> None:
    """Slices of a CPU lie within each other or apart."""
    made = [
        Call(0, 0, 1000, 0, [1, 2], 1900, [1, 2, 3, 4]),
        Call(0, 0, 1200, 0, [1, 2], 1300, [1, 2, 3, 4]),  # within the first
        Call(0, 0, 1800, 0, [1, 2], 2500, [1, 2, 3, 4]),  # ends behind it
        Call(0, 1, 1850, 0, [1, 2], 2600, [1, 2, 3, 4]),  # on another CPU
        Call(0, 0, 1900, 0, [1, 2], 2000, [1, 2, 3, 4]),  # begins where the first has ended
        Call(33, 0, 3000, 0, []),
    ]
    events = json.loads(document(made, interface, 2_000_000, "kernel"))["traceEvents"]
    assert [(each["name"], each["tid"], each["args"]["name"]) for each in events[:3]] == [
        ("process_name", 0, "kernel"), ("thread_name", 0, "CPU 0"), ("thread_name", 1, "CPU 1"),
    ]  # fmt: skip
    assert [
        (each["ph"], each["tid"], each["ts"], each.get("dur"), each.get("id")) for each in events[3:]
    ] == [
        ("X", 0, 0, 450, None), ("X", 0, 100, 50, None), ("b", 0, 400, None, 2), ("e", 0, 750, None, 2),
        ("X", 1, 425, 375, None), ("X", 0, 450, 50, None), ("i", 0, 1000, None, None),
    ]  # fmt: skip
    assert events[3]["args"] == {"leaf": "1", "subleaf": "2", "eax": "1", "ebx": "2", "ecx": "3", "edx": "4"}
    assert json.loads(document([], interface, 0, "kernel"))["traceEvents"] == events[:1]


def test_names_by_patterns(interface: Interface) -> None:
    assert chosen(interface, []) == set(interface.calls)
    assert {interface.name(each) for each in chosen(interface, ["SetCR?", "WBINVD"])} == {
        "SetCR0", "SetCR2", "SetCR3", "SetCR4", "WBINVD",
    }  # fmt: skip
    with pytest.raises(UserError, match="--calls cpuid: no call of the interface has such a name") as error:
        chosen(interface, ["CPUID", "cpuid"])
    assert error.value.status == 2


def test_instructions_where_nobody_counts_them() -> None:
    class Uncounted:
        def prepare(self) -> None:
            pass

        def count_instructions(self) -> bool:
            return False

    rig = cast(Rig, Uncounted())
    with pytest.raises(UserError, match="--instructions: place runs where nobody counts them") as error:
        prepare(rig, "place", Form(instructions=True))
    assert error.value.status == 2
    prepare(rig, "place", Form())


def test_a_rig_that_has_no_memory_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreadable:
        backend = "place"

        def no_memory(self, architecture: str) -> str:
            return f"none of {architecture}"

    monkeypatch.setattr(trace, "discover", lambda _: {})
    monkeypatch.setattr(trace, "only", lambda *_: (Unreadable(), None))
    kernel = kernels("hello")["native"]
    with pytest.raises(UserError, match=r"place has no traces, .*: none of i386$") as error:
        trace.trace("place", kernel, Wanted(), "", Form(), False)
    assert error.value.status == 2


def test_misuse_is_one_line() -> None:
    hello = str(kernels("hello")["native"])
    for words, said in (
        (("native", hello), "vmi trace: expected a kernel that is linked with libvmi-native-traced.a"),
        (("native", "none.elf"), "no kernel none.elf"),
    ):
        done = subprocess.run(
            [str(ROOT / "vmi"), "trace", *words], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 2 and done.stdout == ""
        assert said in done.stderr.splitlines()[-1]
