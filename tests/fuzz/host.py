# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""runtime/bind's reader of images and binder of sites, as a library of the build machine for Python."""

from __future__ import annotations

import ctypes
import os
import pickle
import subprocess
from collections.abc import Callable
from ctypes import Structure, byref, c_char, c_char_p, c_uint8, c_uint16, c_uint32
from pathlib import Path
from typing import TypeVar

from ci.util import BUILD, ROOT

Result = TypeVar("Result")

TEXT, DATA, CODE, SLOTS = 0xC0180000, 0xC0200000, 0xC0100000, 0xC0110000
SLOT = 16
"""VMI__SLOT_SIZE"""


class Rom(Structure):
    """struct vmi__rom"""

    _fields_ = [
        ("bytes", ctypes.c_void_p),
        *((name, c_uint32) for name in (
            "size", "text_size", "data_offset", "data_size", "memory_size", "reloc_offset", "reloc_count",
            "calls_offset", "calls_count", "forms_offset", "forms_count")),
        ("chosen", ctypes.c_uint64),
        *((name, c_uint32) for name in ("priority", "probe", "start")),
        ("name", c_char * 32),
    ]  # fmt: skip


HAS = ctypes.CFUNCTYPE(ctypes.c_bool, c_uint32, c_uint32, c_uint32, c_uint32)
"""Whether a processor has a feature: leaf, subleaf, register and bit."""


class Place(Structure):
    """struct vmi__rom_place"""

    _fields_ = [("memory", ctypes.c_void_p), ("room", c_uint32), ("address", c_uint32)]


class Site(Structure):
    """struct vmi__site"""

    _fields_ = [("address", c_uint32), ("ordinal", c_uint16), ("length", c_uint8), ("live", c_uint8)]


class Code(Structure):
    """struct vmi__code"""

    _fields_ = [("bytes", ctypes.c_void_p), ("size", c_uint32), ("address", c_uint32)]


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


class Loaded:
    """An image that was read, and accepted if `refused` is empty."""

    def __init__(self, library: ctypes.CDLL, image: bytes) -> None:
        self.library = library
        self.image = ctypes.create_string_buffer(image, len(image))
        rom = Rom()
        self.refused, description = apart(
            lambda: (
                text(
                    library.vmi__rom_read(self.image, len(image), byref(rom))
                    or library.vmi__rom_sum(byref(rom))
                ),
                bytes(rom),
            )
        )
        self.rom = Rom.from_buffer_copy(description)

    def load(self, text_room: int = 0x1000, data_room: int = 0x1000) -> tuple[str, bytes, bytes]:
        """The reason to refuse it, and what then is in the places of its text part and its data part."""
        parts = [ctypes.create_string_buffer(b"\xa5" * room, room) for room in (text_room, data_room)]
        places = [
            Place(ctypes.addressof(part), len(part), address)
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
        code = Code(ctypes.addressof(memory), len(memory), SLOTS)

        def bind() -> tuple[str, bytes]:
            reason = self.library.vmi__slots_check(byref(code), byref(self.rom))
            self.library.vmi__slots_bind(byref(code), byref(self.rom), c_uint32(TEXT))
            return text(reason), memory.raw

        return apart(bind)

    def bind(self, code: bytes, sites: list[Site]) -> tuple[str, bytes, tuple[int, int, int]]:
        """The reason to stop, the code, and how many sites became instruction, call and nop."""
        memory = ctypes.create_string_buffer(code, len(code))
        kernel, counts = Code(ctypes.addressof(memory), len(code), CODE), Counts()

        def bind() -> tuple[str, bytes, tuple[int, int, int]]:
            reason = self.library.vmi__sites_bind(
                byref(kernel), (Site * len(sites))(*sites), len(sites), c_uint32(SLOTS), byref(self.rom),
                c_uint32(TEXT), byref(counts),
            )  # fmt: skip
            return text(reason), memory.raw, (counts.instruction, counts.call, counts.nop)

        return apart(bind)


def text(reason: bytes | None) -> str:
    return reason.decode() if reason else ""


def binder(folder: Path) -> ctypes.CDLL:
    """The library. What C leaves undefined ends the process."""
    program = folder / "binder.so"
    command = ["gcc", "-shared", "-fPIC", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror",
               "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error",
               f"-I{BUILD / 'include'}", f"-I{ROOT / 'runtime'}", "-o", str(program),
               str(ROOT / "runtime/bind/rom.c"), str(ROOT / "runtime/bind/sites.c")]  # fmt: skip
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(program))
    for name in ("rom_read", "rom_sum", "rom_load", "sites_bind", "slots_check"):
        getattr(library, f"vmi__{name}").restype = c_char_p
    return library
