# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`vmi-bind`: kernels that are bound on the build machine run, nothing but their call sites changes, and what
cannot be proven is refused."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from vmi_bind.kernel import Kernel, read

from ci.build import bound_kernel, kernels, tree
from ci.util import ARCHITECTURES, ROOT

from ..guests import Place, Run, Whole, ends

ARCH = ARCHITECTURES[0]
BUILD = tree(ARCH)
LIBRARY = next(iter(kernels("sample")))
"""The first backend's, which others build on."""
RECORD = struct.Struct("<IHBB")
KINDS = {"instruction": "instruction", "call": "call", "nop": "nothing"}
"""What the summary calls what lines of the list begin with."""
CALL, RET = 0xE8, 0xC3
SOME = "boot,traps,interrupts,paging,threads.,processes"
OF_DEVICES = re.compile(r"(disks|networks|entropy)\.")
"""Checks of the sample kernel."""


@pytest.fixture(scope="module")
def linked() -> Kernel:
    return read(kernels("sample")[LIBRARY])


def bind(*words: str | Path, build: Path = BUILD) -> subprocess.CompletedProcess[str]:
    """Runs the tool on what the build has, or on a copy of it."""
    command = [sys.executable, "-B", "-m", "vmi_bind", "--build", build, *words]
    paths = {"PYTHONPATH": f"{ROOT / 'tools'}:{ROOT / 'codegen'}"}
    return subprocess.run(
        command, env={**os.environ, **paths}, capture_output=True, text=True, check=False, timeout=120
    )


def refusal(kernel: Path, tmp_path: Path, status: int = 1, build: Path = BUILD) -> str:
    """The one line, with which nothing is written."""
    before, output = kernel.read_bytes(), tmp_path / "output"
    done = bind(kernel, "-o", output, build=build)
    assert done.returncode == status, done
    assert not done.stdout and len(done.stderr.splitlines()) == 1, done.stderr
    assert not output.exists()
    assert bind(kernel, build=build).returncode == status
    assert kernel.read_bytes() == before
    return done.stderr


# Bound kernels run


def ends_as_linked(configuration: Place, run: Run, whole: Whole, some: bool, devices: bool) -> None:
    """Checks end as in the kernel that is only linked; the devices' drivers are the library's."""
    bound = kernels("sample-bound", configuration.arch)[configuration.backend]
    told = f"checks={SOME}" if some else ""
    outcome, report = run(configuration, told, kernel=bound, devices=devices)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    linked, before = whole(configuration)
    assert before.failures() == []
    assert linked.clean, linked.end
    ended, status = ends(report), ends(before)
    assert told or ended.keys() == status.keys()
    assert len(ended) > 20
    assert ended == {
        name: status[name] if devices or not OF_DEVICES.match(name) else ended[name] for name in ended
    }


@pytest.mark.every_architecture
def test_bound_kernel_runs(configuration: Place, run: Run, whole: Whole) -> None:
    """With all checks, or where guests are slow with some, without devices."""
    fast = bool(configuration.rig.instruction_counter)
    ends_as_linked(configuration, run, whole, not fast, fast)


@pytest.mark.long
@pytest.mark.every_architecture
@pytest.mark.but_the_slowest
def test_bound_kernel_makes_every_check(configuration: Place, run: Run, whole: Whole) -> None:
    """Where guests are slow, too."""
    ends_as_linked(configuration, run, whole, False, bool(configuration.rig.instruction_counter))


# What changes


