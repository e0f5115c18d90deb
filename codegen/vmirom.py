# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Provider images (runtime/image/rom.h, docs/binding.md) from linked libraries:

vmirom.py make IMAGE.elf OUT.rom        the file, with relocations, length and checksum
vmirom.py builtin OUT.S ROM… [-- SYMBOL…]
                                        assembly that puts images into a kernel, by falling priority, and
                                        with them what defines each symbol
vmirom.py show ROM…                     what they say of themselves
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_RELOC_TYPE_i386 as I386
from elftools.elf.enums import ENUM_RELOC_TYPE_x64 as X86_64
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

LAYOUT_H = Path(__file__).resolve().parents[1] / "runtime/image/rom.h"
PAGE = 4096
AREA = 0x1FE00
"""What an image may take, at most all that a ROM can: a ROM's header has its length in
a byte, by 512 bytes. Firmware finds room for less, as it has other ROMs (docs/binding.md)."""


class RomError(Exception):
    """Told as one line."""


def layout() -> dict[str, int]:
    """The numbers of rom.h, which is their only home."""
    found = re.findall(r"#define VMI__ROM_(\w+)\s+(0x[0-9a-f]+|\d+)", LAYOUT_H.read_text())
    return {name: int(number, 0) for name, number in found}


ROM = layout()


def put(image: bytearray, name: str, value: int, form: str = "<I") -> None:
    struct.pack_into(form, image, ROM[name], value)


def get(image: bytes | bytearray, name: str, form: str = "<I") -> int:
    return int(struct.unpack_from(form, image, ROM[name])[0])


def allocated(elf: ELFFile) -> bytearray:
    """The image as it lies in memory, without what is zero in it from the start."""
    image = bytearray()
    for section in elf.iter_sections():
        if section["sh_flags"] & 2 and section["sh_type"] == "SHT_PROGBITS":
            start = section["sh_addr"]
            image.extend(bytes(max(0, start - len(image))))
            image[start:] = section.data()
    return image


@dataclass(frozen=True)
class Kinds:
    """Kinds of relocations of an architecture, by what an image makes of them."""

    words: tuple[str, ...]
    longs: tuple[str, ...]
    distances: tuple[str, ...]
    """Of 32 bits, from the place. Inside of a part they stay what they are."""
    offsets: tuple[str, ...]
    """Of what is no address, for those have more bits."""
    numbers: Mapping[str, int]

    def of(self, number: int) -> str:
        return next((name for name, each in self.numbers.items() if each == number), str(number))


KINDS = {
    "EM_386": Kinds(("R_386_32",), (), ("R_386_PC32", "R_386_PLT32"), ("R_386_16", "R_386_NONE"), I386),
    "EM_X86_64": Kinds(
        ("R_X86_64_32", "R_X86_64_32S"),
        ("R_X86_64_64",),
        ("R_X86_64_PC32", "R_X86_64_PLT32"),
        ("R_X86_64_16", "R_X86_64_NONE"),
        X86_64,
    ),
}


def relocations(elf: ELFFile, image: bytes | bytearray) -> Iterator[tuple[int, int, bool]]:
    """Places of addresses, the form of each, and whether it is one of the data part. What holds offsets
    instead of addresses (the header and the tables of calls and forms) is left out."""
    kinds = KINDS[elf["e_machine"]]
    data = get(image, "X_DATA_OFFSET")
    calls, forms = get(image, "X_CALLS_OFFSET"), get(image, "X_FORMS_OFFSET")
    offsets = [
        range(ROM["X_END"]),
        range(calls, calls + get(image, "X_CALLS_COUNT") * ROM["CALL_SIZE"]),
        range(forms, forms + get(image, "X_FORMS_COUNT") * ROM["FORM_SIZE"]),
    ]
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection):
            continue
        if not elf.get_section(section["sh_info"])["sh_flags"] & 2:
            continue
        symbols = elf.get_section(section["sh_link"])
        assert isinstance(symbols, SymbolTableSection)
        for relocation in section.iter_relocations():
            place, kind = relocation["r_offset"], kinds.of(relocation["r_info_type"])
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            nowhere = symbol["st_shndx"] in ("SHN_ABS", "SHN_UNDEF")
            to_data = symbol["st_value"] >= data
            if kind in kinds.offsets or any(place in span for span in offsets):
                continue
            if kind in kinds.distances:
                if nowhere and relocation["r_info_sym"]:
                    raise RomError(
                        f"relocation at {place:#x} ({symbol.name}): the image moves, so that the distance to "
                        "what does not is unknown"
                    )
                if to_data != (place >= data):
                    yield place, ROM["RELOC_DISTANCE"], to_data
            elif nowhere:
                continue
            elif kind in kinds.words:
                yield place, ROM["RELOC_WORD"], to_data
            elif kind in kinds.longs:
                yield place, ROM["RELOC_LONG"], to_data
            else:
                raise RomError(f"relocation of kind {kind} at {place:#x} ({symbol.name}): an image has none")


def word_sum(image: bytes | bytearray) -> int:
    """What the field X_SUM of an image is to hold."""
    words = struct.unpack_from(f"<{(len(image) - ROM['EXTENSION']) // 4}I", image, ROM["EXTENSION"])
    return int(get(image, "X_SUM") - sum(words)) & 0xFFFFFFFF


