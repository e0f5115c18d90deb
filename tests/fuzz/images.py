# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Provider images for tests (runtime/image/rom.h): small ones from nothing, broken ones from any."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ci.util import BUILD
from codegen.vmirom import PAGE, ROM, get, put, word_sum

VERSION = tuple(
    int(re.findall(rf"define VMI_API_{part} (\d+)", (BUILD / "include/vmi/constants.h").read_text())[0])
    for part in ("MAJOR", "MINOR")
)
"""Of the interface that was built."""

ORDINALS = int(re.findall(r"define VMI_ORDINALS (\d+)", (BUILD / "include/vmi/constants.h").read_text())[0])
NONE, CALL, JUMP, NOP = ROM["NONE"], ROM["CALL"], ROM["JUMP"], ROM["NOP"]
RET = b"\xc3"


def seal(image: bytearray) -> None:
    """Makes all bytes that the image has by its length add up to 0, and the words of the extension."""
    size = image[ROM["LENGTH"]] * ROM["UNIT"]
    if ROM["X_END"] <= size <= len(image):
        put(image, "X_SUM", word_sum(image[:size]))
    image[ROM["CHECKSUM"]] = 0
    image[ROM["CHECKSUM"]] = -sum(image[:size]) & 0xFF


MACHINES = {"i386": ROM["MACHINE_I386"], "x86_64": ROM["MACHINE_X86_64"]}


def for_machine(image: bytes, arch: str) -> bytes:
    """The image, if it is one for i386, as one for that architecture; it adds up as before."""
    at, machine = ROM["X_MACHINE"], MACHINES[arch]
    if len(image) < ROM["X_END"] or image[at] != ROM["MACHINE_I386"]:
        return image
    other = bytearray(image)
    other[at] = machine
    put(other, "X_SUM", get(image, "X_SUM") - ((machine - image[at]) << at % 4 * 8) & 0xFFFFFFFF)
    other[ROM["CHECKSUM"]] = (image[ROM["CHECKSUM"]] + sum(image) - sum(other)) & 0xFF
    return bytes(other)


def moved(place: int, data: bool = False, form: str = "WORD") -> int:
    """A relocation."""
    return place << ROM["RELOC_SHIFT"] | ROM[f"RELOC_{form}"] << 1 | data


@dataclass(frozen=True)
class Call:
    """A call of an image: by its routine alone, or by instructions of which the routine is made as well."""

    ordinal: int
    kind: int = CALL
    inline: bytes = b""


@dataclass(frozen=True)
class Form:
    """Another form of a call, for processors with a feature: leaf, subleaf, register and bit of CPUID."""

    ordinal: int
    feature: tuple[int, int, int, int]
    kind: int = CALL
    inline: bytes = b""