@pytest.mark.parametrize("backend", kernels("sample"))
def test_only_call_sites_change(backend: str, tmp_path: Path) -> None:
    """And to what the library does: the instructions of its entry point, nothing, or the call as it was."""
    output, again = tmp_path / "bound.elf", tmp_path / "again.elf"
    done = bind(kernels("sample")[backend], "--list", "-o", output)
    assert done.returncode == 0, done.stderr
    kernel = read(kernels("sample")[backend])
    data = output.read_bytes()
    assert len(data) == len(kernel.data)
    rest = bytearray(kernel.data)
    *lines, summary = done.stdout.splitlines()
    assert len(lines) == len(kernel.sites) > 100
    outcomes: Counter[str] = Counter()
    for site, line in zip(kernel.sites, lines, strict=True):
        start = kernel.code_offset + site.address - kernel.code_address
        rest[start : start + site.length] = data[start : start + site.length]
        head, outcome, code = line.split(": ")
        assert head.startswith(f"{site.address:#x} ")
        assert bytes.fromhex(code) == data[start : start + site.length]
        outcomes[outcome.partition(" ")[0]] += 1
        (distance,) = struct.unpack_from("<i", kernel.data, start + 1)
        entry = kernel.code_offset + site.address + 5 + distance - kernel.code_address
        if outcome.startswith("call"):
            assert data[start : start + 5] == kernel.data[start : start + 5]
        elif outcome == "instruction":
            bare = data[start : start + site.length].lstrip(b"\x3e")
            body = kernel.data[entry:].split(bytes([RET]))[0] if kernel.data[start] == CALL else b"\xcf"
            assert bare.startswith((body, b"\x0f\x35")), line
        else:
            assert kernel.data[start] == CALL and kernel.data[entry] == RET, line
    assert bytes(rest) == data  # symbols, unwind information and line numbers among the rest
    kinds = (f"{name}={outcomes[kind]}" for name, kind in KINDS.items())
    assert " ".join(kinds) in summary
    assert bind(kernels("sample")[backend], "-o", again).returncode == 0
    assert again.read_bytes() == data == kernels("sample-bound")[backend].read_bytes()


@pytest.mark.parametrize("backend", kernels("sample", ARCHITECTURES[1]))
def test_other_architecture(backend: str, tmp_path: Path) -> None:
    """Only sites change, and what was bound is found to be."""
    build, output = tree(ARCHITECTURES[1]), tmp_path / "bound.elf"
    kernel = read(kernels("sample", ARCHITECTURES[1])[backend])
    assert bind(kernel.path, "-o", output, build=build).returncode == 0
    data, rest = output.read_bytes(), bytearray(kernel.data)
    for site in kernel.sites:
        start = kernel.code_offset + site.address - kernel.code_address
        rest[start : start + site.length] = data[start : start + site.length]
    assert bytes(rest) == data != kernel.data
    assert "already" in bind(output, build=build).stdout