def make(source: Path) -> bytes:
    """The ROM of a library that was linked by runtime/image/image.ld."""
    with source.open("rb") as stream:
        elf = ELFFile(stream)
        image = allocated(elf)
        entries = sorted(relocations(elf, image))
    image.extend(bytes(-len(image) % ROM["RELOC_SIZE"]))
    put(image, "X_RELOC_OFFSET", len(image))
    put(image, "X_RELOC_COUNT", len(entries))
    for place, form, of_data in entries:
        image += struct.pack("<I", place << ROM["RELOC_SHIFT"] | form << 1 | of_data)
    image.extend(bytes(-len(image) % ROM["UNIT"]))
    if len(image) > AREA:
        raise RomError(f"{len(image)} bytes; an image has room for {AREA}")
    put(image, "LENGTH", len(image) // ROM["UNIT"], "B")
    if pci := get(image, "PCI", "<H"):
        struct.pack_into("<H", image, pci + ROM["PCI_LENGTH"], len(image) // ROM["UNIT"])
    if pnp := get(image, "PNP", "<H"):
        image[pnp + ROM["PNP_CHECKSUM"]] = -sum(image[pnp : pnp + ROM["PNP_SIZE"]]) & 0xFF
    put(image, "X_SUM", word_sum(image))
    # Firmware wants all bytes to add up to 0; the reserved one takes what is missing.
    image[ROM["CHECKSUM"]] = 0
    image[ROM["CHECKSUM"]] = -sum(image) & 0xFF
    return bytes(image)


def name_of(rom: bytes) -> str:
    start = get(rom, "X_NAME_OFFSET")
    return rom[start:].partition(b"\0")[0].decode("ascii", "backslashreplace")


def machine_of(rom: bytes) -> str:
    number = get(rom, "X_MACHINE", "<H")
    names = {ROM["MACHINE_I386"]: "i386", ROM["MACHINE_X86_64"]: "x86-64"}
    return names.get(number, f"machine {number}")


def builtin(paths: Sequence[Path], symbols: Sequence[str]) -> str:
    """Assembly with the images and their table, `vmi__builtin` (runtime/bind/bind.h). The assembler looks for
    the images in its include folders. Nobody refers to `symbols`, the entry points of hypervisors: a
    word for each makes the linker take them from an archive."""
    roms = [(path, path.read_bytes()) for path in paths]
    roms.sort(key=lambda item: (-get(item[1], "X_PRIORITY"), name_of(item[1])))
    lines = [
        "/* SPDX-License-Identifier: MIT OR GPL-2.0-only */",
        "/* Generated by codegen/vmirom.py; do not edit. */",
        '        .section .rodata.builtin, "a"',
    ]
    for number, (path, _) in enumerate(roms):
        file = f'        .incbin "{path.name}"'
        lines += ["        .balign 16", f"{number + 1}:", file, f"{number + 101}:"]
    machines = {get(rom, "X_MACHINE", "<H") for _, rom in roms}
    address = ".long" if machines == {ROM["MACHINE_I386"]} else ".quad"
    lines += ["        .balign 8", "        .globl vmi__builtin", "vmi__builtin:"]
    lines += [f"        {address} {number + 1}b, {number + 101}b" for number in range(len(roms))]
    lines += [
        "        .globl vmi__builtin_count",
        "vmi__builtin_count:",
        f"        .long {len(roms)}",
        "        .balign 8",
        *(f"        {address} {symbol}" for symbol in symbols),
        '        .section .note.GNU-stack, "", @progbits',
    ]
    return "\n".join(lines) + "\n"


def show(path: Path) -> str:
    rom = path.read_bytes()
    if len(rom) < ROM["X_END"] or get(rom, "X_MAGIC") != ROM["X_MAGIC_VALUE"]:
        raise RomError(f"{path} is no provider image")
    return (
        f"{name_of(rom)}: {machine_of(rom)}, {len(rom)} bytes, priority {get(rom, 'X_PRIORITY')}, "
        f"text {get(rom, 'X_TEXT_SIZE')}, data {get(rom, 'X_DATA_SIZE')} of {get(rom, 'X_MEMORY_SIZE')}, "
        f"{get(rom, 'X_RELOC_COUNT')} relocations, {get(rom, 'X_CALLS_COUNT')} calls"
        + (", serves kernels built for API 3.0" if get(rom, "PCI", "<H") else "")
    )


def main(arguments: Sequence[str]) -> int:
    try:
        match arguments:
            case ["make", source, target]:
                Path(target).write_bytes(make(Path(source)))
            case ["builtin", target, *words] if words and words[0] != "--":
                end = words.index("--") if "--" in words else len(words)
                Path(target).write_text(builtin([Path(path) for path in words[:end]], words[end + 1 :]))
            case ["show", *paths] if paths:
                print("\n".join(show(Path(path)) for path in paths))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (RomError, OSError, ELFError, struct.error) as error:
        # Of several files, the error itself says which.
        where = "" if arguments[0] == "show" else f"{arguments[1]}: "
        print(f"vmirom: {where}{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
