# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""One file in every configuration: the kernels that bind themselves to a provider when they start."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from ci.build import bound_kernel, kernels, loaded_by_multiboot, rom, tree
from ci.util import ARCHITECTURES, tied

from ..guests import Place, Run, Whole, ends, places, slowest

HARDWARE = {arch: places(arch)[0] for arch in ARCHITECTURES}
"""The first backend, which others build on: its rig takes QEMU's own options."""
DEADLINE = 240.0
IMAGE_BASE = {"i386": 0xC0000000, "x86_64": 0xFFFFFFFF80000000}
"""runtime/arch/ARCH/kernel.ld"""
KINDS = ("instruction", "call", "nop")


def counted(binding: dict[str, str]) -> int:
    return sum(int(binding[kind]) for kind in KINDS)


@pytest.fixture(params=ARCHITECTURES)
def hardware(request: pytest.FixtureRequest) -> Place:
    return HARDWARE[request.param]


@pytest.mark.every_architecture
def test_sample_kernel_binds_itself_everywhere(configuration: Place, bound: Whole, whole: Whole) -> None:
    """The provider is the configuration's own, found by itself or asked for where it is not; every check
    passes as it does when linked, or some do, of devices too."""
    outcome, report = bound(configuration)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.binding["provider"] == report.boot["backend"] == configuration.backend
    assert report.binding["source"] == "builtin"
    assert counted(report.binding) == int(report.binding["sites"]) > 100
    _, linked = whole(configuration)
    status = ends(linked)
    assert ends(report) == {name: status[name] for name in ends(report)}
    assert slowest(configuration) or len(ends(report)) == len(status)
    assert {"disks.whole", "networks.sizes"} < ends(report).keys()
    assert [call.how for call in report.calls] == [call.how for call in linked.calls]


@pytest.mark.every_architecture
@pytest.mark.but_the_slowest
def test_conforms_when_bound(configuration: Place, run: Run) -> None:
    """Link-time and boot-time binding pass the same suite."""
    told = configuration.configuration.bound_append
    outcome, report = run(
        configuration, told, bound_kernel("conformance", configuration.arch), deadline=DEADLINE
    )
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.binding["provider"] == configuration.backend
    _, linked = run(configuration, kernel="conformance", deadline=DEADLINE)
    assert [test.name for test in report.tests] == [test.name for test in linked.tests]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_file_is_the_one_that_is_shipped(arch: str) -> None:
    shipped = tree(arch) / "sample_kernel/vmi-any.elf"
    assert shipped.read_bytes() == bound_kernel("sample", arch).read_bytes()


@pytest.mark.parametrize("name", loaded_by_multiboot())
@pytest.mark.parametrize(("option", "source"), [("-option-rom", "rom@0x[cd]"), ("-initrd", "module@0x")])
def test_provider_from_outside(run: Run, hardware: Place, name: str, option: str, source: str) -> None:
    """From an option ROM, where firmware has put it, and from a module of the loader's: images that a plain
    machine can use, whoever they are for."""
    outcome, report = run(
        hardware, f"checks=boot vmi.provider={name}", bound_kernel("sample", hardware.arch),
        options={"qemu": f"{option} {rom(name, hardware.arch)}"},
    )  # fmt: skip
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert report.boot["backend"] == report.binding["provider"] == name
    assert re.match(source, report.binding["source"]), report.binding


def test_outside_goes_before_inside(run: Run, hardware: Place) -> None:
    """Without being asked: a provider beside the kernel wins over one in it, if it finds itself at home."""
    own, kernel = rom(hardware.backend, hardware.arch), bound_kernel("sample", hardware.arch)
    _, report = run(hardware, "checks=boot", kernel, options={"qemu": f"-option-rom {own} -initrd {own}"})
    assert report.binding["source"].startswith("module@")
    _, report = run(hardware, "checks=boot", kernel, options={"qemu": f"-option-rom {own}"})
    assert report.binding["source"].startswith("rom@")


def test_provider_that_there_is_not(run: Run, hardware: Place) -> None:
    outcome, _ = run(hardware, "vmi.provider=nobody", bound_kernel("sample", hardware.arch))
    assert "vmi: cannot run: no provider is of the name in option vmi.provider=" in outcome.console
    assert "0x13 (refused)" in outcome.end


