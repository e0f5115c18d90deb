# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Packages as files: apt's answers understood, trees searched, archives written."""

from __future__ import annotations

import lzma
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from ci import initramfs, packages
from ci.util import UserError

DEPENDS = """\
xen-system-amd64
  Depends: xen-hypervisor-4.17-amd64
  Depends: xen-utils-4.17
xen-utils-4.17
  Depends: libc6
  Depends: <python3:any>
    python3
  Depends: python3
 |Depends: libyajl2
  Depends: libyajl3
<python3:any>
python3
  Depends: libpython3
libc6
  Depends: libgcc-s1
xen-hypervisor-4.17-amd64
"""


def test_dependencies() -> None:
    graph = packages.parse_depends(DEPENDS)
    assert graph["xen-utils-4.17"] == ["libc6", "python3", "python3", "libyajl2"]
    chosen = packages.closure(graph, ["xen-system-amd64"], ("lib", "xen-"))
    assert chosen == [
        "libc6", "libgcc-s1", "libyajl2", "xen-hypervisor-4.17-amd64", "xen-system-amd64", "xen-utils-4.17",
    ]  # fmt: skip


def test_records() -> None:
    shown = (
        "Package: libc6\nVersion: 2.36-9\nDescription: a: b\n more: c\nSize: 10\nSHA256: abc\n\n"
        "Package: zlib1g\nVersion: 1:1.2\nSize: 20\nSHA256: def\n"
    )
    assert packages.parse_records(shown) == [
        packages.Package("libc6", "2.36-9", 10, "abc"),
        packages.Package("zlib1g", "1:1.2", 20, "def"),
    ]


def test_unknown_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no source offers is one clear error."""
    with pytest.raises(UserError, match=r"Unable to locate|No packages found|no package"):
        packages.Apt(print).resolve(["no-such-package-anywhere"], ())


def test_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    archive = initramfs.Archive()
    archive.file("/a/b/file", b"content", 0o640)
    archive.link("/a/link", "b/file")
    archive.folder("/empty")
    archive.device("/dev/console", 5, 1)
    data = archive.finish()
    assert len(data) % 512 == 0
    entries = dict(read_newc(data))
    assert list(entries) == ["a", "a/b", "a/b/file", "a/link", "empty", "dev", "dev/console"]
    mode, content, _ = entries["a/b/file"]
    assert (stat.S_ISREG(mode), stat.S_IMODE(mode), content) == (True, 0o640, b"content")
    assert stat.S_ISLNK(entries["a/link"][0]) and entries["a/link"][1] == b"b/file"
    assert stat.S_ISDIR(entries["empty"][0])
    assert stat.S_ISCHR(entries["dev/console"][0]) and entries["dev/console"][2] == (5, 1)
    assert initramfs.Archive().finish() != data


def read_newc(data: bytes) -> list[tuple[str, tuple[int, bytes, tuple[int, int]]]]:
    """A reader by the format's description, independent of the writer."""
    found = []
    position = 0
    while True:
        assert data[position : position + 6] == b"070701"
        fields = [int(data[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        start = position + 110
        name = data[start : start + fields[11] - 1].decode()
        content = (start + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found.append((name, (fields[1], data[content : content + fields[6]], (fields[9], fields[10]))))
        position = (content + fields[6] + 3) & ~3


def test_libraries_are_found_without_running_anything() -> None:
    """Agrees with what the dynamic loader itself says about a program of this machine."""
    program = Path("/usr/bin/qemu-img" if Path("/usr/bin/qemu-img").exists() else "/usr/bin/git")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    wanted = {line.split()[0] for line in listed.splitlines() if "=>" in line}
    found = initramfs.libraries([program], [Path("/")])
    names = {Path(place).name for place in found if place.startswith("/lib/")}
    assert names - {"ld-linux-x86-64.so.2"} == wanted
    assert any(place.startswith("/lib64/ld-linux") for place in found)


def test_missing_library_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs .* which none of the rig's packages holds"):
        initramfs.libraries([Path("/usr/bin/git")], [tmp_path])


def test_modules_of_either_release(tmp_path: Path) -> None:
    """Debian 12 has NAME.ko, Debian 13 NAME.ko.xz; what is built in needs no file."""
    tree = tmp_path / "lib/modules/6"
    tree.mkdir(parents=True)
    (tree / "plain.ko").write_bytes(b"plain")
    (tree / "packed_one.ko.xz").write_bytes(lzma.compress(b"packed"))
    (tree / "modules.builtin").write_text("kernel/built-in.ko\n")
    assert initramfs.modules(tmp_path, ["packed-one", "built-in", "plain"]) == [
        ("packed-one", b"packed"),
        ("plain", b"plain"),
    ]
    with pytest.raises(UserError, match="no module gone"):
        initramfs.modules(tmp_path, ["gone"])


def test_elf_is_what_this_machine_runs() -> None:
    """The rigs hold programs of amd64; on another machine none of the above would mean anything."""
    with open("/usr/bin/git", "rb") as file:
        assert struct.unpack_from("<H", file.read(20), 18)[0] == 62
