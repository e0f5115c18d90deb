# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The build for indirect-branch tracking: ENDBR where an address is taken or hardware enters, and in the
libraries nowhere else."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from ..units import each_once

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = "backends/libvmi-"
"""What libraries' begin with."""
BUILDS = {"i386": "build", "x86_64": "build-x86_64"}
ENDBR = {"i386": b"\xf3\x0f\x1e\xfb", "x86_64": b"\xf3\x0f\x1e\xfa"}
PC_RELATIVE = {2, 4}
"""R_386_PC32, R_386_PLT32, R_X86_64_PC32, R_X86_64_PLT32: the numbers are the same."""
WRITTEN_LATER = 0xCC
"""What fills code that a hypervisor writes."""
TABLES = (".data.rel.ro.forms", ".rodata.mask_restart", ".rodata.rom_calls", ".vmi.sites")
"""Tables of addresses that are branched to directly or returned to (runtime/forms.h, image/rom.h, vmi/vmi.h;
one hypervisor's restart.inc)."""


@dataclass
class Tree:
    """Build trees of an architecture: as ever, and with the option."""

    arch: str
    plain: Path
    tracked: Path


@dataclass
class Functions:
    """Functions of objects by name, those of one file alone with the file's: how each begins; and those whose
    address is taken."""

    begins: dict[str, bytes] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def add(self, name: str, data: bytes) -> None:
        elf = ELFFile(io.BytesIO(data))
        symbols = elf.get_section_by_name(".symtab")
        if symbols is None:
            return
        at: dict[tuple[int, int], str] = {}
        for symbol in symbols.iter_symbols():
            section = symbol["st_shndx"]
            if symbol["st_info"]["type"] != "STT_FUNC" or isinstance(section, str):
                continue
            local = symbol["st_info"]["bind"] == "STB_LOCAL"
            key = f"{name}: {symbol.name}" if local else symbol.name
            at[section, symbol["st_value"]] = key
            code = elf.get_section(section).data()[symbol["st_value"] :]
            if code[0] != WRITTEN_LATER:
                self.begins[key] = code[:4]
        if elf.get_machine_arch() == "x64":
            self.taken |= {at[place] for place in loaded_within(elf) if place in at}
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection):
                continue
            target = elf.get_section(section["sh_info"])
            if not target["sh_flags"] & 2 or target.name.startswith(TABLES) or target.name == ".eh_frame":
                continue
            code = target.data()
            for relocation in section.iter_relocations():
                offset = relocation["r_offset"]
                relative = relocation["r_info_type"] in PC_RELATIVE
                if relative and (not target["sh_flags"] & 4 or is_branch(code, offset)):
                    continue  # distances in data are the compiler's tables for `switch`, by NOTRACK
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                if symbol["st_info"]["type"] == "STT_SECTION":
                    more = relocation["r_addend"] if relocation.is_RELA() else word(code, offset)
                    place = (symbol["st_shndx"], more + 4 * relative)
                elif symbol["st_shndx"] == "SHN_UNDEF" or symbol["st_info"]["bind"] != "STB_LOCAL":
                    self.taken.add(symbol.name)
                    continue
                else:
                    place = (symbol["st_shndx"], symbol["st_value"])
                if place in at:
                    self.taken.add(at[place])


def word(code: bytes, offset: int) -> int:
    return int(struct.unpack_from("<i", code, offset)[0])


def is_branch(code: bytes, offset: int) -> bool:
    """Whether the word there is the distance of a CALL, JMP or Jcc."""
    return code[offset - 1] in (0xE8, 0xE9) or (code[offset - 2] == 0x0F and code[offset - 1] & 0xF0 == 0x80)


def loaded_within(elf: ELFFile) -> Iterator[tuple[int, int]]:
    """Places whose address the code of the same section loads, for which the assembler leaves no relocation:
    LEA of a distance from the instruction's end."""
    linked = {
        (section["sh_info"], relocation["r_offset"])
        for section in elf.iter_sections()
        if isinstance(section, RelocationSection)
        for relocation in section.iter_relocations()
    }
    for number, section in enumerate(elf.iter_sections()):
        if section["sh_flags"] & 4:
            code = section.data()
            for match in re.finditer(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]", code[:-4]):
                if (number, match.end()) not in linked:
                    yield number, match.end() + 4 + word(code, match.end())


def functions(objects: Iterable[Path]) -> Functions:
    found = Functions()
    for path in objects:
        found.add(f"{path.parent.stem}/{path.name}", path.read_bytes())
    return found