# What is left in the kernel on plain hardware


@dataclass(frozen=True)
class Site:
    address: int
    ordinal: int
    length: int


def sites_of(path: Path) -> list[Site]:
    """A kernel's call sites."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        section = elf.get_section_by_name(".vmi.sites")
        start, end = (
            symbols.get_symbol_by_name(f"vmi_sites_{name}")[0]["st_value"] - section["sh_addr"]
            for name in ("start", "end")
        )
        records, first = section.data()[start:end], section["sh_addr"] + start
        if elf["e_machine"] == "EM_386":
            return [Site(*fields[:3]) for fields in struct.iter_unpack("<IHBB", records)]
    return [
        Site(first + 12 * index + distance, ordinal, length)
        for index, (distance, ordinal, _, length) in enumerate(struct.iter_unpack("<iHHB3x", records))
    ]


def stubs_of(path: Path) -> dict[str, bytes]:
    """Code of a kernel's functions by their symbols."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        text = elf.get_section_by_name(".text")
        code, base = text.data(), text["sh_addr"]
        return {
            symbol.name: code[symbol["st_value"] - base :][: symbol["st_size"]]
            for symbol in elf.get_section_by_name(".symtab").iter_symbols()
            if symbol["st_size"] and base <= symbol["st_value"] < base + len(code)
        }


