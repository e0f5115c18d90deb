# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Members of `ar` archives, thin ones too (binutils' `ar` manual; the headers are those of ar(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .problems import InputError

MAGIC = b"!<arch>\n"
THIN = b"!<thin>\n"
_HEADER = 60
# Where a long name is in the table of names; binutils' thin archives may have a slash after the spaces.
_LONG = re.compile(r"/([0-9]+)(?: |$)")
# The archive's own tables: symbols (32 and 64 bits), long names, BSD's symbols.
_TABLES = ("/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED")


_BITCODE = (
    "no machine code, only LLVM's intermediate code (-flto); compile with -ffat-lto-objects (clang 17), or "
    "lint the linked file"
)
_NOT_ELF = "expected ELF for i386 or x86-64"
# LLVM Language Reference, "LLVM Bitcode File Format"; Microsoft PE Format; Apple's mach-o/loader.h;
# WebAssembly.
_OTHERS = {
    b"BC\xc0\xde": _BITCODE,
    b"\xde\xc0\x17\x0b": _BITCODE,
    b"MZ": f"an image for DOS, Windows or UEFI (PE); {_NOT_ELF}",
    b"\x4c\x01": f"an object for Windows (COFF); {_NOT_ELF}",
    b"\x64\x86": f"an object for Windows (COFF); {_NOT_ELF}",
    b"\xce\xfa\xed\xfe": f"an object for macOS (Mach-O); {_NOT_ELF}",
    b"\xcf\xfa\xed\xfe": f"an object for macOS (Mach-O); {_NOT_ELF}",
    b"\0asm": f"WebAssembly; {_NOT_ELF}",
}


def is_archive(data: bytes) -> bool:
    """Whether the bytes begin an archive."""
    return data.startswith((MAGIC, THIN))


def other_code(data: bytes) -> str | None:
    """What there is to say of a file that is code, and not of the linter's kind."""
    if is_archive(data):
        return "an archive in an archive; take it apart (ar x), and lint it by itself"
    return next((text for magic, text in _OTHERS.items() if data.startswith(magic)), None)


def members(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member that is a file."""
    thin = data.startswith(THIN)
    names = b""
    at = len(MAGIC)
    while at < len(data):
        header = data[at : at + _HEADER]
        if len(header) < _HEADER or header[58:] != b"`\n":
            raise InputError(f"{path}: the archive is damaged or cut off at byte {at}")
        name = header[:16].decode("latin-1").rstrip()
        digits = header[48:58].strip()
        if not digits.isdigit():
            raise InputError(f"{path}: the archive is damaged: no size at byte {at + 48}")
        size = int(digits)
        at += _HEADER
        table = name in _TABLES or name == "//"
        if (table or not thin) and at + size > len(data):
            raise InputError(f"{path}: the archive is cut off in the member at byte {at - _HEADER}")
        content = data[at : at + size] if table or not thin else b""
        if table or not thin:
            at += size + size % 2
        if name == "//":
            names = content
            continue
        if name.startswith("#1/") and name[3:].isdigit():
            length = int(name[3:])
            name, content = content[:length].rstrip(b"\0").decode("utf-8", "replace"), content[length:]
        elif long := _LONG.match(name):
            start = int(long.group(1))
            end = names.find(b"/\n", start)
            if end < 0:
                raise InputError(f"{path}: the archive is damaged: no long name at {start}")
            name = names[start:end].decode("utf-8", "replace")
        else:
            name = name.rstrip("/") if name not in _TABLES else name
        if name in _TABLES:
            continue
        if thin:
            try:
                content = (path.parent / name).read_bytes()
            except OSError as error:
                raise InputError(f"{path}: cannot read its member {name} ({error.strerror})") from None
        yield name, content