@pytest.fixture(scope="module", params=BUILDS)
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    arch = request.param
    plain = ROOT / BUILDS[arch]
    if not (plain / "backends").is_dir():
        pytest.skip(f"{arch} is not built")
    tracked = tmp_path_factory.mktemp("cet") / arch
    environment = dict(os.environ, PATH=f"{ROOT / '.venv/bin'}:{os.environ['PATH']}")
    setup = [
        "meson",
        "setup",
        "-Dcet=true",
        "-Ddocs=disabled",
        "--cross-file",
        f"cross/{arch}-gcc.ini",
        tracked,
    ]
    subprocess.run([*setup, "."], cwd=ROOT, env=environment, check=True, capture_output=True)

    def ninja(*targets: str) -> None:
        command = ["ninja", "-C", tracked, *targets]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:]

    ninja("sample_kernel/libsample-kernel.a", "sample_kernel/sample-native.elf")
    ninja(*each_once(tracked, OBJECTS))
    return Tree(arch, plain, tracked)


def test_libraries_have_it_where_an_address_is_taken_and_nowhere_else(tree: Tree) -> None:
    """Of what several of them have one object is looked at. Loaders enter 32-bit code."""
    objects = [tree.tracked / name for name in each_once(tree.tracked, OBJECTS)]
    assert len(objects) > 200
    found = functions(objects)
    have = {name for name, code in found.begins.items() if code in ENDBR.values()}
    assert len(have) > 10
    assert have == found.taken & found.begins.keys()


def test_kernels_have_it_where_an_address_is_taken(tree: Tree) -> None:
    found = functions((tree.tracked / "sample_kernel/libsample-kernel.a.p").glob("*.o"))
    taken = found.taken & found.begins.keys()
    assert len(taken) > 100
    assert {name for name in taken if found.begins[name] != ENDBR[tree.arch]} == set()


def symbol_at(elf: ELFFile, name: str) -> bytes:
    """Code from a symbol of a linked kernel on."""
    (symbol,) = elf.get_section_by_name(".symtab").get_symbol_by_name(name)
    section = elf.get_section(symbol["st_shndx"])
    code: bytes = section.data()[symbol["st_value"] - section["sh_addr"] :]
    return code


def test_gates_and_entries(tree: Tree) -> None:
    """Every vector's entry, and where system calls and loaders enter."""
    with (tree.tracked / "sample_kernel/sample-native.elf").open("rb") as stream:
        elf = ELFFile(stream)
        gates = symbol_at(elf, "trap_entries")
        assert [n for n in range(256) if gates[16 * n :][:4] != ENDBR[tree.arch]] == []
        names = ["vmi_entry", "vmi_pvh_entry", "kernel_main"]
        names += ["syscall_entry", "vmi__native_syscall"] if tree.arch == "x86_64" else []
        # Loaders enter with 32-bit code.
        for name in names:
            loaded = name in ("vmi_entry", "vmi_pvh_entry")
            assert symbol_at(elf, name)[:4] == ENDBR["i386" if loaded else tree.arch], name


def sites(build: Path, arch: str) -> dict[int, set[int]]:
    """Lengths of the sample kernel's call sites, by ordinal; each begins with a direct branch."""
    found: dict[int, set[int]] = {}
    with (build / "sample_kernel/sample-native.elf").open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        (start,), (end,) = (symbols.get_symbol_by_name(f"vmi_sites_{edge}") for edge in ("start", "end"))
        text, records = elf.get_section_by_name(".text"), elf.get_section(start["st_shndx"])
        base, size = start["st_value"], 8 if arch == "i386" else 12
        for at in range(base, end["st_value"], size):
            record = records.data()[at - records["sh_addr"] :][:size]
            if arch == "i386":
                address, ordinal, length, _ = struct.unpack("<IHBB", record)
            else:
                distance, ordinal, _, length = struct.unpack("<iHHBxxx", record)
                address = at + distance
            assert text.data()[address - text["sh_addr"]] in (0xE8, 0xE9)
            found.setdefault(ordinal, set()).add(length)
    return found


def test_sites_and_entry_points_are_the_same_in_both_builds(tree: Tree) -> None:
    """Sites have the same sizes, and an entry point is the instruction and `ret` here, too."""
    assert sites(tree.tracked, tree.arch) == sites(tree.plain, tree.arch)
    stubs = [name for name in each_once(tree.tracked, OBJECTS) if name.endswith("stubs.S.o")]
    assert len(stubs) > 3
    for name in stubs:
        tracked, plain = (
            ELFFile(io.BytesIO((build / name).read_bytes())).get_section_by_name(".text").data()
            for build in (tree.tracked, tree.plain)
        )
        assert tracked == plain, name