@dataclass(frozen=True)
class Running:
    """The first 4 MiB of a machine whose kernel has bound itself, started and been told to hang."""

    arch: str
    memory: bytes

    @property
    def kernel(self) -> Path:
        return bound_kernel("sample", self.arch)

    def at(self, linear: int) -> bytes:
        """What begins at an address of the image."""
        return self.memory[linear - IMAGE_BASE[self.arch] :]

    def model(self) -> dict[str, Any]:
        model: dict[str, Any] = json.loads((tree(self.arch) / "generated/model.json").read_text())
        return model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Running:
    arch = request.param
    folder = tmp_path_factory.mktemp("memory")
    console, memory = folder / "console", folder / "memory"
    machine = subprocess.Popen(
        [f"qemu-system-{arch}", "-machine", "pc,vmport=off", "-m", "64", "-nodefaults", "-no-user-config",
         "-display", "none", "-serial", f"file:{console}", "-monitor", "stdio",
         "-kernel", str(bound_kernel("sample", arch)), "-append", "checks=boot test=hang"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=tied(),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + DEADLINE
        while not (console.exists() and "# test=hang" in console.read_text()):
            assert machine.poll() is None and time.monotonic() < deadline, "the kernel does not come so far"
            time.sleep(0.1)
        machine.communicate(f'pmemsave 0 0x400000 "{memory}"\nquit\n', timeout=DEADLINE)
    finally:
        machine.kill()
    return Running(arch, memory.read_bytes())


def plain_forms(model: dict[str, Any]) -> dict[int, list[str]]:
    """Instructions of plain hardware by ordinal, without the return of a called stub."""
    plain = HARDWARE[ARCHITECTURES[0]].backend
    ways = next(b["calls"] for b in model["backends"] if b["name"] == plain)
    return {
        call["ordinal"]: [line for line in ways[call["name"]]["instructions"] if line != "ret"]
        for call in model["spec"]["calls"]
        if ways[call["name"]]["kind"] == "instruction"
    }


def test_nothing_of_the_interface_is_left(running: Running) -> None:
    """In the memory of the running machine: a site whose plain form is one or two instructions, or fits it,
    holds these and no call, with prefixes in front or nops behind at most. What they are says the linked
    library. A call that is nothing is prefixes of the instruction behind it, if not a nop."""
    sites = sites_of(running.kernel)
    stubs = stubs_of(kernels("sample", running.arch)[HARDWARE[running.arch].backend])
    model = running.model()
    names = {call["ordinal"]: call["c_name"] for call in model["spec"]["calls"]}
    forms = plain_forms(model)
    seen = {"plain": 0, "nothing": 0, "call": 0}
    for record in sites:
        address, ordinal = record.address, record.ordinal
        site = running.at(address)[: record.length]
        lines = forms.get(ordinal)
        # Behind the entry point of a call that has forms is room for the longest.
        wanted = stubs[names[ordinal]].rstrip(b"\xcc").removesuffix(b"\xc3")
        if lines is None or (len(lines) > 2 and len(wanted) > record.length):
            assert site[0] in (0xE8, 0xE9), f"{names[ordinal]} at {address:#x}: {site.hex()}"
            seen["call"] += 1
            continue
        rest = site.lstrip(b"\x3e")
        assert rest.startswith(wanted), f"{names[ordinal]} at {address:#x}: {site.hex()}, not {wanted.hex()}"
        tail = rest[len(wanted) :]
        ends = (b"", *NOPS) if lines else (*NOPS, *PREFIXES)
        assert tail in ends, f"{names[ordinal]} at {address:#x}: {site.hex()}"
        seen["plain" if lines else "nothing"] += 1
    assert min(seen.values()) > 20


def first_instructions(pieces: list[bytes], folder: Path, arch: str) -> list[tuple[int, str]]:
    """Length and text of the instruction that each piece of code begins with, without its prefixes."""
    block = 64
    (folder / "code").write_bytes(b"".join(piece.ljust(block, b"\x90") for piece in pieces))
    command = ["objdump", "-D", "-b", "binary", "-m", OBJDUMP[arch], "--insn-width=16", folder / "code"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in shown.splitlines():
        if match := re.match(r"\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*?)\s*$", line):
            text = " ".join(re.sub(r"%[cs]s:|\b[cs]s ", "", match[3]).split())
            found[int(match[1], 16)] = (len(match[2].split()), text)
    return [found[block * i] for i in range(len(pieces))]


def test_calls_that_are_nothing_become_prefixes(running: Running, tmp_path: Path) -> None:
    """The processor finds one instruction there, which is the one behind the site."""
    forms = plain_forms(running.model())
    places = [
        (site.address, site.length) for site in sites_of(running.kernel) if forms.get(site.ordinal) == []
    ]
    places = [place for place in places if running.at(place[0])[0] in (0x2E, 0x36)]
    assert len(places) > 20
    whole = first_instructions([running.at(at)[:20] for at, _ in places], tmp_path, running.arch)
    behind = first_instructions(
        [running.at(at + length)[:20] for at, length in places], tmp_path, running.arch
    )
    for (at, length), (size, text), (plain_size, plain_text) in zip(places, whole, behind, strict=True):
        code = running.at(at)[:20].hex()
        branch = re.match(r"(call|jmp) ", text)  # shown with its target, which is from another block
        assert size == length + plain_size <= 15, code
        assert text == plain_text or (branch and plain_text.startswith(branch[0])), code


def test_code_is_not_writable_once_bound(running: Running) -> None:
    """In the boot tables, with which a kernel is entered; they outlive the kernel's change to its own."""
    top, shifts = {"i386": ("vmi__boot_pdpt", (30, 21)), "x86_64": ("vmi__boot_root", (39, 30, 21))}[
        running.arch
    ]
    with running.kernel.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab")
        names = ("vmi_image_start", "vmi_rodata_end", "vmi_image_end", top)
        start, read_only_end, end, root = (symbols.get_symbol_by_name(name)[0]["st_value"] for name in names)

    def entry(table: int, index: int) -> int:
        return int.from_bytes(running.memory[table + 8 * index :][:8], "little")

    for address in range(start, end, 0x1000):
        found = root - IMAGE_BASE[running.arch]
        for shift in shifts:
            found = entry(found & FRAME, address >> shift & 511)
        if not found & LARGE:
            found = entry(found & FRAME, address >> 12 & 511)
        assert found & PRESENT
        assert bool(found & WRITABLE) == (address >= read_only_end), hex(address)


OBJDUMP = {"i386": "i386", "x86_64": "i386:x86-64"}
"""What it calls them."""

PRESENT, WRITABLE, LARGE, FRAME = 0x1, 0x2, 0x80, 0x000FFFFFFFFFF000
"""Bits of page-table entries (Intel SDM vol. 3A, 4.4)."""

NOPS = [bytes.fromhex(nop) for nop in ("90", "6690", "0f1f00", "0f1f4000", "0f1f440000", "660f1f440000")]
"""Intel SDM vol. 2B, NOP, table 4-12."""

PREFIXES = [bytes.fromhex(5 * prefix) for prefix in ("2e", "36")]
"""CS and SS overrides (Intel SDM vol. 2A, 2.1.1)."""