def synthetic(
    calls: Sequence[Call],
    name: bytes = b"synthetic",
    data: bytes = bytes(range(64)),
    memory: int = 256,
    forms: Sequence[Form] = (),
) -> bytes:
    """An image with these calls and forms. Its probe holds an address of the data part, its start one of the
    text part, and its data begins with one of each."""
    text = bytearray(ROM["X_END"])

    def append(content: bytes) -> int:
        text.extend(content)
        return len(text) - len(content)

    name_at = append(name + b"\0")
    probe = append(b"\xa1" + struct.pack("<I", PAGE + 8) + RET)  # mov 8(data), %eax
    start = append(b"\x68" + struct.pack("<I", probe) + RET)  # push $probe; ret
    entries = []
    for call in calls:
        inline = append(call.inline)
        append(RET)
        length = len(call.inline)
        entry = (inline, call.ordinal, call.kind, length, inline if length else 0)
        entries.append(struct.pack("<IHBBI", *entry))
    calls_at = append(b"".join(entries))
    entries = []
    for form in forms:
        inline = append(form.inline) if form.inline else 0
        entries.append(
            struct.pack("<HBBIIIBBH", form.ordinal, form.kind, len(form.inline), inline, *form.feature, 0)
        )
    forms_at = append(b"".join(entries))
    append(bytes(4))  # what ends the text part may be relocated
    image = bytearray(text.ljust(PAGE, b"\0") + struct.pack("<2I", start, PAGE + memory) + data)
    data_size = len(image) - PAGE
    relocations = [moved(probe + 1, True), moved(start + 1), moved(PAGE), moved(PAGE + 4, True)]
    put(image, "SIGNATURE", ROM["SIGNATURE_VALUE"], "<H")
    put(image, "VMI_SIGNATURE", ROM["VMI_SIGNATURE_VALUE"])
    put(image, "API_MAJOR", VERSION[0], "B")
    put(image, "API_MINOR", VERSION[1], "B")
    put(image, "X_MAGIC", ROM["X_MAGIC_VALUE"])
    put(image, "X_VERSION", ROM["X_VERSION_VALUE"], "<H")
    put(image, "X_MACHINE", ROM["MACHINE_I386"], "<H")
    put(image, "X_SIZE", ROM["X_END"] - ROM["EXTENSION"], "<H")
    for field, value in (
        ("TEXT_SIZE", len(text)),
        ("DATA_OFFSET", PAGE),
        ("DATA_SIZE", data_size),
        ("MEMORY_SIZE", max(memory, data_size)),
        ("RELOC_OFFSET", len(image)),
        ("RELOC_COUNT", len(relocations)),
        ("CALLS_OFFSET", calls_at),
        ("CALLS_COUNT", len(calls)),
        ("FORMS_OFFSET", forms_at),
        ("FORMS_COUNT", len(forms)),
        ("NAME_OFFSET", name_at),
        ("PROBE", probe),
        ("START", start),
    ):
        put(image, f"X_{field}", value)
    image += b"".join(struct.pack("<I", relocation) for relocation in relocations)
    image += bytes(-len(image) % ROM["UNIT"])
    put(image, "LENGTH", len(image) // ROM["UNIT"], "B")
    seal(image)
    return bytes(image)


# ---- of a later version ----

NEWER = 400
"""An ordinal that no version of the interface has yet."""


def later(image: bytes, *ordinals: int) -> bytearray:
    """The image as the next minor version might have it: with further calls, of these ordinals, at the end
    of the table. The table moves behind the text part, and the data part with all that refers to it on."""
    table, count = get(image, "X_CALLS_OFFSET"), get(image, "X_CALLS_COUNT")
    text, data = get(image, "X_TEXT_SIZE"), get(image, "X_DATA_OFFSET")
    relocs, number = get(image, "X_RELOC_OFFSET"), get(image, "X_RELOC_COUNT")
    routine = text + -text % 4
    calls = routine + 4
    entries = image[table : table + count * ROM["CALL_SIZE"]]
    entries += b"".join(struct.pack("<IHBBI", routine, ordinal, CALL, 0, 0) for ordinal in ordinals)
    end = calls + len(entries)
    moved = end + -end % PAGE
    shift = moved - data
    grown = bytearray(image[:text].ljust(routine, b"\0") + RET.ljust(4, b"\xcc") + entries)
    grown = bytearray(grown.ljust(moved, b"\0") + image[data:relocs])
    for (entry,) in struct.iter_unpack("<I", image[relocs : relocs + 4 * number]):
        bits = ROM["RELOC_SHIFT"]
        place, more = entry >> bits, entry & 1
        form = entry >> 1 & (1 << bits - 1) - 1
        in_data = place >= data
        place += shift if in_data else 0
        if form == ROM["RELOC_DISTANCE"]:
            more -= in_data
        if more:
            size = "<Q" if form == ROM["RELOC_LONG"] else "<I"
            word = struct.unpack_from(size, grown, place)[0] + more * shift
            struct.pack_into(size, grown, place, word & (1 << 8 * struct.calcsize(size)) - 1)
        grown += struct.pack("<I", place << bits | entry & (1 << bits) - 1)
    put(grown, "API_MINOR", image[ROM["API_MINOR"]] + 1, "B")
    for field, value in (
        ("TEXT_SIZE", end),
        ("DATA_OFFSET", moved),
        ("RELOC_OFFSET", len(grown) - 4 * number),
        ("CALLS_OFFSET", calls),
        ("CALLS_COUNT", count + len(ordinals)),
    ):
        put(grown, f"X_{field}", value)
    grown += bytes(-len(grown) % ROM["UNIT"])
    put(grown, "LENGTH", len(grown) // ROM["UNIT"], "B")
    seal(grown)
    return grown


# ---- broken on purpose ----


@dataclass(frozen=True)
class Broken:
    """A way to break an image, and what the binder says of it."""

    name: str
    reason: str
    edit: Callable[[bytearray], None]
    sealed: bool = True

    def of(self, image: bytes) -> bytes:
        broken = bytearray(image)
        self.edit(broken)
        if self.sealed:
            seal(broken)
        return bytes(broken)


def field(name: str, value: int | str, form: str = "<I", more: int = 0) -> Callable[[bytearray], None]:
    """Sets a field to a number, or to what another field says and `more`."""

    def edit(image: bytearray) -> None:
        put(image, name, (get(image, value) if isinstance(value, str) else value) + more, form)

    return edit


def relocation(index: int, change: Callable[[list[int]], int]) -> Callable[[bytearray], None]:
    """Sets an entry to what `change` makes of all."""

    def edit(image: bytearray) -> None:
        start, count = get(image, "X_RELOC_OFFSET"), get(image, "X_RELOC_COUNT")
        entries = list(struct.unpack_from(f"<{count}I", image, start))
        entries[index] = change(entries)
        struct.pack_into(f"<{count}I", image, start, *entries)

    return edit


def entry_of(image: bytes, kind: int | None = None) -> int:
    """Offset of the first entry of the table of calls, or of the first of that kind."""
    start, count = get(image, "X_CALLS_OFFSET"), get(image, "X_CALLS_COUNT")
    offsets = [start + index * ROM["CALL_SIZE"] for index in range(count)]
    return next(at for at in offsets if kind is None or image[at + ROM["CALL_KIND"]] == kind)


def into_the_other_part(image: bytearray) -> None:
    """The first relocation that refers to the text part is said to refer to the data part."""
    start, count = get(image, "X_RELOC_OFFSET"), get(image, "X_RELOC_COUNT")
    entries = struct.unpack_from(f"<{count}I", image, start)
    index = next(index for index, entry in enumerate(entries) if not entry & 7)
    struct.pack_into("<I", image, start + 4 * index, entries[index] | 1)


def kind_unknown(image: bytearray) -> None:
    image[entry_of(image) + ROM["CALL_KIND"]] = NOP + 1


def call_outside(image: bytearray) -> None:
    struct.pack_into("<I", image, entry_of(image) + ROM["CALL_TARGET"], get(image, "X_TEXT_SIZE"))


def calls_exchanged(image: bytearray) -> None:
    at, size = entry_of(image), ROM["CALL_SIZE"]
    image[at : at + 2 * size] = image[at + size : at + 2 * size] + image[at : at + size]


def now_later(*ordinals: int, minor: int = 1, target: bool = True) -> Callable[[bytearray], None]:
    """Makes it one of a later version, or of one so much later, with these calls in that order."""

    def edit(image: bytearray) -> None:
        image[:] = later(image, *ordinals)
        image[ROM["API_MINOR"]] += minor - 1
        if not target:
            last = get(image, "X_CALLS_OFFSET") + (get(image, "X_CALLS_COUNT") - 1) * ROM["CALL_SIZE"]
            struct.pack_into("<I", image, last + ROM["CALL_TARGET"], get(image, "X_TEXT_SIZE"))

    return edit


INLINE_MAX = 32
"""VMI__ROM_INLINE_MAX of runtime/bind/rom.h"""


def instructions_too_long(image: bytearray) -> None:
    image[entry_of(image, NONE) + ROM["CALL_INLINE_LENGTH"]] = INLINE_MAX + 1


def instructions_relocated(image: bytearray) -> None:
    place = struct.unpack_from("<I", image, get(image, "X_RELOC_OFFSET"))[0] >> ROM["RELOC_SHIFT"]
    at = entry_of(image, NONE)
    image[at + ROM["CALL_INLINE_LENGTH"]] = 5
    struct.pack_into("<I", image, at + ROM["CALL_INLINE"], place - 1)


def table_relocated(image: bytearray) -> None:
    """The first word of the table of calls, by the only relocation."""
    at = entry_of(image) + ROM["CALL_TARGET"]
    struct.pack_into("<I", image, get(image, "X_RELOC_OFFSET"), moved(at))
    put(image, "X_RELOC_COUNT", 1)


def name_to(text: bytes) -> Callable[[bytearray], None]:
    def edit(image: bytearray) -> None:
        at = get(image, "X_NAME_OFFSET")
        image[at : at + len(text)] = text

    return edit


def last_byte(image: bytearray) -> None:
    image[-1] ^= 0x10


def formed(*forms: Form) -> Callable[[bytearray], None]:
    """Makes it one that has the two calls that are formed, and these forms."""

    def edit(image: bytearray) -> None:
        machine = get(image, "X_MACHINE", "<H")
        image[:] = synthetic([Call(0, NONE, b"\x90"), Call(17)], forms=forms)
        put(image, "X_MACHINE", machine, "<H")

    return edit


def sign(
    leaf: int = 0, leaves: int = 1, registers: int = 0, values: Sequence[int] = (0,) * 4
) -> Callable[[bytearray], None]:
    """Gives it a sign."""

    def edit(image: bytearray) -> None:
        struct.pack_into("<IHH4I", image, ROM["X_SIGN"], leaf, leaves, registers, *values)

    return edit


FAST = (7, 0, 1, 3)

BROKEN = (
    Broken("signature", "it has not the signature of an option ROM", field("SIGNATURE", 0x55AA, "<H")),
    Broken("length", "it is longer than the memory that it lies in", field("LENGTH", 255, "B")),
    Broken("sum", "its words do not add up", last_byte, sealed=False),
    Broken("major", "it is for another major version of the interface", field("API_MAJOR", 4, "B")),
    Broken("no extension", "it has no extension, so that it cannot serve this kernel", field("X_MAGIC", 0)),
    Broken("extension version", "its extension is of another version", field("X_VERSION", 1, "<H")),
    Broken("machine", "it is for another machine", field("X_MACHINE", 40, "<H")),
    Broken("sign of unknown registers", "its sign is of an unknown kind", sign(registers=0x10)),
    Broken("sign in endless leaves", "its sign is of an unknown kind", sign(leaves=257, registers=1)),
    Broken("extension size", "its extension is of another version", field("X_SIZE", 52, "<H")),
    Broken("text outside", "its text part is not in the file", field("X_TEXT_SIZE", 0x20000)),
    Broken("data off its page", "its data part is not in the file, behind the text part and on a page",
           field("X_DATA_OFFSET", "X_DATA_OFFSET", more=4)),
    Broken("data outside", "its data part is not in the file, behind the text part and on a page",
           field("X_DATA_SIZE", 0xFFFFFFFF)),
    Broken("memory less than data", "its data part has an impossible size",
           field("X_MEMORY_SIZE", "X_DATA_SIZE", more=-1)),
    Broken("no room", "there is no room for it", field("X_MEMORY_SIZE", 0x1000000)),
    Broken("relocations outside", "its relocations are not in the file, behind the data part",
           field("X_RELOC_COUNT", 0x40000001)),
    Broken("relocation outside", "one of its relocations is outside of it",
           relocation(-1, lambda entries: 0xFFFFFFFE)),
    Broken("relocation into the other part", "one of its relocations does not refer to its data part",
           into_the_other_part),
    Broken("relocations overlap", "its relocations overlap or are not in order",
           relocation(1, lambda entries: moved((entries[0] >> ROM["RELOC_SHIFT"]) + 3))),
    Broken("relocation of unknown form", "one of its relocations is of an unknown form",
           relocation(0, lambda entries: entries[0] | 6)),
    Broken("calls outside", "its table of calls is not in the text part",
           field("X_CALLS_OFFSET", "X_TEXT_SIZE", more=-8)),
    Broken("calls endless", "its table of calls is not in the text part", field("X_CALLS_COUNT", 0x15555556)),
    Broken("calls out of order", "its calls are not in order", calls_exchanged),
    Broken("newer calls out of order", "its calls are not in order", now_later(NEWER + 1, NEWER)),
    Broken("newer call twice", "its calls are not in order", now_later(NEWER, NEWER)),
    Broken("newer call outside", "one of its calls is outside its text part", now_later(NEWER, target=False)),
    Broken("newer call in this version", "one of its calls is newer than the version that it names",
           now_later(NEWER, minor=0)),
    Broken("kind", "one of its calls is of an unknown kind", kind_unknown),
    Broken("call outside", "one of its calls is outside its text part", call_outside),
    Broken("instructions", "one of its calls has impossible instructions", instructions_too_long),
    Broken("instructions relocated", "one of its calls has instructions that are relocated",
           instructions_relocated),
    Broken("calls relocated", "one of its tables is relocated", table_relocated),
    Broken("call missing", "it lacks a call of the interface",
           field("X_CALLS_COUNT", "X_CALLS_COUNT", more=-1)),
    Broken("forms outside", "its table of forms is not in the text part, or too long",
           field("X_FORMS_OFFSET", "X_TEXT_SIZE", more=4)),
    Broken("forms endless", "its table of forms is not in the text part, or too long",
           field("X_FORMS_COUNT", 0x0CCCCCCE)),
    Broken("forms too many", "its table of forms is not in the text part, or too long",
           formed(*[Form(17, FAST)] * 65)),
    Broken("forms out of order", "its forms are not in order", formed(Form(17, FAST), Form(0, FAST))),
    Broken("form of no call", "one of its forms is of a call that it does not have", formed(Form(3, FAST))),
    Broken("form of unknown kind", "one of its forms is of an unknown kind or feature",
           formed(Form(0, FAST, NOP + 1))),
    Broken("form of unknown register", "one of its forms is of an unknown kind or feature",
           formed(Form(0, (7, 0, 4, 3)))),
    Broken("form of unknown bit", "one of its forms is of an unknown kind or feature",
           formed(Form(0, (7, 0, 1, 32)))),
    Broken("form's instructions", "one of its forms has impossible instructions",
           formed(Form(0, FAST, NONE))),
    Broken("form's instructions too long", "one of its forms has impossible instructions",
           formed(Form(0, FAST, NONE, bytes(INLINE_MAX + 1)))),
    Broken("entry outside", "its entry points are outside its text part", field("X_START", "X_TEXT_SIZE")),
    Broken("probe in the header", "its entry points are outside its text part", field("X_PROBE", 128)),
    Broken("name unprintable", "its name cannot be printed", name_to(b"\x1b")),
    Broken("name empty", "it has no name", name_to(b"\0")),
    Broken("name outside", "its name is not in its text part", field("X_NAME_OFFSET", "X_TEXT_SIZE")),
)  # fmt: skip
"""Every check of runtime/bind, with what fails it."""
