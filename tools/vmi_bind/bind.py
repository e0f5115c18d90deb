# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Binds a kernel: hands code, sites and the library's image to runtime/bind/bind_sites.c, which decides."""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .kernel import Kernel, Site
from .problems import InputError, Refused

ROOT = Path(__file__).resolve().parents[2]
"""Of this tree, or share/vmi/ of the installed one."""
REFUSED, BOUND = 1, 3
"""Exit statuses of the program."""
OUTCOMES = {
    "i": "instruction",
    "p": "nothing (prefixes of the next instruction)",
    "n": "nothing (a NOP)",
    "c": "call (code of the library)",
    "f": "call (chosen by a feature of the processor)",
    "l": "call (its instructions are longer than the site)",
}
"""What a site became, by what the program says."""


@dataclass(frozen=True)
class Place:
    """Where the parts of the SDK for one architecture are."""

    program: Path
    model: Path
    roms: Path

    @staticmethod
    def built(folder: Path) -> Place:
        """In a build tree."""
        return Place(folder / "tools/bind-sites", folder / "include/vmi/model.json", folder / "backends")

    @staticmethod
    def installed(arch: str) -> Place:
        """In the installed tree, of which this file is a part."""
        folder = ROOT / arch
        note = folder / "bind-sites.path"
        try:
            program = folder / note.read_text(encoding="utf-8").splitlines()[-1]
        except OSError:
            raise InputError(f"the SDK for {arch} is not installed here: {note} is not there") from None
        return Place(program, folder / "model.json", folder / "roms")


@dataclass(frozen=True)
class Call:
    """A call of the interface."""

    name: str
    c_name: str
    is_jump: bool


@dataclass(frozen=True)
class Bound:
    """A kernel that was bound."""

    library: str
    already: bool
    """Whether it was bound before; then nothing changes."""
    data: bytes
    outcomes: list[str]
    """Of each site, a key of OUTCOMES."""
    calls: dict[int, Call]


def calls_of(model: Path) -> dict[int, Call]:
    """The calls of the interface by their ordinals."""
    spec = json.loads(model.read_text(encoding="utf-8"))["spec"]
    return {
        call["ordinal"]: Call(call["name"], call["c_name"], call["convention"] == "jump")
        for call in spec["calls"]
    }


def image_of(kernel: Kernel, roms: Path) -> tuple[str, bytes]:
    """The name of the library that a kernel is linked with, and its image, which is of the same build."""
    try:
        mark, name, _ = kernel.library.decode("ascii").split(" ")
    except ValueError:
        mark = name = ""
    if mark != "vmi-library" or not name.isidentifier():
        raise Refused("what its library says of itself is broken")
    path = roms / f"{name}.rom"
    try:
        rom = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"it is linked with {name}, of which there is no image: {path} is not there") from None
    if kernel.library + b"\0" not in rom:
        raise Refused(f"it is linked with {name} of another build than {path}; link it again")
    return name, rom


def bind(kernel: Kernel, place: Place) -> Bound:
    """Binds. Refused if anything cannot be proven; the reason names the site, if it is one site's."""
    name, rom = image_of(kernel, place.roms)
    calls = calls_of(place.model)
    start = kernel.code_offset
    code = kernel.data[start : start + kernel.code_size]
    entries = bytearray()
    for ordinal in range(max(calls) + 1):
        call = calls.get(ordinal)
        address = kernel.symbols.get(call.c_name, 0) if call else 0
        entries += struct.pack("<QQ", address, call is not None and call.is_jump)
    head = struct.pack(
        "<6Q", len(rom), len(code), kernel.code_address, len(kernel.sites), kernel.sites_address,
        len(entries) // 16,
    )  # fmt: skip
    request = head + rom + code + kernel.records + entries
    try:
        done = subprocess.run([place.program], input=request, capture_output=True, check=False)
    except OSError as error:
        raise InputError(f"{place.program}: {error.strerror}; build and install the SDK") from None
    if done.returncode == BOUND:
        return Bound(name, True, kernel.data, [], calls)
    if done.returncode == REFUSED:
        number, _, reason = done.stderr.decode().strip().partition(" ")
        where = _of_site(kernel, calls, kernel.sites[int(number)]) if number != "-1" else ""
        raise Refused(where + reason)
    if done.returncode or len(done.stdout) != len(code) + len(kernel.sites):
        raise InputError(f"{place.program} ended with status {done.returncode}; build and install it again")
    made = done.stdout[: len(code)]
    data = kernel.data[:start] + made + kernel.data[start + len(code) :]
    return Bound(name, False, data, list(done.stdout[len(code) :].decode("ascii")), calls)


def _of_site(kernel: Kernel, calls: dict[int, Call], site: Site) -> str:
    name = calls[site.ordinal].name if site.ordinal in calls else f"call {site.ordinal}"
    return f"{site.address:#x}, {kernel.name_of(site.address)}, {name}: "
