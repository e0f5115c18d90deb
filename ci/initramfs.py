# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Initial RAM file systems in the newc format, and what goes into them.

The format is described in Linux's Documentation/driver-api/early-userspace/buffer-format.rst: the
kernel accepts several archives one after the other, which is how a session's guests are added to
a cached rig. Written here because device nodes would otherwise need root.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .util import UserError

LIBRARY_FOLDERS = (
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
)


class Archive:
    """A newc archive under construction; parents of a path are made as needed."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._seen: set[str] = set()
        self._inode = 0

    def _entry(self, path: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        path = path.strip("/")
        if path in self._seen:
            return
        if "/" in path:
            self.folder(path.rsplit("/", 1)[0])
        self._seen.add(path)
        self._append(path, mode, data, device)

    def _append(self, path: str, mode: int, data: bytes, device: tuple[int, int]) -> None:
        self._inode += 1
        name = path.encode() + b"\0"
        # Magic, then 13 fields of 8 hexadecimal digits: inode, mode, uid, gid, links, mtime, size,
        # device of the file system (2), device of a node (2), length of the name, checksum.
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        self._data += b"070701" + b"".join(b"%08x" % field for field in fields)
        for part in (name, data):
            self._data += part
            self._data += bytes(-len(self._data) % 4)

    def folder(self, path: str) -> None:
        self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._entry(path, stat.S_IFREG | mode, data)

    def program(self, path: str, source: Path) -> None:
        self.file(path, source.read_bytes(), 0o755)

    def link(self, path: str, target: str) -> None:
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path: str, major: int, minor: int) -> None:
        self._entry(path, stat.S_IFCHR | 0o600, b"", (major, minor))

    def finish(self) -> bytes:
        """The archive's bytes, padded so that another archive may follow."""
        self._append("TRAILER!!!", 0, b"", (0, 0))
        self._data += bytes(-len(self._data) % 512)
        return bytes(self._data)


def libraries(programs: Iterable[Path], roots: Sequence[Path]) -> dict[str, Path]:
    """The shared libraries that `programs` need, as paths in the guest to files here.

    Reads DT_NEEDED, DT_RUNPATH and PT_INTERP, and looks under each of `roots` in turn; nothing is
    executed, so the files may be of another release than the machine.
    """
    # Imported here: building a rig is rare, and a warm start must not pay for it.
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    found: dict[str, Path] = {}
    waiting = list(programs)
    while waiting:
        program = waiting.pop()
        with open(program, "rb") as file:
            elf = ELFFile(file)
            needed: list[str] = []
            own: list[str] = []
            for section in elf.iter_sections():
                if isinstance(section, DynamicSection):
                    tag: Any  # has attributes by its kind
                    for tag in section.iter_tags():
                        if tag.entry.d_tag == "DT_NEEDED":
                            needed.append(tag.needed)
                        elif tag.entry.d_tag == "DT_RUNPATH":
                            own += [part.strip("/") for part in tag.runpath.split(":") if part[0] == "/"]
            for segment in elf.iter_segments():
                if isinstance(segment, InterpSegment):
                    interpreter = segment.get_interp_name()
                    if interpreter not in found:
                        found[interpreter] = _locate(Path(interpreter).name, LIBRARY_FOLDERS, roots, program)
        for name in needed:
            place = f"/lib/x86_64-linux-gnu/{name}"
            if place not in found:
                found[place] = _locate(name, (*own, *LIBRARY_FOLDERS), roots, program)
                waiting.append(found[place])
    return found


def _locate(name: str, folders: Sequence[str], roots: Sequence[Path], program: Path) -> Path:
    for root in roots:
        for folder in folders:
            path = root / folder / name
            if path.is_file():
                return path
    raise UserError(f"{program.name} needs {name}, which none of the rig's packages holds")


def plain(path: Path) -> bytes:
    """A file's content, unpacked by its suffix (modules are .ko on Debian 12, .ko.xz on 13)."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return data


def modules(tree: Path, names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Kernel modules by name, in the order given, each after those that it depends on (`depends=` in its
    .modinfo section); those built into the kernel are left out."""
    builtin = {
        Path(line).stem.replace("_", "-")
        for listing in tree.glob("**/modules.builtin")
        for line in listing.read_text().splitlines()
    }
    files = {
        re.sub(r"\.ko(\.xz)?$", "", path.name).replace("_", "-"): path
        for path in sorted(tree.glob("**/*.ko*"))
    }
    result: dict[str, bytes] = {}

    def add(name: str, wanted_by: str) -> None:
        if name in result or name in builtin:
            return
        if name not in files:
            why = f", which {wanted_by} depends on" if wanted_by else ""
            raise UserError(f"the rig's kernel has no module {name}{why}")
        data = plain(files[name])
        found = re.search(rb"(?:^|\0)depends=([^\0]*)\0", data)
        for other in found[1].decode().split(",") if found and found[1] else []:
            add(other.replace("_", "-"), name)
        result[name] = data

    for name in names:
        add(name, "")
    return list(result.items())
