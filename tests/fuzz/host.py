# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""runtime/bind's reader of images and binder of sites, as a library of the build machine for Python."""

from __future__ import annotations

import ctypes
import os
import pickle
import struct
import subprocess
from collections.abc import Callable
from ctypes import Structure, byref, c_char, c_char_p, c_size_t, c_uint32
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ci.build import tree
from ci.util import ARCHITECTURES, ROOT

from .images import ORDINALS, for_machine

Result = TypeVar("Result")

TEXT, DATA, CODE, SLOTS, SITES = 0xC0180000, 0xC0200000, 0xC0100000, 0xC0110000, 0xC0170000
"""Where things would lie in a kernel; on x86-64 the upper half is that of the kernel code model."""
SLOT = 16
"""VMI__SLOT_SIZE"""


class Rom(Structure):
    """struct vmi__rom"""

    _fields_ = [
        ("bytes", ctypes.c_void_p),
        *((name, c_uint32) for name in (
            "size", "text_size", "data_offset", "data_size", "memory_size", "reloc_offset", "reloc_count",
            "calls_offset", "calls_count", "forms_offset", "forms_count")),
        *((name, c_uint32) for name in ("priority", "probe", "start")),
        ("name", c_char * 32),
        ("call_at", ctypes.c_uint16 * ORDINALS),
        ("form_at", ctypes.c_uint8 * ORDINALS),
    ]  # fmt: skip


HAS = ctypes.CFUNCTYPE(ctypes.c_bool, c_uint32, c_uint32, c_uint32, c_uint32)
"""Whether a processor has a feature: leaf, subleaf, register and bit."""


class Place(Structure):
    """struct vmi__rom_place"""

    _fields_ = [("memory", ctypes.c_void_p), ("room", c_uint32), ("address", c_size_t), ("used", c_uint32)]


@dataclass
class Site:
    """A call site, and its record (runtime/arch/ARCH/machine.h)."""

    address: int
    ordinal: int
    length: int
    live: int = 0

    def record(self, arch: str, at: int) -> bytes:
        """As it lies at the address `at`."""
        if arch == "i386":
            return struct.pack("<IHBB", self.address, self.ordinal, self.length, self.live)
        return struct.pack("<iHHB3x", self.address - at, self.ordinal, self.live, self.length)


RECORD = {"i386": 8, "x86_64": 12}
"""Bytes of a record."""


class Sites(Structure):
    """struct vmi__sites"""

    _fields_ = [("records", c_char_p), ("count", c_uint32), ("address", c_size_t)]


class Code(Structure):
    """struct vmi__code"""

    _fields_ = [("bytes", ctypes.c_void_p), ("size", c_uint32), ("address", c_size_t)]


class Counts(Structure):
    """struct vmi__site_counts"""

    _fields_ = [("instruction", c_uint32), ("call", c_uint32), ("nop", c_uint32)]