def test_what_features_choose_stays_a_call(linked: Kernel, tmp_path: Path) -> None:
    """By the front door, which knows the build."""
    command = [ROOT / "vmi", "bind", "--list", "-o", tmp_path / "listed.elf", linked.path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    chosen = [line for line in done.stdout.splitlines() if "chosen by a feature" in line]
    assert {line.split()[2] for line in chosen[:-1]} == {
        "APICRead:", "APICWrite:", "BeginUserAccess:", "EndUserAccess:", "XSETBV:",
    }  # fmt: skip


def test_in_place(linked: Kernel, tmp_path: Path) -> None:
    """The file keeps its permissions, a link stays one, and a kernel that is bound is said to be so."""
    kernel, link = tmp_path / "kernel.elf", tmp_path / "link"
    shutil.copy(linked.path, kernel)
    kernel.chmod(0o640)
    link.symlink_to(kernel)
    assert bind(link, "--quiet").stdout == ""
    data = kernels("sample-bound")[LIBRARY].read_bytes()
    assert kernel.read_bytes() == data and link.is_symlink()
    assert stat.S_IMODE(kernel.stat().st_mode) == 0o640
    done = bind(kernel)
    assert done.returncode == 0
    assert done.stdout == f"{kernel}: was bound to {LIBRARY} already; nothing changed\n"
    assert kernel.read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernel.elf", "link"]


def test_debug_information_is_kept(tmp_path: Path) -> None:
    """Lines, types and frames of a kernel that was compiled with -g are byte for byte what they were."""
    kernel = hello(tmp_path, "-g")
    before = sections(kernel)
    assert bind(kernel).returncode == 0
    after = sections(kernel)
    assert {".debug_line", ".debug_info", ".debug_frame", ".symtab"} <= set(before)
    assert [name for name in before if before[name] != after[name]] == [".text"]


def sections(path: Path) -> dict[str, bytes]:
    elf = ELFFile(io.BytesIO(path.read_bytes()))
    return {section.name: section.data() for section in elf.iter_sections() if section["sh_size"]}


def hello(folder: Path, *more: str, library: str = LIBRARY) -> Path:
    """The smallest example, linked with a library of the build."""
    kernel = folder / "hello.elf"
    command = [
        "gcc", "-m32", "-march=i686", "-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-fno-stack-protector",
        "-nostdlib", "-static", "-Wl,--build-id=none", f"-I{BUILD / 'include'}",
        f"-Wl,-T,{ROOT / 'runtime/arch/i386/kernel.ld'}", *more, ROOT / "examples/hello/hello.c",
        BUILD / f"backends/libvmi-{library}.a", "-o", kernel,
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return kernel


# What is refused


def changed(linked: Kernel, folder: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(linked.data)
    change(data)
    path = folder / "changed.elf"
    path.write_bytes(data)
    return path


def place(linked: Kernel, address: int) -> int:
    return linked.code_offset + address - linked.code_address


def records(linked: Kernel) -> int:
    """Where the records are in the file."""
    return linked.data.index(linked.records)


def other_site(linked: Kernel) -> int:
    """A site that the binder makes an instruction."""
    names = {linked.symbols["vmi_get_cr3"]}
    for index, site in enumerate(linked.sites):
        (distance,) = struct.unpack_from("<i", linked.data, place(linked, site.address) + 1)
        if site.address + 5 + distance in names:
            return index
    raise AssertionError("no GetCR3")


def test_site_that_is_no_call_of_its_entry_point(linked: Kernel, tmp_path: Path) -> None:
    site = linked.sites[other_site(linked)]

    def elsewhere(data: bytearray) -> None:
        data[place(linked, site.address) + 1] ^= 0x10

    said = refusal(changed(linked, tmp_path, elsewhere), tmp_path)
    assert f"{site.address:#x}, " in said and "GetCR3: the site is no call of its entry point" in said


def test_half_bound_kernel(linked: Kernel, tmp_path: Path) -> None:
    """Some sites as bound, others not: nobody knows what was done to it."""
    site = linked.sites[other_site(linked)]
    bound = kernels("sample-bound")[LIBRARY].read_bytes()

    def half(data: bytearray) -> None:
        start = place(linked, site.address)
        data[start : start + 5] = bound[start : start + 5]

    assert "the site is no call of its entry point" in refusal(changed(linked, tmp_path, half), tmp_path)


def test_entry_point_that_is_another(linked: Kernel, tmp_path: Path) -> None:
    def wrong(data: bytearray) -> None:
        data[place(linked, linked.symbols["vmi_get_cr3"]) + 2] = 0xD0  # cr2

    said = refusal(changed(linked, tmp_path, wrong), tmp_path)
    assert "GetCR3: the call's entry point in the kernel is not what the library's image has" in said


def test_entry_point_that_does_more(linked: Kernel, tmp_path: Path) -> None:
    """The same instructions, and then no return."""

    def more(data: bytearray) -> None:
        data[place(linked, linked.symbols["vmi_get_cr3"]) + 3] = 0x90

    assert "the call's entry point in the kernel is not" in refusal(
        changed(linked, tmp_path, more), tmp_path
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((None, 0xFFF, None), "call 4095: the kernel has no entry point of the call"),
        ((None, None, 4), "a call site has an impossible length"),
        ((None, None, 16), "a call site has an impossible length"),
        ((0x1000, None, None), "the site is outside the kernel's code"),
    ],
)
def test_record_that_is_broken(
    linked: Kernel, tmp_path: Path, fields: tuple[int | None, ...], reason: str
) -> None:
    index = 7  # the first is what the code is found by
    site = linked.sites[index]

    def broken(data: bytearray) -> None:
        now = (site.address, site.ordinal, site.length)
        made = [new if new is not None else old for old, new in zip(now, fields, strict=True)]
        RECORD.pack_into(data, records(linked) + index * RECORD.size, *made, 0)

    assert reason in refusal(changed(linked, tmp_path, broken), tmp_path)


def test_sites_that_overlap(linked: Kernel, tmp_path: Path) -> None:
    """The same record twice, in place of the next."""

    def twice(data: bytearray) -> None:
        start = records(linked) + 7 * RECORD.size
        data[start + RECORD.size : start + 2 * RECORD.size] = data[start : start + RECORD.size]

    assert "two call sites overlap" in refusal(changed(linked, tmp_path, twice), tmp_path)


def test_first_site_outside(linked: Kernel, tmp_path: Path) -> None:
    def outside(data: bytearray) -> None:
        struct.pack_into("<I", data, records(linked), 0x1000)

    assert "its first call site, at 0x1000, is outside its code" in refusal(
        changed(linked, tmp_path, outside), tmp_path
    )


def test_kernel_that_binds_itself(tmp_path: Path) -> None:
    assert "it binds itself when it starts" in refusal(bound_kernel("sample"), tmp_path)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--strip-all"], "it has no symbols; bind it before it is stripped"),
        (["--remove-section=.vmi.sites"], "it has no records of call sites"),
        (["--strip-symbol=vmi__library"], "it says of no VMI library that it is linked with it"),
    ],
)
def test_parts_that_are_missing(linked: Kernel, tmp_path: Path, options: list[str], reason: str) -> None:
    kernel = tmp_path / "less.elf"
    subprocess.run(["objcopy", *options, linked.path, kernel], check=True, capture_output=True)
    assert reason in refusal(kernel, tmp_path)


