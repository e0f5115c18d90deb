# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The slot for flavours of a library: one that counts each call, linked with the sample kernel's objects."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codegen import vmiflavour

ROOT = Path(__file__).resolve().parents[2]
BUILDS = {"i386": "build", "x86_64": "build-x86_64"}
BASE = "native"
"""The library that plain QEMU runs; every other one has the same entry points."""
COMPILE = {
    "i386": ["-m32", "-march=i686"],
    "x86_64": ["-m64", "-march=x86-64", "-mcmodel=kernel", "-mno-red-zone"],
}
FREESTANDING = [
    "-O2",
    "-ffreestanding",
    "-fno-pic",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-mgeneral-regs-only",
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
    "-Werror",
]
UNCOUNTED = {"bench_workloads.c.o", "entry.S.o"}
"""Objects of the sample kernel that make calls without counting them, or some of them."""


@pytest.fixture(scope="module", params=BUILDS)
def arch(request: pytest.FixtureRequest) -> str:
    if not (ROOT / BUILDS[request.param] / "include/vmi/flavour.S").is_file():
        pytest.skip(f"{request.param} is not built")
    return str(request.param)


def call(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def objects(build: Path, out: Path, arch: str, functions: str = "count.c") -> list[Path]:
    """The entry points and the flavour's functions, compiled."""
    here = Path(__file__).resolve().parent
    include = [f"-I{build / 'include'}", f"-I{ROOT / 'runtime'}", f"-I{ROOT / 'runtime/arch' / arch}"]
    made = []
    for source in (build / "include/vmi/flavour.S", here / functions):
        made.append(out / f"{source.stem}.o")
        call("gcc", *COMPILE[arch], *FREESTANDING, *include, "-c", source, "-o", made[-1])
    return made


def linked(arch: str, out: Path, functions: str) -> Path:
    """The sample kernel's objects, linked with the flavour in place of the library."""
    build = ROOT / BUILDS[arch]
    library = out / f"libvmi-{BASE}-flavour.a"
    vmiflavour.make(
        build / f"backends/libvmi-{BASE}.a",
        build / "include/vmi/flavour.syms",
        objects(build, out, arch, functions),
        library,
    )
    script = ROOT / "runtime/arch" / arch / "kernel.ld"
    call(
        "gcc",
        COMPILE[arch][0],
        "-nostdlib",
        "-static",
        "-Wl,-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,noexecstack",
        f"-Wl,-T,{script}",
        "-Wl,--whole-archive",
        build / "sample_kernel/libsample-kernel.a",
        "-Wl,--no-whole-archive",
        library,
        "-o",
        out / "sample.elf",
    )
    return out / "sample.elf"


@pytest.fixture(scope="module")
def kernel(arch: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the flavour that counts."""
    return linked(arch, tmp_path_factory.mktemp(f"flavour-{arch}"), "count.c")


def boot(kernel: Path, append: str = "", *further: str) -> subprocess.CompletedProcess[str]:
    """On plain hardware."""
    command = "qemu-system-x86_64 -accel tcg -cpu max -m 64 -smp 2 -nodefaults -no-user-config -display none"
    ends = "-serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4"
    return subprocess.run(
        [
            *command.split(),
            *ends.split(),
            *further,
            "-kernel",
            kernel,
            "-append",
            f"vmi.debug_exit=0xf4 {append}",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )


def called_by(build: Path, spec: dict[str, Any]) -> set[int]:
    """Ordinals of the calls that objects without counts make."""
    folder = build / "sample_kernel/libsample-kernel.a.p"
    files = [path for path in folder.iterdir() if path.name.endswith(tuple(UNCOUNTED))]
    assert len(files) == len(UNCOUNTED)
    listed = subprocess.run(["nm", "-u", *files], capture_output=True, text=True, check=True).stdout
    ordinals = {each["c_name"]: each["ordinal"] for each in spec["calls"]}
    return {ordinals[name] for name in re.findall(r"U (\w+)$", listed, re.MULTILINE) if name in ordinals}


def test_each_call_is_counted(arch: str, kernel: Path) -> None:
    """The kernel passes as it does with the library itself, and both have counted the same."""
    done = boot(kernel)
    assert done.returncode == 0x10 << 1 | 1, done.stdout[-3000:]
    assert " exact=yes" in done.stdout
    kernels = {
        int(ordinal): (name, int(count))
        for name, ordinal, count in re.findall(
            r"^# call (\w+) ordinal=(\d+) .*?count=(\d+)", done.stdout, re.MULTILINE
        )
    }
    flavours = {
        int(ordinal): (int(entered), int(left))
        for ordinal, entered, left in re.findall(
            r"^# flavour (\d+) entered=(\d+) left=(\d+)", done.stdout, re.MULTILINE
        )
    }
    spec = json.loads((ROOT / BUILDS[arch] / "include/vmi/model.json").read_text())["spec"]
    jumps = {each["ordinal"] for each in spec["calls"] if each["convention"] == "jump"}
    interruptible = {each["ordinal"] for each in spec["calls"] if each["interruptible"]}
    uncounted = called_by(ROOT / BUILDS[arch], spec)
    made = {ordinal: count for ordinal, (_, count) in kernels.items() if count}
    assert len(made.keys() - uncounted) > 40
    for ordinal, count in made.items():
        name = kernels[ordinal][0]
        entered, left = flavours[ordinal]
        if ordinal in uncounted:
            assert entered >= count, name
        else:
            assert entered == count, name
        # A thread may have ended within a call that lets interrupts in, and the other CPU is stopped.
        if ordinal in jumps:
            assert left == 0, name
        elif ordinal in interruptible:
            assert 0 < left <= entered, name
        else:
            assert entered - 1 <= left <= entered, name
    assert set(flavours) - set(made) == set()


def test_preempted_after_the_base_of_fs(tmp_path: Path) -> None:
    """Whatever comes right behind the call, a process has the base that it has asked for."""
    done = boot(linked("x86_64", tmp_path, "preempt.c"), "checks=entries.fs_base")
    assert re.search(r"^ok \d+ entries\.fs_base\s*$", done.stdout, re.MULTILINE), done.stdout[-3000:]
    found = re.search(r"^# fs base asked=(\d\d) preempted=(\d\d)", done.stdout, re.MULTILINE)
    assert found and int(found[1]) > 0
    assert done.returncode == 0x10 << 1 | 1, done.stdout[-3000:]


def test_the_library_calls_itself_past_the_flavour(arch: str, tmp_path: Path) -> None:
    """Every entry point is the flavour's; the library's own files know the inner names alone."""
    build = ROOT / BUILDS[arch]
    names = dict(
        line.split()
        for line in (build / "include/vmi/flavour.syms").read_text().splitlines()
        if line[0] != "#"
    )
    for library in sorted((build / "backends").glob("libvmi-*.a")):
        out = tmp_path / library.name
        hooks = objects(build, tmp_path, arch)
        if not (build / "include/vmi" / f"{library.stem.removeprefix('libvmi-')}-stubs.S").is_file():
            continue  # a kernel that binds itself has no library
        vmiflavour.make(library, build / "include/vmi/flavour.syms", hooks, out)
        listed = subprocess.run(["nm", "-A", out], capture_output=True, text=True, check=True).stdout
        owners = {
            symbol: member
            for member, kind, symbol in re.findall(r":(\S+?):\s*[0-9a-f]* (\w) (\S+)$", listed, re.MULTILINE)
            if kind == "T"
        }
        wanted = {name: "flavour.o" for name in names}
        assert {name: owners.get(name) for name in names} == wanted, library.name
        used = re.findall(r":(\S+?):\s+U (vmi_\w+)$", listed, re.MULTILINE)
        assert {name for _, name in used if name in names} == set(), library.name
        assert set(names.values()) <= owners.keys(), library.name


STACKLESS = "_stop.S.o"
"""How names of objects end that make hypercalls without a stack, which a look needs (docs/trace.md)."""


def relocations(library: Path, without: str = "") -> Counter[str]:
    """How often code of a library names each symbol, but in objects that are called so."""
    listed = subprocess.run(["objdump", "-r", library], capture_output=True, text=True, check=True).stdout
    members = re.split(r"^(\S+):     file format .*$", listed, flags=re.MULTILINE)
    listed = "".join(
        body
        for name, body in zip(members[1::2], members[2::2], strict=True)
        if not without or not name.endswith(without)
    )
    sections = re.split(r"^RELOCATION RECORDS FOR \[(.*)\]:$", listed, flags=re.MULTILINE)
    text = "".join(
        body for name, body in zip(sections[1::2], sections[2::2], strict=True) if name.startswith(".text")
    )
    return Counter(re.findall(r"^[0-9a-f]+ R_\S+ +(\w+)", text, re.MULTILINE))


def test_each_transfer_is_watched(arch: str) -> None:
    """In the flavour `traced`, wherever a library counts a hypercall; in the library itself, nowhere."""
    build = ROOT / BUILDS[arch]
    model = json.loads((build / "include/vmi/model.json").read_text())
    looked_at = 0
    for backend in model["backends"]:
        traced = build / f"backends/libvmi-{backend['name']}-traced.a"
        counters = {each["counter"] for each in backend["hypercalls"]}
        if not traced.is_file() or not counters:
            continue
        own = relocations(build / f"backends/libvmi-{backend['name']}.a")
        made = sum(own[counter] for counter in counters)
        assert made >= len(counters)
        assert own["vmi__trace_hypercall"] == own["vmi__trace_answer"] == 0
        watched = relocations(traced)
        assert sum(watched[counter] for counter in counters) == made
        others = relocations(traced, without=STACKLESS)
        made = sum(others[counter] for counter in counters)
        assert watched["vmi__trace_hypercall"] == watched["vmi__trace_answer"] == made
        looked_at += 1
    assert looked_at or not list(build.glob("backends/libvmi-*-traced.a"))


def test_an_object_of_the_same_name_stands_in_place(arch: str, tmp_path: Path) -> None:
    """Under the inner names, as the one that it replaces."""
    build = ROOT / BUILDS[arch]
    library = build / f"backends/libvmi-{BASE}.a"
    (name,) = re.findall(r"^\S*[_-]stubs\.S\.o$", vmiflavour.run("ar", "t", library), re.MULTILINE)
    source = tmp_path / "stubs.S"
    source.write_text(".globl vmi_iret, instead\nvmi_iret: instead: nop\n")
    call("gcc", COMPILE[arch][0], "-c", source, "-o", tmp_path / name)
    out = tmp_path / "out.a"
    vmiflavour.make(library, build / "include/vmi/flavour.syms", [tmp_path / name], out)
    assert vmiflavour.run("ar", "t", out).split().count(name) == 1
    symbols = vmiflavour.run("nm", "-A", out)
    assert re.findall(rf"{re.escape(name)}:[0-9a-f]+ T (\w+)$", symbols, re.MULTILINE) == [
        "instead", "vmi__inner_iret",
    ]  # fmt: skip


def test_misuse_is_one_line(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "codegen/vmiflavour.py")]
    file = tmp_path / "file"
    file.write_text("no archive")
    for arguments, said in (
        ([tmp_path / "none.a", file], "none.a: no such file; build it first"),
        ([file, file], "file: not an archive with its objects in it; give a library libvmi-NAME.a"),
    ):
        command = [*program, "--symbols", str(file), "--out", str(tmp_path / "out.a"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("vmiflavour: ") and done.stderr.endswith(said + "\n")
        assert not (tmp_path / "out.a").exists()
    assert subprocess.run(program, capture_output=True).returncode == 2