def apart(function: Callable[[], Result]) -> Result:
    """The result of a function in a process of its own: what ends that ends one test and no other."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            with open(writer, "wb") as pipe:
                pickle.dump(function(), pipe)
        finally:
            os._exit(1)  # whoever reads has all, or too little
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status), f"ended by signal {os.WTERMSIG(status)}"
    result: Result = pickle.loads(answer)
    return result


@dataclass(frozen=True)
class Binder:
    """runtime/bind for an architecture."""

    arch: str
    library: ctypes.CDLL

    def at(self, address: int) -> int:
        """The address of a kernel on that architecture."""
        return address if self.arch == "i386" else address | 0xFFFFFFFF << 32


class Loaded:
    """An image that was read, and accepted if `refused` is empty. It is one for the binder's machine, if it
    was for the first one's."""

    def __init__(self, binder: Binder, image: bytes) -> None:
        self.binder = binder
        self.library = library = binder.library
        image = for_machine(image, binder.arch)
        self.image = ctypes.create_string_buffer(image, len(image))
        rom = Rom()
        self.refused, description = apart(
            lambda: (
                text(
                    library.vmi__rom_read(self.image, len(image), byref(rom))
                    or library.vmi__rom_word_sum(byref(rom))
                ),
                bytes(rom),
            )
        )
        self.rom = Rom.from_buffer_copy(description)

    def text(self) -> c_size_t:
        """Where the text part lies."""
        return c_size_t(self.binder.at(TEXT))

    def load(self, text_room: int = 0x1000, data_room: int = 0x1000) -> tuple[str, bytes, bytes]:
        """The reason to refuse it, and what then is in the places of its text part and its data part."""
        parts = [ctypes.create_string_buffer(b"\xa5" * room, room) for room in (text_room, data_room)]
        places = [
            Place(ctypes.addressof(part), len(part), self.binder.at(address), len(part))
            for part, address in zip(parts, (TEXT, DATA), strict=True)
        ]
        return apart(
            lambda: (
                text(self.library.vmi__rom_load(byref(self.rom), *map(byref, places))),
                parts[0].raw,
                parts[1].raw,
            )
        )

    def choose(self, *features: tuple[int, int, int, int]) -> None:
        """Chooses the forms for a processor with these features."""
        has = HAS(lambda *feature: feature in features)
        self.library.vmi__rom_choose(byref(self.rom), has)

    def slots(self, ordinals: set[int]) -> tuple[str, bytes]:
        """What is said of an interface with these calls, and its slots after binding."""
        count = max(ordinals) + 2
        slots = b"".join((b"\xe9" if n in ordinals else b"\xcc").ljust(SLOT, b"\xcc") for n in range(count))
        memory = ctypes.create_string_buffer(slots, len(slots))
        code = Code(ctypes.addressof(memory), len(memory), self.binder.at(SLOTS))

        def bind() -> tuple[str, bytes]:
            reason = self.library.vmi__slots_check(byref(code), byref(self.rom))
            self.library.vmi__slots_bind(byref(code), byref(self.rom), self.text())
            return text(reason), memory.raw

        return apart(bind)

    def bind(self, code: bytes, sites: list[Site]) -> tuple[str, bytes, tuple[int, int, int]]:
        """The reason to stop, the code, and how many sites became instruction, call and nop."""
        memory = ctypes.create_string_buffer(code, len(code))
        kernel, counts = Code(ctypes.addressof(memory), len(code), self.binder.at(CODE)), Counts()
        size = RECORD[self.binder.arch]
        records = b"".join(site.record(self.binder.arch, SITES + size * n) for n, site in enumerate(sites))
        recorded = Sites(records, len(sites), self.binder.at(SITES))

        def bind() -> tuple[str, bytes, tuple[int, int, int]]:
            reason = self.library.vmi__sites_bind(
                byref(kernel), byref(recorded), c_size_t(self.binder.at(SLOTS)), byref(self.rom), self.text(),
                byref(counts),
            )  # fmt: skip
            return text(reason), memory.raw, (counts.instruction, counts.call, counts.nop)

        return apart(bind)


def text(reason: bytes | None) -> str:
    return reason.decode() if reason else ""


def binder(folder: Path, arch: str = ARCHITECTURES[0]) -> Binder:
    """The library. What C leaves undefined ends the process."""
    program = folder / "binder.so"
    machine = ["-DVMI__BIND_I386"] if arch == "i386" else []
    command = ["gcc", "-shared", "-fPIC", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror",
               "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", *machine,
               f"-I{tree(arch) / 'include'}", f"-I{ROOT / 'runtime'}", "-o", str(program),
               str(ROOT / "runtime/bind/rom.c"), str(ROOT / "runtime/bind/sites.c")]  # fmt: skip
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(program))
    for name in ("rom_read", "rom_word_sum", "rom_load", "sites_bind", "slots_check"):
        getattr(library, f"vmi__{name}").restype = c_char_p
    return Binder(arch, library)