def test_relocations_that_are_kept(tmp_path: Path) -> None:
    """Whoever moves such a kernel would write into what its sites became."""
    said = refusal(hello(tmp_path, "-Wl,--emit-relocs"), tmp_path)
    assert "it keeps a relocation of its call site at 0x" in said and "without --emit-relocs" in said


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What vmi-bind reads of a build tree."""
    folder = tmp_path / "build"
    for name in ("tools/bind-sites", "include/vmi/model.json", f"backends/{LIBRARY}.rom"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(BUILD / name, folder / name)
    return folder


def test_image_of_another_build(linked: Kernel, tmp_path: Path, copy: Path) -> None:
    path = copy / f"backends/{LIBRARY}.rom"
    rom = bytearray(path.read_bytes())
    at = rom.index(b"vmi-library ") + len(f"vmi-library {LIBRARY} ")
    rom[at] ^= 1
    path.write_bytes(rom)
    said = refusal(linked.path, tmp_path, build=copy)
    assert f"it is linked with {LIBRARY} of another build than {path}; link it again" in said


def test_image_that_is_broken(linked: Kernel, tmp_path: Path, copy: Path) -> None:
    path = copy / f"backends/{LIBRARY}.rom"
    rom = bytearray(path.read_bytes())
    rom[-1] ^= 1
    path.write_bytes(rom)
    assert "its words do not add up" in refusal(linked.path, tmp_path, build=copy)


def test_image_that_is_not_there(linked: Kernel, tmp_path: Path, copy: Path) -> None:
    (copy / f"backends/{LIBRARY}.rom").unlink()
    assert f"linked with {LIBRARY}, of which there is no image" in refusal(linked.path, tmp_path, build=copy)


def test_misuse(linked: Kernel, tmp_path: Path) -> None:
    """Exit status 2, and what is wrong."""
    text, cut, foreign = tmp_path / "text", tmp_path / "cut", tmp_path / "foreign"
    text.write_text("no kernel")
    cut.write_bytes(linked.data[:0x400])
    foreign.write_bytes(linked.data[:18] + b"\xb7\0" + linked.data[20:])  # AArch64
    part = next(BUILD.rglob("hello.c.o"), None) or next(BUILD.rglob("*.o"))
    for path, reason in (
        (text, "expected a linked kernel, an ELF file"),
        (cut, "the ELF file is broken"),
        (foreign, "expected a kernel for i386 or x86-64"),
        (part, "link it first"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none", "No such file"),
    ):
        done = bind(path)
        assert done.returncode == 2 and reason in done.stderr and len(done.stderr.splitlines()) == 1, done
    for words in ([], ["--no-such-option", str(linked.path)], [str(linked.path), "another"]):
        done = bind(*words)
        assert done.returncode == 2 and done.stderr.endswith("--help\n"), done


def test_output_that_cannot_be_written(linked: Kernel, tmp_path: Path) -> None:
    done = bind(linked.path, "-o", tmp_path / "nowhere/kernel.elf")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "nowhere" in done.stderr
    assert list(tmp_path.iterdir()) == []
